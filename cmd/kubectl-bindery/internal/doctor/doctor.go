// Package doctor judges an installation of Bindery, and what it looks after. Examine makes a list of findings of facts that
// were read before; what could not be read is a finding, too, and never the end of the others.
package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/overview"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

// Verdict of a finding.
type Verdict string

// The verdicts, the worst first.
const (
	// Problem: something does not work.
	Problem Verdict = "problem"
	// Warning: something works less well than it could.
	Warning Verdict = "warning"
	// Unknown: it could not be found out.
	Unknown Verdict = "not known"
	// OK: nothing is to be done.
	OK Verdict = "ok"
)

// Finding is the result of one check.
type Finding struct {
	// About is what was looked at.
	About   string  `json:"about"`
	Verdict Verdict `json:"verdict"`
	// Says is what was found, and Mend what to do about it; "" = nothing.
	Says string `json:"says"`
	Mend string `json:"mend,omitempty"`
}

// Answer is what a question to the cluster was answered with: a value or an error.
type Answer[T any] struct {
	Value T
	Err   error
}

// Ask makes an answer of what a function returns.
func Ask[T any](value T, err error) Answer[T] { return Answer[T]{value, err} }

// Facts are all that was found out.
type Facts struct {
	// Plugin is the version of the plugin.
	Plugin string
	// Kubernetes is the version of the API server.
	Kubernetes Answer[string]
	// Definitions in the cluster, by name. A definition that is not there has an error that IsNotFound.
	Definitions map[string]Answer[*apiextensionsv1.CustomResourceDefinition]
	Policies    Policies
	// Operators are the Deployments of the operator: one, if all is well.
	Operators Answer[[]appsv1.Deployment]
	// OperatorLacks are the rights that the operator's ServiceAccount does not have.
	OperatorLacks Answer[[]Right]
	// Rights of the user.
	Rights Answer[[]Right]
	// Overview of the namespace that is looked at, or of all.
	Overview Answer[*overview.Overview]
	Now      time.Time
}

// Policies are the admission policies of the cluster, and their bindings.
type Policies struct {
	Validating         Answer[[]admissionregistrationv1.ValidatingAdmissionPolicy]
	ValidatingBindings Answer[[]admissionregistrationv1.ValidatingAdmissionPolicyBinding]
	Mutating           Answer[[]admissionregistrationv1.MutatingAdmissionPolicy]
	MutatingBindings   Answer[[]admissionregistrationv1.MutatingAdmissionPolicyBinding]
}

// Right is one to do something with a kind of object.
type Right struct {
	Verb     string
	Group    string
	Resource string
	// Name of the one object that it is about; "" = all.
	Name string
	// Namespace; "" = all.
	Namespace string
	// Looks: without it, the plugin cannot show anything.
	Looks bool
	// Allowed says whether the user has it.
	Allowed bool
}

// String is a right as `kubectl auth can-i` takes it.
func (r Right) String() string {
	text := r.Verb + " " + r.Resource
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Name != "" {
		text += "/" + r.Name
	}
	return text
}

// Examine makes the findings, in a fixed order.
func Examine(f Facts) []Finding {
	findings := []Finding{f.kubernetes()}
	findings = append(findings, f.definitions()...)
	findings = append(findings, f.policies()...)
	findings = append(findings, f.operator()...)
	findings = append(findings, f.operatorRights(), f.userRights())
	return append(findings, f.attached()...)
}

// Problems counts the findings that are problems.
func Problems(findings []Finding) int {
	count := 0
	for _, f := range findings {
		if f.Verdict == Problem {
			count++
		}
	}
	return count
}

// unknown is the finding about something that could not be found out.
func unknown(about string, err error) Finding {
	if apierrors.IsForbidden(err) {
		return Finding{about, Unknown, "you have no right to look", "ask somebody who administers the cluster to run `kubectl bindery doctor`"}
	}
	return Finding{about, Unknown, "it could not be found out: " + short(err), "try again"}
}

// short is an error without the request that it is about.
func short(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err.Error()
}

var (
	verdicts = []Verdict{Problem, Warning, Unknown, OK}
	signs    = map[Verdict]string{Problem: "✗", Warning: "!", Unknown: "?", OK: "✓"}
	roles    = map[Verdict]terminal.Role{
		Problem: terminal.Bad, Warning: terminal.Waiting, Unknown: terminal.Faint, OK: terminal.Good,
	}
)

// Draw draws findings, the worst first.
func Draw(out io.Writer, t terminal.Terminal, findings []Finding) {
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b Finding) int {
		return cmp.Compare(slices.Index(verdicts, a.Verdict), slices.Index(verdicts, b.Verdict))
	})
	text := &strings.Builder{}
	count := map[Verdict]int{}
	said := "" // by the finding before: who may look at nothing is told so once
	for _, f := range sorted {
		count[f.Verdict]++
		head := t.Paint(roles[f.Verdict], signs[f.Verdict]+" "+terminal.Pad(string(f.Verdict), len(Unknown)))
		fmt.Fprintln(text, t.Hang(head+"  ", "  ", f.About+": "+f.Says))
		if f.Mend != "" && f.Mend != said {
			fmt.Fprintln(text, t.Hang("    mend: ", "    ", f.Mend))
		}
		said = f.Mend
	}
	sum := fmt.Sprintf("%d problems, %d warnings, %d not known, %d ok", count[Problem], count[Warning], count[Unknown], count[OK])
	fmt.Fprintf(text, "\n%s\n", t.Wrap("", sum))
	_, _ = io.WriteString(out, text.String())
}
