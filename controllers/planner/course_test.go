package planner

import (
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// scale is what an owner, or an autoscaler, does. The Deployment controller has not seen it yet.
func (w *world) scale(replicas int32) *world {
	return byHand(w, func(d *appsv1.Deployment) { d.Spec.Replicas = &replicas })
}

// annotate changes an annotation of the Deployment, which raises its generation too.
func (w *world) annotate(value string) *world {
	return byHand(w, func(d *appsv1.Deployment) { d.Annotations["note"] = value })
}

// restart is `kubectl rollout restart`.
func (w *world) restart(value string) *world {
	return byHand(w, func(d *appsv1.Deployment) {
		d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": value}
	})
}

func (w *world) image(image string) *world {
	return byHand(w, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
}

// pods sets what the Deployment controller says about its Pods.
func (w *world) pods(updated, available, all, terminating int32) *world {
	w.deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: w.deployment.Generation, Replicas: all, UpdatedReplicas: updated, AvailableReplicas: available, TerminatingReplicas: &terminating,
	}
	return w
}

func (w *world) condition(conditionType appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) *world {
	w.deployment.Status.Conditions = append(w.deployment.Status.Conditions, appsv1.DeploymentCondition{
		Type: conditionType, Status: status, Reason: reason, Message: message,
	})
	return w
}

// under makes a policy of the cluster change each Deployment that is written.
func under(w *world, policy func(*appsv1.Deployment)) *world {
	w.policy = policy
	return w
}

func stamps() func(*appsv1.Deployment) {
	n := 0
	return func(d *appsv1.Deployment) {
		n++
		d.Spec.Template.Annotations = map[string]string{"policy.example.com/stamp": strconv.Itoa(n)}
	}
}

func mirrors(d *appsv1.Deployment) {
	c := &d.Spec.Template.Spec.Containers[0]
	if !strings.HasPrefix(c.Image, "mirror/") {
		c.Image = "mirror/" + c.Image
	}
}

// startSwap is a world in which the swap from visits to visits2 starts, under a policy of the cluster.
func startSwap(t reporter, policy func(*appsv1.Deployment)) *world {
	return under(attached(t).later(time.Minute).edit("b", serviceRef("visits2")), policy).pass(time.Second)
}

// never is a world with an app that was never available, and is attached for the first time.
func never(t reporter) *world {
	w := newWorld(t).deploy().service("visits").pods(1, 0, 1, 0).bind("b", "visits")
	w.reconcile()
	return w
}

// failedFirst is a world in which a first attachment was rolled back: new Pods did not come, for another reason.
func failedFirst(t reporter) *world {
	w := newWorld(t).deploy().service("visits").bind("b", "visits")
	w.reconcile()
	return w.fails().later(time.Minute).stuck().pass(time.Second).settle()
}

func swapPolicy(timeout, settling time.Duration) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) {
		b.Spec.Swap = &v1alpha1.SwapPolicy{Timeout: duration(timeout), SettlingTime: duration(settling)}
	}
}

