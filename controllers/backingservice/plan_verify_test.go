package backingservice

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/proof"
)

// endedJob is a Job that has ended, in the wording of the Job controller of Kubernetes 1.36.
func endedJob(name string, code int32) batchv1.Job {
	job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: uidOf(name)}}
	switch {
	case code == 0:
		job.Status.Conditions = []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue},
		}
	case code < 0:
		job.Status.Conditions = []batchv1.JobCondition{{
			Type: batchv1.JobFailed, Status: corev1.ConditionTrue,
			Reason: batchv1.JobReasonDeadlineExceeded, Message: "Job was active longer than specified deadline",
		}}
		job.Status.Failed = 1
	default:
		message := fmt.Sprintf("Container probe for pod shop/%s-x4k2p failed with exit code %d matching FailJob rule at index 1", name, code)
		job.Status.Conditions = []batchv1.JobCondition{
			{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonPodFailurePolicy, Message: message},
			{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonPodFailurePolicy, Message: message},
		}
	}
	return job
}

func runningJob(name string) batchv1.Job {
	return batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: uidOf(name), CreationTimestamp: metav1.NewTime(noon)},
		Status:     batchv1.JobStatus{StartTime: new(metav1.NewTime(noon)), Active: 1},
	}
}

// uidOf is the UID of the Job of this name, as long as no other Job has taken the name.
func uidOf(name string) types.UID { return types.UID("uid of " + name) }

// begun is a plan after its Job was created.
func begun(p plan) plan {
	if p.trial.start != nil {
		p.status.Verification.Job = &v1alpha1.JobReference{Name: *p.trial.start.Name, UID: string(uidOf(*p.trial.start.Name))}
	}
	return p
}

func withJobs(list ...batchv1.Job) func(*observation) {
	return func(o *observation) { o.jobs.present = list }
}

