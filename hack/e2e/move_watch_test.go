//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// sample is how the two servers of a move were at one moment, as hack/writer -watch says it.
type sample struct {
	At     time.Time   `json:"at"`
	Target serverState `json:"target"`
	Over   bool        `json:"over"`
	Source serverState `json:"source"`
}

type serverState struct {
	Error   string `json:"error"`
	Run     string `json:"run"`
	Role    string `json:"role"`
	Writes  int64  `json:"writes"`
	Refused int64  `json:"refused"`
	History string `json:"history"`
	Offset  int64  `json:"offset"`
	Before  string `json:"before"`
	Since   int64  `json:"since"`
}

// pingLength is that of the only command which a Redis itself sends to those that follow it, if there is nothing else to say.
const pingLength = int64(len("*1\r\n$4\r\nPING\r\n"))

// moveWatch looks at both servers of a move.
type moveWatch struct{ pod string }

// watchMove begins to look at both servers of the move to a BackingService, twenty times a second, in a Pod: an API server
// that is away does not matter to it.
func (s *scene) watchMove(to string) *moveWatch {
	s.Helper()
	var job batchv1.Job
	s.await("the first Job of the move to "+to+" is there", patience, func() string {
		move := get[v1alpha1.BackingService](s, to).Status.Move
		if move == nil {
			return "it has not begun"
		}
		for _, job = range s.moveJobs(to) {
			if job.Annotations[v1alpha1.MoveIDAnnotation] == move.ID {
				return ""
			}
		}
		return "there is none of move " + move.ID
	})
	from := job.Spec.Template.Spec.Containers[0]
	container := corev1.Container{Name: "watch", Image: "localhost/bindery/writer:dev", Env: from.Env}
	for _, argument := range from.Args {
		if id, ok := strings.CutPrefix(argument, "--id="); ok {
			container.Args = append(container.Args, "--watch="+id)
		}
		if strings.HasPrefix(argument, "--from=") || strings.HasPrefix(argument, "--to=") {
			container.Args = append(container.Args, argument)
		}
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "watch-" + to + "-"}, Spec: corev1.PodSpec{
		EnableServiceLinks: new(false), AutomountServiceAccountToken: new(false), TerminationGracePeriodSeconds: new(int64(1)),
		Containers: []corev1.Container{container},
	}}
	s.create(pod)
	return &moveWatch{pod: pod.Name}
}

func (s *scene) moveJobs(to string) []batchv1.Job {
	s.Helper()
	var jobs batchv1.JobList
	s.no(cluster.client.List(s.ctx, &jobs, client.InNamespace(s.namespace), client.MatchingLabels{v1alpha1.MoveLabel: to}))
	return jobs.Items
}

// requireOneSide ends the watch, and requires that at no time both servers were written to by apps.
func (w *moveWatch) requireOneSide(s *scene) {
	s.Helper()
	log := s.kubectl("logs", w.pod)
	s.kubectl("delete", "pod", w.pod, "--wait=false")
	var sides oneSide
	for line := range strings.Lines(log) {
		var one sample
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			s.Fatalf("reading a sample: %v: %s", err, line)
		}
		sides.see(one)
	}
	s.Logf("both servers were looked at %d times, in %d pairs of runs: %d times before the cut, %d times after it",
		sides.seen, sides.runs, sides.before, sides.after)
	for _, wrong := range sides.wrong {
		s.Error(wrong)
	}
	if sides.before == 0 || sides.after == 0 || sides.proven == 0 {
		s.Errorf("this is too little to tell: %+v", sides)
	}
}

// oneSide checks, in one sample after the other, that apps write to one of the two servers:
//
//   - Until the target has the mark that the move is over, no app writes there. While it follows the source, it refuses what
//     an app sends, and has never had to. While it follows nobody, its count of writes stays, and is 0 after a start.
//   - From the mark on, the source takes no write: its count stays as it was, and is 0 after a start. And, which no look between
//     two samples can miss: the source's history is as long as that part of it which the target had when it became a server
//     of its own.
type oneSide struct {
	last, cut           sample
	over                bool
	wrong               []string
	seen, before, after int
	// runs are those of both servers, and proven is how often the lengths of the histories were compared.
	runs, proven int
}

func (o *oneSide) see(one sample) {
	o.seen++
	if one.Target.Run != o.last.Target.Run && one.Target.Run != "" || one.Source.Run != o.last.Source.Run && one.Source.Run != "" {
		o.runs++
	}
	if one.Target.Error == "" {
		o.seeTarget(one)
	}
	if o.over && one.Source.Error == "" {
		o.after++
		o.seeSource(one.Source, one)
	}
	// What is not known stays as it was.
	if one.Target.Error != "" {
		one.Target = o.last.Target
	}
	if one.Source.Error != "" {
		one.Source = o.last.Source
	}
	o.last = one
}

func (o *oneSide) seeTarget(one sample) {
	now, was := one.Target, o.last.Target
	if o.over || one.Over {
		if !one.Over {
			o.complain(one, "the target has lost the mark that it is written to")
		}
		if o.over && now.Role != "master" { // the first time, it was read before the mark
			o.complain(one, "the target has the mark that it is written to, and is a "+now.Role)
		}
		o.over = true
		return
	}
	o.before++
	switch {
	case now.Refused > 0:
		o.complain(one, fmt.Sprintf("the target had to refuse %d writes", now.Refused))
	case now.Role != "master":
	case now.Run != was.Run && now.Writes > 0, now.Run == was.Run && was.Role == "master" && now.Writes != was.Writes:
		o.complain(one, fmt.Sprintf("the target has taken %d writes, after %d, before the cut", now.Writes, was.Writes))
	}
}

// seeSource looks at the source after the cut. The target's state was read before.
func (o *oneSide) seeSource(now serverState, one sample) {
	switch was := o.cut.Source; {
	case was.Run == "":
		o.cut = one
	case now.Run == was.Run && now.Writes != was.Writes, now.Run != was.Run && now.Writes > 0:
		o.complain(one, fmt.Sprintf("the source has taken %d writes, after %d, after the cut", now.Writes, was.Writes))
	}
	if one.Target.Error != "" || one.Target.Before != now.History || one.Target.Role != "master" {
		return
	}
	o.proven++
	if beyond := now.Offset - (one.Target.Since - 1); beyond != 0 && beyond != pingLength {
		o.complain(one, fmt.Sprintf("the source has written %d bytes that the target has not", beyond))
	}
}

// complain says what is wrong, and when. The first few are enough.
func (o *oneSide) complain(one sample, what string) {
	const limit = 5
	if len(o.wrong) < limit {
		o.wrong = append(o.wrong, fmt.Sprintf("%s: %s: %+v", one.At.Format(time.TimeOnly), what, one))
	}
}