// The app ends on the new service with every Pod healthy, or on the old one as before. Nothing is judged that was not
// seen.
func TestARolloutIsJudgedRightly(t *testing.T) {
	const rolledBack, succeeded, inProgress = "visits>visits2 RolledBack, >visits Succeeded", "visits>visits2 Succeeded, >visits Succeeded", "visits>visits2 InProgress, >visits Succeeded"
	quotaIsFull := func(w *world) *world {
		return w.pods(0, 1, 1, 0).condition(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate", `pods "pinger-1" is forbidden: exceeded quota: pods`)
	}
	for name, test := range map[string]struct {
		world    func(t reporter) *world
		carries  string
		ready    string
		mention  string
		stalled  bool
		outcomes string
		state    v1alpha1.AttachmentState
	}{
		"rolled back, although a policy stamps the template that Bindery writes": {
			func(t reporter) *world { return startSwap(t, stamps()).rollOut().pass(time.Second).crashes() },
			"visits-1/uri", "False/RolledBack", "", true, rolledBack, v1alpha1.AttachmentRollingOut,
		},
		"rolled back, although a policy sets another image when Bindery writes": {
			func(t reporter) *world { return startSwap(t, mirrors).rollOut().pass(time.Second).crashes() },
			"visits-1/uri", "False/RolledBack", "", true, rolledBack, v1alpha1.AttachmentRollingOut,
		},
		"rolled back, although the owner has restarted the app since": {
			func(t reporter) *world {
				return swapped(t).rollOut().pass(time.Second).restart("now").rollOut().pass(time.Second).crashes()
			},
			"visits-1/uri", "False/RolledBack", "", true, rolledBack, v1alpha1.AttachmentRollingOut,
		},
		"a first attachment is not tried again for the stamp of a policy": {
			func(t reporter) *world {
				w := newWorld(t).deploy().service("visits").bind("b", "visits")
				under(w, stamps()).reconcile()
				w.fails().later(time.Minute).stuck().pass(time.Second).settle()
				return w.restart("now").settle()
			},
			"", "False/RolledBack", "", true, ">visits RolledBack", "",
		},
		"a first attachment is tried again when the owner has changed the Pods": {
			func(t reporter) *world { return failedFirst(t).image("pinger:2").settle() },
			"visits-1/uri", "True/Ready", "", false, ">visits Succeeded, >visits RolledBack", v1alpha1.AttachmentSettled,
		},
		"and is rolled back again when that fails too": {
			func(t reporter) *world {
				w := failedFirst(t).image("pinger:2").rollOut().pass(time.Second)
				return w.fails().later(time.Minute).stuck().pass(time.Second).settle()
			},
			"", "False/RolledBack", "", true, ">visits RolledBack, >visits RolledBack", "",
		},
		"but not for ever": {
			func(t reporter) *world {
				w := failedFirst(t)
				for i := range 9 {
					w.image("pinger:" + strconv.Itoa(i+2)).rollOut().pass(time.Second)
					w.fails().later(time.Minute).stuck().pass(time.Second).settle()
				}
				return w
			},
			"", "False/RolledBack", "", true, strings.TrimSuffix(strings.Repeat(">visits RolledBack, ", mostTries), ", "), "",
		},
		"a first attachment is tried again when a rollout that was stuck before has ended": {
			func(t reporter) *world {
				w := newWorld(t).deploy().service("visits").fails().bind("b", "visits") // its ConfigMap comes late
				w.reconcile()
				w.fails().later(time.Minute).stuck().pass(time.Second).fails().pass(time.Minute)
				return w.rollOut().settle()
			},
			"visits-1/uri", "True/Ready", "", false, ">visits Succeeded, >visits RolledBack", v1alpha1.AttachmentSettled,
		},
		"but once only": {
			func(t reporter) *world {
				w := newWorld(t).deploy().service("visits").fails().bind("b", "visits")
				w.reconcile()
				w.fails().later(time.Minute).stuck().pass(time.Second).fails().pass(time.Minute)
				return w.rollOut().pass(time.Second).fails().later(time.Minute).stuck().pass(time.Second).settle()
			},
			"", "False/RolledBack", "", true, ">visits RolledBack, >visits RolledBack", "",
		},
		"a swap that was rolled back is not tried again: the app has what it had": {
			func(t reporter) *world {
				return swapped(t).rollOut().pass(time.Second).crashes().settle().image("pinger:2").settle()
			},
			"visits-1/uri", "False/RolledBack", "", true, rolledBack, v1alpha1.AttachmentSettled,
		},
		"an app that was never available keeps its first variable": {
			func(t reporter) *world { return never(t).fails().later(time.Minute).stuck().pass(time.Minute) },
			"visits-1/uri", "False/ProgressDeadlineExceeded", "no Pod was available before it came either", true, ">visits Failed", v1alpha1.AttachmentFailed,
		},
		"and is Ready when its owner has mended it": {
			func(t reporter) *world {
				return never(t).fails().later(time.Minute).stuck().pass(time.Minute).image("pinger:2").settle()
			},
			"visits-1/uri", "True/Ready", "", false, ">visits Succeeded", v1alpha1.AttachmentSettled,
		},
		"a full quota holds the rollout": {
			func(t reporter) *world { return quotaIsFull(swapped(t)).pass(time.Hour) },
			"visits2-1/uri", "False/RolloutQuotaExceeded", "exceeded quota: pods", true, inProgress, v1alpha1.AttachmentHeld,
		},
		"and the rollout goes on when there is room": {
			func(t reporter) *world { return quotaIsFull(swapped(t)).pass(time.Hour).rollOut().settle() },
			"visits2-1/uri", "True/Ready", "", false, succeeded, v1alpha1.AttachmentSettled,
		},
		"what refuses the Pods is said when it is rolled back": {
			func(t reporter) *world {
				w := swapped(t).later(time.Minute).pods(0, 1, 1, 0)
				w.condition(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate", "violates PodSecurity")
				return w.pass(11 * time.Minute)
			},
			"visits-1/uri", "False/RolledBack", "violates PodSecurity", true, rolledBack, v1alpha1.AttachmentRollingOut,
		},
		"no time counts while the last Pods are being stopped": {
			func(t reporter) *world {
				return swapped(t).fails().pass(time.Second).scale(0).pods(1, 0, 1, 0).pass(time.Hour)
			},
			"visits2-1/uri", "False/RollingOut", "Pods are being stopped", false, inProgress, v1alpha1.AttachmentHeld,
		},
		"without a Pod nothing was proved": {
			func(t reporter) *world {
				return swapped(t).fails().pass(time.Second).scale(0).pods(0, 0, 0, 0).pass(time.Hour)
			},
			"visits2-1/uri", "True/NoPods", "nothing was proved", false, inProgress, v1alpha1.AttachmentHeld,
		},
		"that is judged when there are Pods": {
			func(t reporter) *world {
				w := swapped(t).fails().pass(time.Second).scale(0).pods(0, 0, 0, 0).pass(time.Hour)
				return w.scale(1).rollOut().pass(time.Second).crashes()
			},
			"visits-1/uri", "False/RolledBack", "", true, rolledBack, v1alpha1.AttachmentRollingOut,
		},
		"an app that is scaled up after its swap": {
			func(t reporter) *world {
				w := attached(t).scale(0).pods(0, 0, 0, 0).pass(time.Minute).edit("b", serviceRef("visits2")).pass(time.Second).pods(0, 0, 0, 0).pass(time.Hour)
				return w.scale(1).rollOut().settle()
			},
			"visits2-1/uri", "True/Ready", "", false, succeeded, v1alpha1.AttachmentSettled,
		},
		"the time of a pause does not count": {
			func(t reporter) *world {
				w := paused(swapped(t, timeout(20*time.Second))).pass(time.Hour)
				w.deployment.Spec.Paused = false
				return w.fails().pass(19 * time.Second)
			},
			"visits2-1/uri", "False/RollingOut", "", false, inProgress, v1alpha1.AttachmentRollingOut,
		},
		"after a pause the timeout holds again": {
			func(t reporter) *world {
				w := paused(swapped(t, timeout(20*time.Second))).pass(time.Hour)
				w.deployment.Spec.Paused = false
				return w.fails().pass(23 * time.Second)
			},
			"visits-1/uri", "False/RolledBack", "spec.swap.timeout", true, rolledBack, v1alpha1.AttachmentRollingOut,
		},
		"also where the operator was not there when the pause ended": {
			func(t reporter) *world {
				w := paused(swapped(t, timeout(20*time.Second))).pass(time.Minute)
				w.deployment.Spec.Paused = false
				return w.restartOperator().later(time.Hour).fails().pass(19 * time.Second)
			},
			"visits2-1/uri", "False/RollingOut", "", false, inProgress, v1alpha1.AttachmentRollingOut,
		},
		"nothing is judged while the status lags behind": {
			func(t reporter) *world {
				return swapped(t, swapPolicy(20*time.Second, time.Minute)).rollOut().pass(30 * time.Second).annotate("x").pass(10 * time.Second)
			},
			"visits2-1/uri", "False/Settling", "1 of 1 Pods", false, inProgress, v1alpha1.AttachmentSettling,
		},
		"a settling time that is longer than the timeout": {
			func(t reporter) *world {
				return swapped(t, swapPolicy(20*time.Second, time.Minute)).rollOut().pass(30 * time.Second).annotate("x").pass(time.Second).rollOut().pass(35 * time.Second)
			},
			"visits2-1/uri", "True/Ready", "", false, succeeded, v1alpha1.AttachmentSettled,
		},
		"an annotation every five seconds": {
			func(t reporter) *world {
				w := swapped(t).rollOut().pass(time.Second)
				for i := range 3 {
					w.annotate(strconv.Itoa(i)).pass(time.Second).rollOut().pass(4 * time.Second)
				}
				return w
			},
			"visits2-1/uri", "True/Ready", "", false, succeeded, v1alpha1.AttachmentSettled,
		},
		"an autoscaler at work": {
			func(t reporter) *world {
				w := swapped(t).rollOut().pass(time.Second)
				for _, replicas := range []int32{3, 2, 5, 4} {
					w.scale(replicas).pass(time.Second).pods(replicas, 1, replicas, 0).pass(2 * time.Second)
				}
				return w
			},
			"visits2-1/uri", "True/Ready", "", false, succeeded, v1alpha1.AttachmentSettled,
		},
		"an older Pod that ends slowly": {
			func(t reporter) *world { return swapped(t).pods(1, 1, 1, 1).pass(time.Hour) },
			"visits2-1/uri", "False/Draining", "1 older Pods have not ended yet", false, succeeded, v1alpha1.AttachmentDraining,
		},
		"and has ended": {
			func(t reporter) *world {
				return swapped(t).pods(1, 1, 1, 1).pass(time.Hour).rollOut().pass(time.Second)
			},
			"visits2-1/uri", "True/Ready", "", false, succeeded, v1alpha1.AttachmentSettled,
		},
		"while the new ones crash later on": {
			func(t reporter) *world {
				return swapped(t).pods(1, 1, 1, 1).pass(time.Hour).rollOut().pass(time.Second).crashes()
			},
			"visits2-1/uri", "True/Ready", "", false, succeeded, v1alpha1.AttachmentSettled,
		},
		"a Pod that somebody deletes while they settle": {
			func(t reporter) *world {
				return swapped(t).pass(3*time.Second).rollOut().pass(3*time.Second).pods(1, 0, 1, 1).pass(4 * time.Second).rollOut().settle()
			},
			"visits2-1/uri", "True/Ready", "", false, succeeded, v1alpha1.AttachmentSettled,
		},
		"a Pod that is gone between two looks": {
			func(t reporter) *world {
				return swapped(t).pass(3 * time.Second).rollOut().pass(3 * time.Second).loses().pass(4 * time.Second).rollOut().settle()
			},
			"visits2-1/uri", "True/Ready", "", false, succeeded, v1alpha1.AttachmentSettled,
		},
		"a Pod that crashes again and again": {
			func(t reporter) *world {
				w := swapped(t).pass(3 * time.Second).rollOut().pass(3 * time.Second)
				return w.loses().pass(time.Second).rollOut().pass(3 * time.Second).loses().pass(time.Second)
			},
			"visits-1/uri", "False/RolledBack", "were available with the new handle and are not any more", true, rolledBack, v1alpha1.AttachmentRollingOut,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world(t)
			status := w.status("b")
			ready := condition.Find(status.Conditions, v1alpha1.ConditionReady)
			if got := w.carries("pinger", "REDIS_URL"); got != test.carries {
				t.Errorf("the template carries %q, want %q", got, test.carries)
			}
			if got := string(ready.Status) + "/" + ready.Reason; got != test.ready || !strings.Contains(ready.Message, test.mention) {
				t.Errorf("Ready=%s: %s; want %s with %q", got, ready.Message, test.ready, test.mention)
			}
			if got := isStalled(status.Conditions); got != test.stalled {
				t.Errorf("Stalled is %t, want %t", got, test.stalled)
			}
			if got := outcomes(status); got != test.outcomes {
				t.Errorf("history: %s\nwant:    %s", got, test.outcomes)
			}
			state := v1alpha1.AttachmentState("")
			if status.Current != nil {
				state = status.Current.State
			}
			if state != test.state {
				t.Errorf("state %q, want %q", state, test.state)
			}
		})
	}
}

func TestATimeoutInWhichNoRolloutCanEnd(t *testing.T) {
	w := byHand(attached(t), func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 30 }).settle()
	generations := w.generations
	w.edit("b", func(b *v1alpha1.Binding) { serviceRef("visits2")(b); timeout(30 * time.Second)(b) }).settle()
	ready := condition.Find(w.status("b").Conditions, v1alpha1.ConditionReady)
	if w.generations != generations || ready.Reason != v1alpha1.ReasonTimeoutTooShort || !isStalled(w.status("b").Conditions) {
		t.Errorf("%d changes, Ready=%s/%s: %s", w.generations-generations, ready.Status, ready.Reason, ready.Message)
	}
	if w.edit("b", timeout(31*time.Second)).settle(); w.says("b", v1alpha1.ConditionReady) != "True/Ready" || w.carries("pinger", "REDIS_URL") != "visits2-1/uri" {
		t.Errorf("with more time: Ready=%s", w.says("b", v1alpha1.ConditionReady))
	}
}