// tried is a service whose handle was tried once, with the result. If finished is false, the trial is still running.
func tried(code int32, finished bool, change ...func(*observation)) observation {
	exists := secretIs(existence{known: true, exists: true})
	o := observed(secretSpec, exists)
	o.service.Status = begun(makePlan(o)).status
	if finished {
		o.jobs.present = []batchv1.Job{endedJob(theJob, code)}
		o.service.Status = makePlan(o).status
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

// theJob is the name of every Job: Jobs differ only in their UID.
var theJob = handle.JobName("visits", nonce)

func waits(o *observation) { o.named = append(o.named, namingBinding("b", nil)) }

func namingBinding(name string, at *v1alpha1.Attachment) v1alpha1.Binding {
	b := v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	b.Spec.ServiceRef.Name = "visits"
	b.Status.Current = at
	return b
}

func after(d time.Duration) func(*observation) { return func(o *observation) { o.now = o.now.Add(d) } }

// hasPassed is a handle that passed long ago.
func hasPassed(o *observation) {
	o.service.Status.Verification.PassedAt = new(metav1.NewTime(noon.Add(-time.Hour)))
}

func attempt(n int32) func(*observation) {
	return func(o *observation) { o.service.Status.Verification.Attempt = n }
}

func verified(p plan) string {
	c := condition.Find(p.status.Conditions, v1alpha1.ConditionVerified)
	return string(c.Status) + "/" + c.Reason
}

func TestWhenAHandleIsTried(t *testing.T) {
	exists := secretIs(existence{known: true, exists: true})
	never := func(o *observation) {
		b := namingBinding("n", nil)
		b.Spec.Swap = &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever}
		o.named = append(o.named, b)
	}
	on := func(o *observation) {
		o.named = append(o.named, namingBinding("b", &v1alpha1.Attachment{Service: "visits", SecretName: "rds"}))
	}
	const refused = exitcode.CredentialsRefused
	for name, test := range map[string]struct {
		observation observation
		verified    string
		starts      int32 // the attempt that starts, 0 = none
		again       time.Duration
	}{
		"a service that is not Ready": {observation: observed(redisSpec), verified: "False/ServiceNotServing"},
		"a handle that is not there":  {observation: observed(secretSpec, secretIs(existence{known: true})), verified: "False/ServiceNotServing", again: secretPollMin},
		"a new handle":                {observation: observed(secretSpec, exists), verified: "False/Verifying", starts: 1},
		"a new handle that a Binding waits for": {
			observation: observed(secretSpec, exists, waits), verified: "False/Verifying", starts: 1,
		},
		"every Binding does without": {observation: observed(secretSpec, exists, never), verified: "Unknown/VerifyOff"},
		"not every one does":         {observation: observed(secretSpec, exists, never, waits), verified: "False/Verifying", starts: 1},
		"the last one that did without has gone": {
			observation: observed(secretSpec, exists, func(o *observation) {
				was := *o
				never(&was)
				o.service.Status = makePlan(was).status
			}), verified: "False/Verifying", starts: 1,
		},
		"the trial is under way": {observation: tried(0, false), verified: "False/Verifying", again: heldAfter},
		"the trial is under way, and every Binding does without by now": {observation: tried(0, false, never), verified: "False/Verifying", again: heldAfter},
		"it passed":                              {observation: tried(0, true), verified: "True/Verified"},
		"it passed, and a long time goes by":     {observation: tried(0, true, waits, after(1000*time.Hour)), verified: "True/Verified"},
		"it passed, and the spec changes":        {observation: tried(0, true, func(o *observation) { o.service.Generation++ }), verified: "True/Verified"},
		"it passed, and the Job is gone":         {observation: tried(0, true, withJobs()), verified: "True/Verified"},
		"it passed, and a Binding begins to ask": {observation: tried(0, true, waits, func(o *observation) { o.happened.named = true }), verified: "True/Verified"},
		"it passed, and the service stops serving": {
			observation: tried(0, true, func(o *observation) { o.service.Generation++; o.secret = existence{known: true} }),
			verified:    "True/Verified", again: secretPollMin,
		},
		"it never passed, and nobody waits":     {observation: tried(refused, true, after(trialPauseMin)), verified: "False/CredentialsRefused", starts: 2},
		"it never passed, for a long time":      {observation: tried(refused, true, attempt(9), after(1000*time.Hour)), verified: "False/CredentialsRefused"},
		"it never passed, and a Binding waits":  {observation: tried(refused, true, waits, attempt(9), after(time.Hour)), verified: "False/CredentialsRefused", starts: 10},
		"it passed once, and nobody waits":      {observation: tried(refused, true, hasPassed, after(time.Hour)), verified: "False/CredentialsRefused"},
		"it passed once, and an app is on it":   {observation: tried(refused, true, hasPassed, on, after(time.Hour)), verified: "False/CredentialsRefused"},
		"it passed once, and a Binding waits":   {observation: tried(refused, true, hasPassed, waits, after(time.Hour)), verified: "False/CredentialsRefused", starts: 2},
		"it did not pass, and a Binding waits":  {observation: tried(refused, true, waits), verified: "False/CredentialsRefused", again: trialPauseMin},
		"it waits for a part of the pause":      {observation: tried(refused, true, waits, after(time.Second)), verified: "False/CredentialsRefused", again: 2 * time.Second},
		"what was found stays in view":          {observation: tried(refused, true, waits, after(trialPauseMin)), verified: "False/CredentialsRefused", starts: 2},
		"a Binding begins to ask":               {observation: tried(refused, true, waits, func(o *observation) { o.happened.named = true }), verified: "False/CredentialsRefused", starts: 2},
		"the spec changes":                      {observation: tried(refused, true, func(o *observation) { o.service.Generation++ }), verified: "False/CredentialsRefused", starts: 2},
		"every Binding does without after that": {observation: tried(refused, true, never), verified: "Unknown/VerifyOff"},
		"the service comes back": {
			observation: tried(refused, true, func(o *observation) {
				was := *o
				was.service.Generation, was.secret = was.service.Generation+1, existence{known: true}
				o.service.Status, o.service.Generation = makePlan(was).status, was.service.Generation
			}), verified: "False/Verifying", starts: 2,
		},
		"the Job is gone before its end was seen": {
			observation: tried(0, false, func(o *observation) { o.jobs.lost = true }), verified: "False/ProbeFailed", again: trialPauseMin,
		},
		"it could not be tried, and nobody waits": {observation: tried(-1, true, after(trialPauseMin)), verified: "False/ProbeFailed", starts: 2},
		"the cache has not seen the Job":          {observation: tried(0, false, waits, withJobs()), verified: "False/Verifying", again: heldAfter},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(test.observation)
			if got := verified(p); got != test.verified {
				t.Errorf("Verified=%s, want %s", got, test.verified)
			}
			c := condition.Find(p.status.Conditions, v1alpha1.ConditionVerified)
			if c.ObservedGeneration != test.observation.service.Generation {
				t.Errorf("Verified is about generation %d", c.ObservedGeneration)
			}
			var begins int32
			if p.trial.start != nil {
				begins = p.status.Verification.Attempt
				if *p.trial.start.Name != theJob || p.status.Verification.EndedAt != nil {
					t.Errorf("Job %s, want %s; ended %v", *p.trial.start.Name, theJob, p.status.Verification.EndedAt)
				}
			}
			if begins != test.starts {
				t.Errorf("attempt %d begins, want %d", begins, test.starts)
			}
			if p.retryAfter != test.again {
				t.Errorf("again after %s, want %s", p.retryAfter, test.again)
			}
		})
	}
}

