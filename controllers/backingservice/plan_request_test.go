package backingservice

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// asked sets the annotation that asks for a trial.
func asked(value string) func(*observation) {
	return func(o *observation) {
		o.service.Annotations = map[string]string{v1alpha1.VerifyRequestedAtAnnotation: value}
	}
}

// answered is a service whose last trial was started with this request.
func answered(value string) func(*observation) {
	return func(o *observation) { o.service.Status.Verification.Requested = value }
}

func TestSomebodyAsksForATrial(t *testing.T) {
	const refused = exitcode.CredentialsRefused
	off := func(o *observation) {
		b := namingBinding("n", nil)
		b.Spec.Swap = &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever}
		o.named = append(o.named, b)
	}
	long := strings.Repeat("9", 65)
	const ofLong = "1354738a2383466765f9bc6fb182729d50ca91b2fb1aca397da01ec7fbe42de6"
	for name, test := range map[string]struct {
		observation observation
		verified    string
		starts      bool
		requested   string
	}{
		"nobody asks":                                {tried(0, true), "True/Verified", false, ""},
		"the handle has passed":                      {tried(0, true, asked("1")), "True/Verified", true, "1"},
		"it was answered":                            {tried(0, true, asked("1"), answered("1")), "True/Verified", false, "1"},
		"with another value":                         {tried(0, true, asked("2"), answered("1")), "True/Verified", true, "2"},
		"and a long time goes by":                    {tried(0, true, asked("1"), answered("1"), after(1000*time.Hour)), "True/Verified", false, "1"},
		"the annotation is taken away":               {tried(0, true, answered("1")), "True/Verified", false, "1"},
		"the handle has not passed a moment ago":     {tried(refused, true, asked("1")), "False/CredentialsRefused", true, "1"},
		"it did not pass, and that was the answer":   {tried(refused, true, asked("1"), answered("1")), "False/CredentialsRefused", false, "1"},
		"it has not passed for a long time":          {tried(refused, true, asked("1"), attempt(9), after(1000*time.Hour)), "False/CredentialsRefused", true, "1"},
		"a trial is under way":                       {tried(0, false, asked("1")), "False/Verifying", false, ""},
		"the service does not serve":                 {tried(refused, true, asked("1"), func(o *observation) { o.secret = existence{known: true} }), "False/ServiceNotServing", false, ""},
		"every Binding does without":                 {tried(0, true, asked("1"), off), "True/Verified", false, ""},
		"the usual next trial keeps the answer":      {tried(refused, true, answered("1"), after(trialPauseMin)), "False/CredentialsRefused", true, "1"},
		"a value that the status has no room for":    {tried(0, true, asked(long)), "True/Verified", true, ofLong},
		"and the same once more, after it was tried": {tried(0, true, asked(long), answered(ofLong)), "True/Verified", false, ofLong},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(test.observation)
			if got := verified(p); got != test.verified {
				t.Errorf("Verified=%s, want %s", got, test.verified)
			}
			if begins := p.trial.start != nil; begins != test.starts {
				t.Errorf("a trial begins: %v, want %v", begins, test.starts)
			}
			if got := p.status.Verification.Requested; got != test.requested {
				t.Errorf("requested %q, want %q", got, test.requested)
			}
		})
	}
}

// What is asked for while a trial runs is tried after that one, which may have begun before what is to be tried was mended.
func TestATrialIsAskedForWhileAnotherOneRuns(t *testing.T) {
	o := tried(0, false, asked("1"))
	if p := makePlan(o); p.trial.start != nil {
		t.Fatal("two trials run at the same time")
	}
	o.jobs.present = []batchv1.Job{endedJob(theJob, 0)}
	p := makePlan(o)
	if p.trial.start == nil || p.status.Verification.Requested != "1" || verified(p) != "True/Verified" {
		t.Fatalf("a trial begins: %v, for %q; Verified=%s", p.trial.start != nil, p.status.Verification.Requested, verified(p))
	}
	o.service.Status = begun(p).status
	if p = makePlan(o); p.trial.start != nil {
		t.Error("it is tried twice")
	}
}

// The first trial of another handle answers what was asked before it.
func TestATrialOfAnotherHandleAnswersToo(t *testing.T) {
	o := tried(0, true, asked("1"), answered("1"))
	o.service.Spec.External = &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{Name: "rds", Key: "other"}}
	p := makePlan(o)
	if p.trial.start == nil || p.status.Verification.Requested != "1" {
		t.Fatalf("a trial begins: %v, for %q", p.trial.start != nil, p.status.Verification.Requested)
	}
	o.service.Status = begun(p).status
	o.jobs.present = []batchv1.Job{endedJob(theJob, 0)}
	if p = makePlan(o); p.trial.start != nil {
		t.Error("it is tried twice")
	}
}
