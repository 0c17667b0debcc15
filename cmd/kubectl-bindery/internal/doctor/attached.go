package doctor

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
)

// attached are the findings about Bindings that do not come to an end, and services that fail or that nobody uses.
func (f Facts) attached() []Finding {
	const about = "Bindings and services"
	if f.Overview.Err != nil {
		return []Finding{unknown(about, f.Overview.Err)}
	}
	var findings []Finding
	ready := 0
	for _, w := range f.Overview.Value.Workloads {
		for _, a := range w.Attachments {
			if finding, found := ofAttachment(w, a); found {
				findings = append(findings, finding)
			} else {
				ready++
			}
		}
	}
	for _, s := range f.Overview.Value.Services {
		findings = append(findings, f.ofService(s)...)
	}
	return append(findings, Finding{About: about, Verdict: OK, Says: fmt.Sprintf("%d Bindings are ready, or under way", ready)})
}

func ofAttachment(w overview.Workload, a overview.Attachment) (Finding, bool) {
	verdict, found := verdictOf(a.State)
	finding := Finding{
		About: fmt.Sprintf("%s of %s in %s", target.Form(target.KindBinding, a.Binding), target.Form(w.Kind, w.Name), w.Namespace),
		// The message of a condition says the mend as well.
		Verdict: verdict, Says: a.Reason + ": " + a.Message,
	}
	if a.Back != nil && a.Back.Command != "" && verdict == Problem {
		finding.Mend = fmt.Sprintf("do what it says, or put it back (%s): `%s`", a.Back.Text, a.Back.Command)
	}
	return finding, found
}

func verdictOf(s overview.State) (verdict Verdict, found bool) {
	switch s {
	case overview.Failed:
		return Problem, true
	case overview.Waiting:
		return Warning, true
	case overview.UnderWay, overview.Ready:
	}
	return OK, false
}

func (f Facts) ofService(s overview.Service) []Finding {
	about := fmt.Sprintf("%s in %s", target.Form(target.KindService, s.Name), s.Namespace)
	var findings []Finding
	if verdict, found := verdictOf(s.State); found {
		if !s.Used {
			verdict = Warning // no app suffers
		}
		findings = append(findings, Finding{About: about, Verdict: verdict, Says: strings.TrimSuffix(s.Reason+": "+s.Message, ": ")})
	}
	switch {
	case s.Used:
	case s.DeprovisionAt != nil:
		left := s.DeprovisionAt.Sub(f.Now)
		findings = append(findings, Finding{About: about, Verdict: OK, Says: fmt.Sprintf(
			"nobody uses it, and it is deleted in %s (%s)", duration.HumanDuration(max(0, left)), s.DeprovisionAt.UTC().Format("2006-01-02 15:04:05 UTC"))})
	default:
		findings = append(findings, Finding{
			about, Warning, "nobody uses it, and it is kept for ever",
			fmt.Sprintf("if nobody needs it: `kubectl delete bsvc %s -n %s`; to have it deleted in time, set spec.retention", s.Name, s.Namespace),
		})
	}
	return findings
}