// A Job that found no fault is Complete, for every type: what was tried follows from the type. What the probe of an
// earlier version found still counts, although that probe made its Job fail for it.
func TestWhatACompleteJobMeans(t *testing.T) {
	for name, test := range map[string]struct {
		kind     v1alpha1.ServiceType
		code     int32
		verified string
		says     string
	}{
		"a type that is spoken to":                {v1alpha1.TypeRedis, 0, "True/Verified", "took the handle"},
		"a type that may name no host":            {v1alpha1.TypeGeneric, 0, "True/NotProbed", "was read; where it names a host and a TCP port, a connection to it was opened"},
		"a bucket, and not where":                 {v1alpha1.TypeS3, 11, "True/NotProbed", "a form that the probe cannot speak with, or its user may not list the bucket"},
		"a bucket of a writer":                    {v1alpha1.TypeS3, 10, "True/Reachable", "not all of it was tried"},
		"a bucket of another region":              {v1alpha1.TypeS3, 24, "False/WrongProtocol", "or serves another region than the handle names: correct key url of Secret rds"},
		"a token":                                 {v1alpha1.TypeNewRelic, 0, "True/NotProbed", "key url of Secret rds"},
		"a form that the probe cannot speak with": {v1alpha1.TypeRedis, 10, "True/Reachable", "cannot speak with a handle of this form"},
		"a form that names no host":               {v1alpha1.TypeRedis, 11, "True/NotProbed", "cannot speak with a handle of this form"},
		"one that names no host":                  {v1alpha1.TypeGeneric, 11, "True/NotProbed", "has no probe of its own"},
		"a line break at its end":                 {v1alpha1.TypeRedis, 38, "True/HandleUntrimmed", "take it out of key url of Secret rds"},
		"what an earlier probe said of any fault": {v1alpha1.TypeRedis, 26, "False/InvalidHandle", "the Secret or its key is missing, or"},
		"a Secret that is not there":              {v1alpha1.TypeRedis, 30, "False/HandleMissing", "create key url of Secret rds"},
		"a scheme of another type":                {v1alpha1.TypePostgreSQL, 33, "False/SchemeMismatch", "begin with postgres:// or postgresql://"},
		"reached, by an earlier probe":            {v1alpha1.TypeBeanstalkd, 10, "True/Reachable", "takes connections"},
		"reached, of a type that need not be":     {v1alpha1.TypeGeneric, 10, "True/Reachable", "takes connections"},
		"not probed, by an earlier probe":         {v1alpha1.TypeNewRelic, 11, "True/NotProbed", "was read"},
		"a token whose vendor can be asked":       {v1alpha1.TypeTwitter, 0, "True/NotProbed", "spec.probe.ask: Vendor does that"},
		"a token whose vendor cannot be asked":    {v1alpha1.TypeLoggly, 0, "True/NotProbed", "there is no way to ask"},
		"a fault of a type that is not spoken":    {v1alpha1.TypeGeneric, 20, "False/Unreachable", "no connection"},
		"a code that nobody has ever ended with":  {v1alpha1.TypeMySQL, 19, "False/ProbeFailed", "exit code 19"},
	} {
		t.Run(name, func(t *testing.T) {
			o := observed(secretSpec, secretIs(existence{known: true, exists: true}))
			o.service.Spec.Type = test.kind
			o.service.Status = begun(makePlan(o)).status
			o.jobs.present = []batchv1.Job{endedJob(theJob, test.code)}
			p := makePlan(o)
			if got := verified(p); got != test.verified {
				t.Errorf("Verified=%s, want %s", got, test.verified)
			}
			if c := condition.Find(p.status.Conditions, v1alpha1.ConditionVerified); !strings.Contains(c.Message, test.says) {
				t.Errorf("it says %q, want %q", c.Message, test.says)
			}
			if test.verified[0] == 'T' && p.trial.start != nil {
				t.Error("it is tried again")
			}
		})
	}
}

