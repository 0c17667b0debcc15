package backingservice

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// composedSpec is a service whose handle is composed of keys of a Secret.
var composedSpec = v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeMySQL, External: &v1alpha1.ExternalSource{
	SecretRef: &v1alpha1.SecretKeyReference{Name: "rds", Key: "uri", Compose: "mysql://$(username):$(password)@$(host)/shop"},
}}

var ca = &v1alpha1.AuthorityReference{Kind: v1alpha1.AuthorityConfigMap, Name: "rds-ca", Key: "ca.crt"}

// external is an observation of a service that somebody else runs and whose Secret exists.
func external(spec v1alpha1.BackingServiceSpec, change ...func(*v1alpha1.ExternalSource)) observation {
	source := *spec.External.DeepCopy()
	for _, f := range change {
		f(&source)
	}
	spec.External = &source
	return observed(spec, secretIs(existence{known: true, exists: true}))
}

func withCA(source *v1alpha1.ExternalSource) { source.CARef = ca.DeepCopy() }

func TestTheHandleOfAnExternalService(t *testing.T) {
	for name, test := range map[string]struct {
		observation observation
		want        v1alpha1.Handle
		says        string
	}{
		"one key": {external(secretSpec), v1alpha1.Handle{SecretName: "rds", Key: "url", Revision: 1}, "the key url of Secret rds"},
		"several keys": {
			external(composedSpec),
			v1alpha1.Handle{SecretName: "rds", Compose: "mysql://$(username):$(password)@$(host)/shop", Revision: 1},
			"composed of the keys username, password, host of Secret rds",
		},
		"several keys, for apps": {
			external(composedSpec, func(s *v1alpha1.ExternalSource) { s.SecretRef.ComposeFor = v1alpha1.ComposeForApp }),
			v1alpha1.Handle{SecretName: "rds", Compose: "mysql://$(username):$(password)@$(host)/shop", Revision: 1}, "",
		},
		"several keys, for the probe": {
			external(composedSpec, func(s *v1alpha1.ExternalSource) { s.SecretRef.ComposeFor = v1alpha1.ComposeForProbe }),
			v1alpha1.Handle{SecretName: "rds", Compose: "mysql://$(username):$(password)@$(host)/shop", ComposeFor: v1alpha1.ComposeForProbe, Revision: 1}, "",
		},
		"an authority": {external(secretSpec, withCA), v1alpha1.Handle{SecretName: "rds", Key: "url", Authority: ca, Revision: 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status := makePlan(test.observation).status
			if diff := cmp.Diff(&test.want, status.Handle); diff != "" {
				t.Errorf("the handle (-want +got):\n%s", diff)
			}
			if got := condition.Find(status.Conditions, v1alpha1.ConditionReady); got.Status != metav1.ConditionTrue || !strings.Contains(got.Message, test.says) {
				t.Errorf("Ready=%s: %s", got.Status, got.Message)
			}
			if v := status.Verification; v == nil || v.Revision != 1 || !v.IsOf(status.Handle) {
				t.Errorf("the trial is %+v", v)
			}
		})
	}
}

// Each change of how the handle is used is another revision, which is tried again; no other change is.
func TestAnotherRevisionOfAHandle(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1alpha1.BackingServiceSpec)
		want   int64
	}{
		"another Secret":          {func(s *v1alpha1.BackingServiceSpec) { s.External.SecretRef.Name = "rds2" }, 2},
		"another composition":     {func(s *v1alpha1.BackingServiceSpec) { s.External.SecretRef.Compose += "?tls=true" }, 2},
		"for the probe":           {func(s *v1alpha1.BackingServiceSpec) { s.External.SecretRef.ComposeFor = v1alpha1.ComposeForProbe }, 2},
		"for apps, as before":     {func(s *v1alpha1.BackingServiceSpec) { s.External.SecretRef.ComposeFor = v1alpha1.ComposeForApp }, 1},
		"one key":                 {func(s *v1alpha1.BackingServiceSpec) { s.External.SecretRef.Compose = "" }, 2},
		"no authority":            {func(s *v1alpha1.BackingServiceSpec) { s.External.CARef = nil }, 2},
		"another authority":       {func(s *v1alpha1.BackingServiceSpec) { s.External.CARef.Name = "rds-ca-2" }, 2},
		"another key of it":       {func(s *v1alpha1.BackingServiceSpec) { s.External.CARef.Key = "bundle.pem" }, 2},
		"something else":          {func(s *v1alpha1.BackingServiceSpec) { s.DeletionPolicy = v1alpha1.DeletionDelete }, 1},
		"nothing":                 {func(*v1alpha1.BackingServiceSpec) {}, 1},
		"an authority in another": {func(s *v1alpha1.BackingServiceSpec) { s.External.CARef.Kind = v1alpha1.AuthoritySecret }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			o := external(composedSpec, withCA)
			o.service.Status = begun(makePlan(o)).status
			o.jobs.present = nil
			o.jobs.present = append(o.jobs.present, endedJob(theJob, 0))
			o.service.Status = makePlan(o).status
			if got := condition.Find(o.service.Status.Conditions, v1alpha1.ConditionVerified); got.Status != metav1.ConditionTrue {
				t.Fatalf("Verified=%s/%s", got.Status, got.Reason)
			}
			test.change(&o.service.Spec)
			o.service.Generation++
			p := makePlan(o)
			if p.status.Handle.Revision != test.want {
				t.Errorf("revision %d, want %d", p.status.Handle.Revision, test.want)
			}
			if again := p.trial.start != nil; again != (test.want > 1) {
				t.Errorf("it is tried again: %v", again)
			}
		})
	}
}

