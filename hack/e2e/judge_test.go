//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// besideRequests is what a container of testdata/judged.yaml asks for.
const besideRequests = `          resources:
            requests: {cpu: 5m, memory: 4Mi}
            limits: {memory: 16Mi}
`

// trial is one app whose swap is to be judged rightly, step by step.
type trial struct {
	name string
	// manifest of the app: replacements in testdata/judged.yaml.
	manifest []string
	// policy of the Binding.
	policy v1alpha1.SwapPolicy
	// late: the app is not attached yet when the steps begin.
	late  bool
	steps []func(s *scene)
}

// How a rollout is judged, on real Pods. The steps of all trials are taken in turns, so that their waits pass together.
func TestJudgement(t *testing.T) {
	t.Parallel()
	trials := []trial{
		trialOfRestart(), trialOfPolicy(), trialOfScale(), trialOfFix(), trialOfQuota(), trialOfDrain(), trialOfDeletion(), trialOfAutoscaler(),
	}
	suite.Test(t, features.New("an app ends on the new service with every Pod healthy, or on the old one as before").
		Setup(in(func(s *scene) {
			for _, name := range []string{"good", "good2", "bad"} {
				s.provision(name, v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{URL: "redis://" + name + ":6379"}})
			}
			s.awaitService("good", "good2", "bad")
			for _, tr := range trials {
				s.kubectlReads(judged(tr.name, tr.manifest...), "apply", "-f", "-")
			}
			for _, tr := range trials {
				s.awaitDeployment(tr.name)
				if !tr.late {
					s.create(tr.binding("good"))
				}
			}
			for _, tr := range trials {
				if !tr.late {
					s.awaitBinding(tr.name)
				}
			}
		})).
		Assess("whatever comes in between", in(func(s *scene) {
			for step, more := 0, true; more; step++ {
				more = false
				for _, tr := range trials {
					if step < len(tr.steps) {
						s.Logf("%s, step %d", tr.name, step+1)
						tr.steps[step](s)
						more = true
					}
				}
			}
		})).
		Feature())
}

func judged(name string, oldnew ...string) string {
	text, err := os.ReadFile("testdata/judged.yaml")
	if err != nil {
		panic(err)
	}
	return strings.NewReplacer(append([]string{"name: judged\n", "name: " + name + "\n", "{app: judged}", "{app: " + name + "}"}, oldnew...)...).Replace(string(text))
}

func (tr trial) binding(service string) *v1alpha1.Binding {
	b := bindingOf(tr.name, tr.name, service)
	*b.Spec.Swap = tr.policy
	b.Spec.Swap.Verify = v1alpha1.VerifyNever // nothing is there, and the app does not ask
	if b.Spec.Swap.SettlingTime == nil {
		b.Spec.Swap.SettlingTime = &metav1.Duration{Duration: 5 * time.Second}
	}
	return b
}

// begun waits until the Pod template carries a service.
func begun(name, service string) func(*scene) {
	return func(s *scene) {
		s.await("the swap of "+name+" has begun", soon, func() string {
			if now := get[v1alpha1.Binding](s, name).Status.Current; now == nil || now.Service != service {
				return fmt.Sprintf("status.current is %+v", now)
			}
			return ""
		})
	}
}

// atOnce is one step of several, between which no other trial has its turn.
func atOnce(acts ...func(*scene)) func(*scene) {
	return func(s *scene) {
		for _, act := range acts {
			act(s)
		}
	}
}

func swap(name, service string) func(*scene) { return func(s *scene) { s.swap(name, service) } }

func runKubectl(arguments ...string) func(*scene) { return func(s *scene) { s.kubectl(arguments...) } }