// The vendor of a token is asked where the spec says so, and the result says what was asked when its trial began, whatever
// the spec says now. A token that passed before is tried again, once.
func TestAVendorIsAsked(t *testing.T) {
	asks := func(o *observation) {
		o.service.Spec.Probe = &v1alpha1.ProbeSpec{Ask: v1alpha1.AskVendor, Endpoint: "https://a"}
	}
	ends := func(o *observation, code int32) plan {
		o.jobs.present = []batchv1.Job{endedJob(theJob, code)}
		return makePlan(*o)
	}
	token := func(change ...func(*observation)) *observation {
		o := observed(secretSpec, secretIs(existence{known: true, exists: true}))
		o.service.Spec.Type = v1alpha1.TypePostmark
		for _, f := range change {
			f(&o)
		}
		o.service.Status = begun(makePlan(o)).status
		return &o
	}
	for name, test := range map[string]struct {
		code int32
		want string
	}{
		"it takes the token":    {exitcode.Passed, "True/Verified"},
		"it refuses the token":  {exitcode.CredentialsRefused, "False/CredentialsRefused"},
		"it does not say":       {exitcode.VendorUnavailable, "True/VendorUnavailable"},
		"it could not be asked": {exitcode.NotProbed, "True/NotProbed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := ends(token(asks), test.code)
			if got := verified(p); got != test.want || p.status.Verification.Asked != v1alpha1.AskVendor || p.trial.start != nil {
				t.Errorf("Verified=%s, asked %q, tried again: %v", got, p.status.Verification.Asked, p.trial.start != nil)
			}
		})
	}
	t.Run("it is asked later", func(t *testing.T) {
		o := token()
		p := ends(o, exitcode.Passed)
		if got := verified(p); got != "True/NotProbed" || p.status.Verification.Asked != "" || p.trial.start != nil {
			t.Fatalf("nobody was asked: Verified=%s, asked %q", got, p.status.Verification.Asked)
		}
		o.service.Status = p.status
		asks(o)
		if p = makePlan(*o); p.trial.start == nil || verified(p) != "True/NotProbed" {
			t.Fatalf("a trial has begun: %v; Verified=%s until it ends", p.trial.start != nil, verified(p))
		}
		o.service.Status = begun(p).status
		if p = ends(o, exitcode.Passed); verified(p) != "True/Verified" || p.trial.start != nil {
			t.Errorf("Verified=%s, tried once more: %v", verified(p), p.trial.start != nil)
		}
	})
	t.Run("it is asked while a trial runs that does not ask", func(t *testing.T) {
		o := token()
		asks(o)
		if p := ends(o, exitcode.Passed); verified(p) != "True/NotProbed" || p.trial.start == nil {
			t.Errorf("Verified=%s, and it is asked now: %v", verified(p), p.trial.start != nil)
		}
	})
}

// awaiting is a Binding that waits for a younger proof, as its status says.
func awaiting(o *observation) { o.named = append(o.named, awaitingBinding("waits")) }

func awaitingBinding(name string) v1alpha1.Binding {
	b := namingBinding(name, &v1alpha1.Attachment{Service: "elsewhere", SecretName: "elsewhere"})
	b.Generation, b.Status.ObservedGeneration = 1, 1
	condition.Set(&b.Status.Conditions, v1alpha1.ConditionServiceReady, condition.True(v1alpha1.ReasonServiceReady, ""), 1, noon)
	condition.Set(&b.Status.Conditions, v1alpha1.ConditionInjected, condition.False(v1alpha1.ReasonServiceNotVerified, ""), 1, noon)
	return b
}