// A Binding whose app is on the same Secret waits for the trial of another revision, and so the trials go on.
func TestABindingWaitsForAnotherRevision(t *testing.T) {
	o := external(composedSpec)
	o.service.Status = begun(makePlan(o)).status
	h := o.service.Status.Handle
	b := namingBinding("b", &v1alpha1.Attachment{Service: "visits", SecretName: "rds"})
	if o.isAwaitedBy(&b, h) {
		t.Error("the app is on the handle, and its Binding waits for it")
	}
	condition.Set(&b.Status.Conditions, v1alpha1.ConditionInjected, condition.False(v1alpha1.ReasonServiceNotVerified, ""), 0, noon)
	if !o.isAwaitedBy(&b, h) {
		t.Error("the Binding says that it waits, and does not count")
	}
	o.named = append(o.named, b)
	o.jobs.present = append(o.jobs.present, endedJob(theJob, exitcode.HandleNotEncoded))
	o.service.Status = makePlan(o).status
	o.service.Status.Verification.Attempt = 100
	o.now = o.now.Add(trialPauseMax + time.Second)
	if p := makePlan(o); p.trial.start == nil {
		t.Error("nobody tries it again")
	}
}

// The status of an earlier version, which knew no revisions, counts for the handle that it was about, and for no other.
func TestAProofOfAnEarlierVersion(t *testing.T) {
	o := external(secretSpec)
	o.service.Status = begun(makePlan(o)).status
	o.service.Status.Verification.Revision = 0
	if p := makePlan(o); p.trial.start != nil || !underWay(p.status.Verification) {
		t.Error("the trial of an earlier version is given up")
	}
	o.service.Spec.External.CARef = ca.DeepCopy()
	if p := makePlan(o); p.trial.start == nil {
		t.Error("the trial of an earlier version, without the authority, counts for the authority")
	}
}

func TestTheSentencesOfPartsAndAuthorities(t *testing.T) {
	const (
		keys      = "the keys username, password, host of Secret rds (spec.external.secretRef.compose)"
		authority = "key ca.crt of ConfigMap rds-ca (spec.external.caRef)"
	)
	for code, test := range map[int32]struct {
		change   func(*v1alpha1.ExternalSource)
		mentions []string
	}{
		exitcode.HandleNotEncoded:     {func(*v1alpha1.ExternalSource) {}, []string{keys, "percent-encode", "echo -n"}},
		exitcode.CredentialsRefused:   {func(*v1alpha1.ExternalSource) {}, []string{keys}},
		exitcode.HandleMissing:        {withCA, []string{keys, authority}},
		exitcode.CertificateUntrusted: {withCA, []string{"another authority than the one in " + authority, "correct " + authority}},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			o := external(composedSpec, test.change)
			o.service.Status = begun(makePlan(o)).status
			o.jobs.present = append(o.jobs.present, endedJob(theJob, code))
			got := condition.Find(makePlan(o).status.Conditions, v1alpha1.ConditionVerified)
			for _, mention := range test.mentions {
				if got.Status != metav1.ConditionFalse || !strings.Contains(got.Message, mention) {
					t.Errorf("Verified=%s: %s\nwant %q in it", got.Status, got.Message, mention)
				}
			}
		})
	}
	o := external(secretSpec)
	o.service.Status = begun(makePlan(o)).status
	o.jobs.present = append(o.jobs.present, endedJob(theJob, exitcode.CertificateUntrusted))
	if got := condition.Find(makePlan(o).status.Conditions, v1alpha1.ConditionVerified).Message; !strings.Contains(got, "name the authority with spec.external.caRef") {
		t.Errorf("without an authority: %s", got)
	}
}