// isRolledBack waits until the app has again what it had.
func isRolledBack(name, from string) func(*scene) {
	return func(s *scene) {
		s.await("Binding "+name+" says RolledBack", patience, func() string {
			b := get[v1alpha1.Binding](s, name)
			return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRolledBack)
		})
		s.awaitDeployment(name)
		current := get[v1alpha1.Binding](s, name).Status.Current
		if from == "" && current != nil || from != "" && (current == nil || current.Service != from) {
			s.Errorf("status.current of %s is %+v, want %q", name, current, from)
		}
	}
}

// endsReady waits until a Binding is Ready, for the reason of that name, on a service.
func endsReady(name, service, reason string, outcome v1alpha1.SwapOutcome) func(*scene) {
	return func(s *scene) {
		s.await("Binding "+name+" says Ready for "+reason, patience, func() string {
			b := get[v1alpha1.Binding](s, name)
			return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionTrue, reason)
		})
		status := get[v1alpha1.Binding](s, name).Status
		if status.Current.Service != service || status.History[0].Outcome != outcome {
			s.Errorf("%s is on %s, and its history begins with %s; want %s, %s", name, status.Current.Service, s.asJSON(status.History[0]), service, outcome)
		}
	}
}

// says waits until a Binding is not Ready for a reason, and the message tells why.
func says(name, reason, mention string) func(*scene) {
	return func(s *scene) {
		s.await("Binding "+name+" says "+reason, patience, func() string {
			b := get[v1alpha1.Binding](s, name)
			if why := unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, reason); why != "" {
				return why
			}
			for _, c := range b.Status.Conditions {
				if c.Type == v1alpha1.ConditionReady && !strings.Contains(c.Message, mention) {
					return fmt.Sprintf("it says %q, without %q", c.Message, mention)
				}
			}
			return ""
		})
	}
}

// longSettling is longer than an app needs to crash on a busy machine.
var longSettling = v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{Duration: 20 * time.Second}}

func trialOfRestart() trial {
	return trial{name: "restarted", policy: longSettling, steps: []func(*scene){
		atOnce(swap("restarted", "bad"), begun("restarted", "bad"), runKubectl("rollout", "restart", "deployment/restarted")), isRolledBack("restarted", "good"),
	}}
}

func trialOfPolicy() trial {
	return trial{name: "stamped", policy: longSettling, steps: []func(*scene){
		func(s *scene) {
			text, err := os.ReadFile("testdata/stamp.yaml")
			s.no(err)
			policy := strings.ReplaceAll(string(text), "NAMESPACE", s.namespace)
			s.kubectlReads(policy, "apply", "-f", "-")
			s.Cleanup(func() { s.kubectlReads(policy, "delete", "-f", "-") })
			s.await("the policy is in force", soon, func() string {
				return unlike("seen", s.kubectl("annotate", "deployment/stamped", "try=1", "--dry-run=server",
					"-o", `jsonpath={.spec.template.metadata.annotations.policy\.example\.com/stamp}`))
			})
		},
		swap("stamped", "bad"), isRolledBack("stamped", "good"),
	}}
}

func unlike(want, got string) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("it says %q", got)
}

// Scaled to nothing while it crashes, and back.
func trialOfScale() trial {
	return trial{name: "scaled", policy: v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{Duration: 20 * time.Second}}, steps: []func(*scene){
		atOnce(swap("scaled", "bad"), begun("scaled", "bad"), runKubectl("scale", "deployment/scaled", "--replicas=0")),
		endsReady("scaled", "bad", v1alpha1.ReasonNoPods, v1alpha1.SwapInProgress), runKubectl("scale", "deployment/scaled", "--replicas=1"),
		isRolledBack("scaled", "good"),
	}}
}