// A proof is renewed if a Binding waits for nothing else, and never otherwise. The status shows the last result in the
// meantime.
func TestWhenAProofIsRenewed(t *testing.T) {
	binding := func(change func(*v1alpha1.Binding)) func(*observation) {
		return func(o *observation) {
			b := awaitingBinding("b")
			change(&b)
			o.named = append(o.named, b)
		}
	}
	blocked := func(reason string) func(*observation) {
		return binding(func(b *v1alpha1.Binding) {
			condition.Set(&b.Status.Conditions, v1alpha1.ConditionInjected, condition.False(reason, ""), 1, noon)
		})
	}
	old := after(proof.MaxAge)
	for name, test := range map[string]struct {
		change  []func(*observation)
		renewed bool
	}{
		"a Binding waits for it": {[]func(*observation){old, awaiting}, true},
		"the proof is young":     {[]func(*observation){after(proof.MaxAge - time.Second), awaiting}, false},
		"nobody waits":           {[]func(*observation){after(1000 * time.Hour)}, false},
		"nobody has looked at the Binding yet": {[]func(*observation){old, binding(func(b *v1alpha1.Binding) {
			b.Generation, b.Status.Conditions = 2, nil
		})}, true},
		"an app is on it": {[]func(*observation){old, binding(func(b *v1alpha1.Binding) {
			b.Status.Current = &v1alpha1.Attachment{Service: "visits", SecretName: "rds"}
			condition.Set(&b.Status.Conditions, v1alpha1.ConditionInjected, condition.True(v1alpha1.ReasonInjected, ""), 1, noon)
		})}, false},
		"an app is on its Secret, and waits for what it is now": {[]func(*observation){old, binding(func(b *v1alpha1.Binding) {
			b.Status.Current = &v1alpha1.Attachment{Service: "visits", SecretName: "rds"}
		})}, true},
		"a Binding that does without waits":   {[]func(*observation){old, binding(func(b *v1alpha1.Binding) { b.Spec.Swap = &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever} })}, false},
		"what it says is about an older spec": {[]func(*observation){old, binding(func(b *v1alpha1.Binding) { b.Generation, b.Status.ObservedGeneration = 2, 2 })}, false},
		"a Binding is in conflict":            {[]func(*observation){old, blocked(v1alpha1.ReasonConflict)}, false},
		"it names no container that is there": {[]func(*observation){old, blocked(v1alpha1.ReasonContainerNotFound)}, false},
		"its rollout was turned back":         {[]func(*observation){old, blocked(v1alpha1.ReasonRolledBack)}, false},
		"its patch was refused":               {[]func(*observation){old, blocked(v1alpha1.ReasonPatchRefused)}, false},
		"it has no workload":                  {[]func(*observation){old, blocked(v1alpha1.ReasonWorkloadNotFound)}, false},
		"the service is not Ready": {[]func(*observation){old, awaiting, func(o *observation) {
			o.service.Generation++
			o.secret = existence{known: true}
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := tried(0, true, test.change...)
			p := begun(planOf(o))
			if got := p.trial.start != nil; got != test.renewed {
				t.Fatalf("it is tried: %v", got)
			}
			if verified(p) != "True/Verified" {
				t.Errorf("Verified=%s", verified(p))
			}
			if !test.renewed {
				return
			}
			if v := p.status.Verification; v.Attempt != 1 || v.PassedAt == nil || !v.PassedAt.Equal(o.service.Status.Verification.PassedAt) {
				t.Errorf("the trial is %+v", v)
			}
			for code, want := range map[int32]string{0: "True/Verified", exitcode.CredentialsRefused: "False/CredentialsRefused"} {
				o := o
				o.service.Status, o.jobs.present = p.status, []batchv1.Job{endedJob(theJob, code)}
				after := planOf(o)
				if verified(after) != want || after.trial.start != nil || proof.IsYoung(&after.status, o.now) != (code == 0) {
					t.Errorf("after code %d: Verified=%s, starts %v, %+v", code, verified(after), after.trial.start != nil, after.status.Verification)
				}
			}
		})
	}
}

// An earlier version did not record when a handle had passed, only when its last trial ended.
func TestAProofOfAnEarlierVersionIsRenewed(t *testing.T) {
	o := tried(0, true, awaiting, after(time.Hour))
	o.service.Status.Verification.PassedAt = nil
	if p := planOf(o); p.trial.start == nil || p.status.Verification.PassedAt == nil || !p.status.Verification.PassedAt.Time.Equal(noon) {
		t.Errorf("it starts %v, and the trial is %+v", p.trial.start != nil, p.status.Verification)
	}
}