// Bindery cannot know which variables a container has from its envFrom.
func TestEnvFrom(t *testing.T) {
	from := func(prefix string) corev1.Container {
		return corev1.Container{Name: "pinger", EnvFrom: []corev1.EnvFromSource{{Prefix: prefix, SecretRef: &corev1.SecretEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}}
	}
	forbid := func(b *v1alpha1.Binding) { b.Spec.EnvFrom = v1alpha1.EnvFromForbid }
	for name, test := range map[string]struct {
		container corev1.Container
		change    func(*v1alpha1.Binding)
		carries   string
		reason    string
		mention   string
	}{
		"a Secret that may have it":     {from(""), env(), "visits-1/uri", v1alpha1.ReasonInjected, "container pinger takes all keys of Secret settings"},
		"with a prefix that it begins":  {from("REDIS_"), env(), "visits-1/uri", v1alpha1.ReasonInjected, "Secret settings"},
		"with a prefix that it has not": {from("APP_"), forbid, "visits-1/uri", v1alpha1.ReasonInjected, ""},
		"and that is forbidden":         {from(""), forbid, "", v1alpha1.ReasonEnvFrom, "set spec.envFrom to Allow"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).deploy(test.container).service("visits").bind("b", "visits", test.change)
			warned := Make(w.observation()).Warnings["b"]
			w.settle()
			injected := condition.Find(w.status("b").Conditions, v1alpha1.ConditionInjected)
			if got := w.carries("pinger", "REDIS_URL"); got != test.carries || injected.Reason != test.reason || !strings.Contains(injected.Message, test.mention) {
				t.Errorf("it carries %q, Injected %s: %s", got, injected.Reason, injected.Message)
			}
			if want := test.reason == v1alpha1.ReasonInjected && test.mention != ""; (warned != "") != want {
				t.Errorf("warned: %q", warned)
			}
		})
	}
}