// A first attachment to an app whose new Pods cannot start for another reason, which its owner mends then.
func trialOfFix() trial {
	const broken = `{"spec":{"template":{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"nowhere"}}]}]}}}}`
	const mended = `{"spec":{"template":{"spec":{"containers":[{"name":"app","envFrom":null}]}}}}`
	create := func(s *scene) {
		s.kubectl("patch", "deployment", "fixed", "-p", broken)
		s.create(trial{name: "fixed", policy: v1alpha1.SwapPolicy{Timeout: &metav1.Duration{Duration: 5 * time.Second}}}.binding("good"))
	}
	rolledBack := func(s *scene) {
		s.await("Binding fixed says RolledBack", patience, func() string {
			b := get[v1alpha1.Binding](s, "fixed")
			return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRolledBack)
		})
	}
	return trial{name: "fixed", late: true, steps: []func(*scene){
		create, rolledBack, runKubectl("patch", "deployment", "fixed", "-p", mended), endsReady("fixed", "good", v1alpha1.ReasonReady, v1alpha1.SwapSucceeded),
	}}
}

// A quota that has no room for the Pod that is to come, and then has.
func trialOfQuota() trial {
	const name = "limited"
	quota := func(pods string) corev1.ResourceQuotaSpec {
		return corev1.ResourceQuotaSpec{
			Hard:   corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)},
			Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}, // this app alone asks for nothing
		}
	}
	return trial{name: name, manifest: []string{besideRequests, ""}, steps: []func(*scene){
		func(s *scene) {
			s.create(&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: quota("1")})
			s.await("the quota counts", soon, func() string {
				used := get[corev1.ResourceQuota](s, name).Status.Used[corev1.ResourcePods]
				return unlike("1", used.String())
			})
		},
		swap(name, "good2"), says(name, v1alpha1.ReasonRolloutQuotaExceeded, "exceeded quota: "+name),
		func(s *scene) { edit(s, name, func(q *corev1.ResourceQuota) { q.Spec.Hard = quota("3").Hard }) },
		endsReady(name, "good2", v1alpha1.ReasonReady, v1alpha1.SwapSucceeded),
	}}
}

// An older Pod that takes longer to end than the Deployment has time for its rollout.
func trialOfDrain() trial {
	return trial{name: "drained", manifest: []string{"terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 45\n", "replicas: 1\n", "replicas: 1\n  progressDeadlineSeconds: 30\n"}, steps: []func(*scene){
		atOnce(swap("drained", "good2"), says("drained", v1alpha1.ReasonDraining, "older Pods have not ended yet")),
		endsReady("drained", "good2", v1alpha1.ReasonReady, v1alpha1.SwapSucceeded),
	}}
}

// A Pod that somebody deletes while the new ones settle.
func trialOfDeletion() trial {
	return trial{name: "deleted", manifest: []string{"replicas: 1\n", "replicas: 2\n"}, policy: v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{Duration: 12 * time.Second}}, steps: []func(*scene){
		atOnce(swap("deleted", "good2"), says("deleted", v1alpha1.ReasonSettling, ""), func(s *scene) {
			s.kubectl("delete", "pod", s.pods(map[string]string{"app": "deleted"})[0].Name, "--wait=false")
		}),
		endsReady("deleted", "good2", v1alpha1.ReasonReady, v1alpha1.SwapSucceeded),
	}}
}

// What an autoscaler and annotations do while the new Pods settle.
func trialOfAutoscaler() trial {
	acts := []func(*scene){swap("grown", "good2"), begun("grown", "good2")}
	for _, replicas := range []string{"3", "2", "3"} {
		acts = append(acts, runKubectl("scale", "deployment/grown", "--replicas="+replicas), runKubectl("annotate", "deployment/grown", "--overwrite", "seen="+replicas))
	}
	return trial{name: "grown", policy: v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{Duration: 30 * time.Second}, Timeout: &metav1.Duration{Duration: 25 * time.Second}},
		steps: []func(*scene){atOnce(acts...), endsReady("grown", "good2", v1alpha1.ReasonReady, v1alpha1.SwapSucceeded), func(s *scene) {
			if got := get[appsv1.Deployment](s, "grown").Generation; got < 6 {
				s.Errorf("generation %d: nobody has changed it in between", got)
			}
		}}}
}