// If the result of a Job is seen late, that does not make it a young proof.
func TestAProofIsAsOldAsItsJob(t *testing.T) {
	for name, test := range map[string]struct {
		ended time.Duration // after the trial started
		want  time.Duration
	}{
		"the Job ended a while ago":            {20 * time.Second, 20 * time.Second},
		"it ended by a clock that is behind":   {-20 * time.Second, time.Hour},
		"it ended by a clock that is ahead":    {2 * time.Hour, time.Hour},
		"it does not say when it ended at all": {-1000000 * time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			o := tried(0, false, after(time.Hour))
			job := endedJob(theJob, 0)
			for i := range job.Status.Conditions {
				job.Status.Conditions[i].LastTransitionTime = metav1.NewTime(noon.Add(test.ended))
			}
			o.jobs.present = []batchv1.Job{job}
			if v := makePlan(o).status.Verification; v.PassedAt == nil || !v.PassedAt.Time.Equal(noon.Add(test.want)) || !v.EndedAt.Equal(v.PassedAt) {
				t.Errorf("%+v, want %s after noon", v, test.want)
			}
		})
	}
}

func TestEveryFindingIsSaid(t *testing.T) {
	whose := map[string]string{}
	for _, f := range exitcode.Findings() {
		t.Run(f.Reason, func(t *testing.T) {
			o := tried(f.Code, true)
			c := condition.Find(o.service.Status.Conditions, v1alpha1.ConditionVerified)
			if c.Reason != f.Reason || (c.Status == metav1.ConditionTrue) != f.Passed {
				t.Errorf("Verified=%s/%s", c.Status, c.Reason)
			}
			if !f.Passed && !strings.Contains(c.Message, "key url of Secret rds (spec.external.secretRef)") {
				t.Errorf("%q does not name the field at fault", c.Message)
			}
			if other := whose[c.Message]; other != "" {
				t.Errorf("%q is said of %s as well", c.Message, other)
			}
			whose[c.Message] = f.Reason
			if strings.HasPrefix(c.Message, f.Reason) {
				t.Errorf("%q is no sentence of its own", c.Message)
			}
			if got := condition.IsTrue(o.service.Status.Conditions, v1alpha1.ConditionStalled, 2); got != f.NeedsPerson {
				t.Errorf("Stalled=%v", got)
			}
		})
	}
}

func TestWhatIsAtFaultIsNamed(t *testing.T) {
	exists := secretIs(existence{known: true, exists: true})
	for name, test := range map[string]struct {
		observation observation
		mention     []string
	}{
		"a URL": {observed(urlSpec("http://logs.example.com:4001")), []string{"logs.example.com:4001", "spec.external.url"}},
		"a published Secret": {
			observed(resourceSpec, exists, resourceIs(resource{bindingName: "q-user"})), []string{"key uri of Secret q-user", "RabbitmqCluster q"},
		},
		"a provisioned Redis": {
			observed(redisSpec, redisChildren(1, ""), withHandle("visits-x", "uri", 1)), []string{"visits.shop.svc:6379", "namespace shop", "Secret visits-x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := test.observation
			o.service.Status = begun(planOf(o)).status
			o.jobs.present = []batchv1.Job{endedJob(theJob, exitcode.Unreachable)}
			c := condition.Find(makePlan(o).status.Conditions, v1alpha1.ConditionVerified)
			for _, part := range test.mention {
				if !strings.Contains(c.Message, part) {
					t.Errorf("%q does not say %q", c.Message, part)
				}
			}
		})
	}
}

func TestAJobThatSaysNothingOfTheService(t *testing.T) {
	for name, code := range map[string]int32{"a Pod that has no node": -1, "a crash of the probe": 2, "killed by the kernel": 137} {
		t.Run(name, func(t *testing.T) {
			o := tried(code, true)
			c := condition.Find(o.service.Status.Conditions, v1alpha1.ConditionVerified)
			if c.Reason != v1alpha1.ReasonProbeFailed || !strings.Contains(c.Message, "kubectl describe job "+theJob) {
				t.Errorf("%s: %s", c.Reason, c.Message)
			}
		})
	}
}

func TestTheExitCodeIsReadInTheConditionOfTheJob(t *testing.T) {
	policy := batchv1.JobReasonPodFailurePolicy
	for name, test := range map[string]struct {
		reason, message string
		code            int32
		ok              bool
	}{
		"as Kubernetes words it":       {policy, "Container probe for pod shop/visits-1-x failed with exit code 23 matching FailJob rule at index 1", 23, true},
		"worded otherwise":             {policy, "the container ended with exit code 137.", 137, true},
		"a Pod whose name has numbers": {policy, "Container probe for pod exit-code-9/code-20 failed with exit code 25 matching FailJob rule at index 0", 25, true},
		"no code":                      {policy, "Pod shop/x has condition DisruptionTarget matching FailJob rule at index 0", 0, false},
		"a number that is none":        {policy, "exit code 99999999999", 0, false},
		"another reason":               {batchv1.JobReasonDeadlineExceeded, "exit code 23", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			code, ok := exitCode(&batchv1.JobCondition{Reason: test.reason, Message: test.message})
			if ok != test.ok || ok && code != test.code {
				t.Errorf("%d, %v", code, ok)
			}
		})
	}
}

func TestANewHandleIsTriedAtOnceAndTheOldTrialAbandoned(t *testing.T) {
	o := tried(0, false)
	o.jobs.present = []batchv1.Job{runningJob(theJob)}
	o.service.Spec = urlSpec("http://db.example.com")
	p := planOf(o)
	if len(p.trial.abandon) != 1 || p.trial.start == nil || p.status.Verification.Attempt != 1 {
		t.Errorf("abandons %d, starts %v", len(p.trial.abandon), p.trial.start != nil)
	}
	if verified(p) != "False/Verifying" {
		t.Errorf("Verified=%s", verified(p))
	}
	// A handle that was verified is not verified any more either.
	o = tried(0, true)
	o.service.Spec = urlSpec("http://db.example.com")
	if p = planOf(o); verified(p) != "False/Verifying" || p.trial.start == nil || len(p.trial.abandon) > 0 {
		t.Errorf("Verified=%s, starts %v, abandons %d", verified(p), p.trial.start != nil, len(p.trial.abandon))
	}
}

// Only the Job that the status names is believed. Everybody who may create Jobs can give a Job any name and any owner.
func TestAJobThatTheStatusDoesNotNameIsNotBelieved(t *testing.T) {
	o := observed(secretSpec, secretIs(existence{known: true, exists: true}))
	o.jobs.present = []batchv1.Job{endedJob(theJob, 0)}
	if p := makePlan(o); p.trial.start == nil || verified(p) != "False/Verifying" {
		t.Errorf("one that was there before: starts %v, Verified=%s", p.trial.start != nil, verified(p))
	}
	o.jobs.present = []batchv1.Job{runningJob(theJob)}
	if p := makePlan(o); p.trial.start == nil || len(p.trial.abandon) != 1 || p.trial.abandon[0].UID != uidOf(theJob) {
		t.Errorf("one that runs: starts %v, abandons %v", p.trial.start != nil, p.trial.abandon)
	}
	o = tried(0, false)
	o.jobs.present = []batchv1.Job{endedJob(theJob, 0)}
	o.jobs.present[0].UID = "of another Job that has its name"
	if p := makePlan(o); verified(p) != "False/Verifying" {
		t.Errorf("one that took its name: Verified=%s", verified(p))
	}
}

func TestAJobThatIsRefusedIsATrialThatFailed(t *testing.T) {
	o := observed(secretSpec, secretIs(existence{known: true, exists: true}), waits)
	p := makePlan(o)
	o.trialRefused(&p, "exceeded quota")
	c := condition.Find(p.status.Conditions, v1alpha1.ConditionVerified)
	if c.Reason != v1alpha1.ReasonProbeFailed || !strings.Contains(c.Message, "exceeded quota") || p.retryAfter != trialPauseMin {
		t.Errorf("%s: %s; again after %s", c.Reason, c.Message, p.retryAfter)
	}
	if !condition.IsTrue(p.status.Conditions, v1alpha1.ConditionReady, 2) {
		t.Error("the service is not Ready any more")
	}
	o.service.Status = p.status
	o.now = o.now.Add(trialPauseMin)
	if p = makePlan(o); p.trial.start == nil || p.status.Verification.Attempt != 2 {
		t.Error("it is not tried again")
	}
}

func TestThePauseBetweenTrialsGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int32Range(1, 1<<30).Draw(t, "attempt")
		shorter, longer := trialPause(n), trialPause(n+1)
		if shorter < trialPauseMin || longer > trialPauseMax || longer < shorter {
			t.Fatalf("attempt %d: %s, then %s", n, shorter, longer)
		}
	})
}

// world is a service with its Jobs, and an operator that is sometimes stopped between two writes.
type world struct {
	*rapid.T
	o       observation
	made    int // Jobs
	running map[string]bool
	exits   map[string]int32
	passed  map[string]bool // the handles that passed
	handle  int
}

func (w *world) observe() observation {
	o := w.o
	o.jobs = jobs{}
	for _, name := range slices.Sorted(maps.Keys(w.running)) {
		o.jobs.present = append(o.jobs.present, runningJob(name))
	}
	for _, name := range slices.Sorted(maps.Keys(w.exits)) {
		o.jobs.present = append(o.jobs.present, endedJob(name, w.exits[name]))
	}
	v := o.service.Status.Verification
	o.jobs.lost = underWay(v) && o.jobs.of(v) == nil
	return o
}

// pass plans and applies; it stops after this many writes.
func (w *world) pass(writes int) {
	p := makePlan(w.observe())
	for _, job := range p.trial.abandon {
		if writes--; writes < 0 {
			return
		}
		delete(w.running, job.Name)
	}
	if p.trial.start != nil {
		if writes--; writes < 0 {
			return
		}
		if renews := w.awaited() && !proof.IsYoung(&w.o.service.Status, w.o.now); w.passed[w.secret()] && !renews {
			w.Fatalf("a handle that passed is tried again, and nobody waits for that")
		}
		w.made++
		name := fmt.Sprintf("visits-%d", w.made)
		w.running[name] = true
		p.status.Verification.Job = &v1alpha1.JobReference{Name: name, UID: string(uidOf(name))}
	}
	if writes--; writes < 0 {
		return
	}
	w.o.service.Status = *p.status.DeepCopy()
	w.o.happened = happening{}
	w.passed[w.secret()] = strings.HasPrefix(verified(p), "True/")
	// Nothing has happened since: nothing is done.
	again := makePlan(w.observe())
	if again.trial.start != nil || len(again.trial.abandon) > 0 || !equality.Semantic.DeepEqual(again.status, p.status) {
		w.Fatalf("a second pass writes: %+v", again.status)
	}
}

func (w *world) awaited() bool { return len(w.o.named) > 0 && proof.Awaits(&w.o.named[0]) }

func (w *world) secret() string { return fmt.Sprintf("rds-%d", w.handle) }

func (w *world) act(action string) {
	switch action {
	case "pass":
		w.pass(3)
	case "crash":
		w.pass(rapid.IntRange(0, 2).Draw(w.T, "writes"))
	case "end a Job":
		for _, name := range slices.Sorted(maps.Keys(w.running)) {
			w.exits[name] = rapid.SampledFrom([]int32{0, 0, 20, 23, 10, 2, -1}).Draw(w.T, "code")
			delete(w.running, name)
			return
		}
	case "collect old Jobs":
		clear(w.exits)
	case "another handle":
		w.handle = (w.handle + rapid.IntRange(1, 2).Draw(w.T, "handle")) % 3
		w.o.service.Spec.External.SecretRef = &v1alpha1.SecretKeyReference{Name: w.secret(), Key: "url"}
		w.o.service.Generation++
		delete(w.passed, w.secret()) // a handle that comes back is tried again
	case "an edit":
		w.o.service.Generation++
	case "time":
		w.o.now = w.o.now.Add(time.Duration(rapid.IntRange(1, 700).Draw(w.T, "seconds")) * time.Second)
	case "a Binding comes":
		w.o.named, w.o.happened.named = []v1alpha1.Binding{namingBinding("b", nil)}, true
	case "a Binding waits for a proof":
		w.o.named = []v1alpha1.Binding{awaitingBinding("b")}
	case "a Binding goes":
		w.o.named = nil
	}
}

func TestOneJobAtATimeAndNoneForWhatPassed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{T: t, running: map[string]bool{}, exits: map[string]int32{}, passed: map[string]bool{}}
		w.o = observed(secretSpec, secretIs(existence{known: true, exists: true}))
		w.o.service.Spec.External = &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{Name: "rds-0", Key: "url"}}
		actions := []string{
			"pass", "pass", "crash", "end a Job", "end a Job", "collect old Jobs", "another handle", "an edit", "time",
			"a Binding comes", "a Binding waits for a proof", "a Binding goes",
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.act(rapid.SampledFrom(actions).Draw(t, "action"))
			if len(w.running) > 1 {
				t.Fatalf("%d Jobs run: %v", len(w.running), w.running)
			}
		}
		// If nothing more happens, a Binding waits and the Jobs succeed, the handle passes.
		w.act("a Binding comes")
		for range 6 {
			w.pass(3)
			for name := range w.running {
				w.exits[name] = 0
				delete(w.running, name)
			}
			w.o.now = w.o.now.Add(trialPauseMax)
		}
		if !w.passed[w.secret()] {
			t.Fatalf("it never passes: %+v", w.o.service.Status)
		}
	})
}
