package controllers_test

import (
	"fmt"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

// revisionAnnotation is what the Deployment controller writes on a Deployment that has started.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// waitsForBindings is only about the policy: which Deployments it creates paused.
func waitsForBindings(s *policedScene) {
	b := map[string]string{v1alpha1.WaitForBindingsAnnotation: "b"}
	working := func() *coordinationv1.LeaseSpec { return leaseOf("operator", 90, time.Now()) }
	renewed := func(ago time.Duration) func() *coordinationv1.LeaseSpec {
		return func() *coordinationv1.LeaseSpec { return leaseOf("operator", 90, time.Now().Add(-ago)) }
	}
	for name, test := range map[string]struct {
		annotations map[string]string
		want        bool
	}{
		"a Deployment that names a Binding":           {b, true},
		"a Deployment that names several":             {map[string]string{v1alpha1.WaitForBindingsAnnotation: "b,\nc"}, true},
		"a Deployment that names nothing":             {map[string]string{v1alpha1.WaitForBindingsAnnotation: " ,\n"}, false},
		"a Deployment that has started before":        {map[string]string{v1alpha1.WaitForBindingsAnnotation: "b", revisionAnnotation: "3"}, false},
		"a Deployment with another annotation":        {map[string]string{"a": "b"}, false},
		"a Deployment without annotations":            {nil, false},
		"a Deployment of a namespace without Binding": {nil, false},
	} {
		s.run(name, func(s *policedScene) {
			s.lead(working(), true)
			d := deploymentOf(s.namespace, "app")
			d.Annotations = test.annotations
			ok(s, s.Create(s.ctx, d, client.DryRunAll))
			if d.Spec.Paused != test.want {
				s.Errorf("it is created paused: %t, want %t", d.Spec.Paused, test.want)
			}
			if got := carried(d.Spec.Template); got != "app[OWN=mine]" || len(d.Annotations) != len(test.annotations) {
				s.Errorf("it is created with %s and %v", got, d.Annotations)
			}
		})
	}
	for name, test := range map[string]struct {
		lease func() *coordinationv1.LeaseSpec
		works bool
	}{
		"while Bindery works":          {working, true},
		"while the lease is not over":  {renewed(30 * time.Second), true},
		"when the operator was killed": {renewed(100 * time.Second), false},
		"when the operator has ended":  {func() *coordinationv1.LeaseSpec { return leaseOf("", 1, time.Now()) }, false},
		"when Bindery is not there":    {func() *coordinationv1.LeaseSpec { return nil }, false},
		"when the lease says nothing":  {func() *coordinationv1.LeaseSpec { return &coordinationv1.LeaseSpec{HolderIdentity: new("operator")} }, false},
	} {
		s.run(name, func(s *policedScene) { s.lead(test.lease(), test.works) })
	}
}

// leaseOf is a lease that its holder has renewed at a time.
func leaseOf(holder string, seconds int32, renewed time.Time) *coordinationv1.LeaseSpec {
	return &coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: renewed}}
}

// lead writes the operator's lease (nil = there is none), and waits until the policy does or does not pause Deployments
// because of it. Before that, it does the opposite, so that it is clear that the policy knows this lease.
func (s *policedScene) lead(lease *coordinationv1.LeaseSpec, works bool) {
	s.Helper()
	opposite := leaseOf("operator", 90, time.Now())
	if works {
		opposite = nil
	}
	s.writeLease(opposite)
	s.awaitPausing(!works)
	s.writeLease(lease)
	s.awaitPausing(works)
}

func (s *policedScene) writeLease(spec *coordinationv1.LeaseSpec) {
	s.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "bindery-operator"}}
	ok(s, client.IgnoreNotFound(s.Delete(s.ctx, lease)))
	if spec != nil {
		lease.Spec = *spec
		ok(s, s.Create(s.ctx, lease))
	}
}

// awaitPausing waits until a Deployment that asks for it would be created paused, or would not be.
func (s *policedScene) awaitPausing(want bool) {
	s.Helper()
	s.await("the policy", func() string {
		d := deploymentOf(s.namespace, "trial")
		d.Annotations = map[string]string{v1alpha1.WaitForBindingsAnnotation: "b"}
		ok(s, s.Create(s.ctx, d, client.DryRunAll))
		if d.Spec.Paused != want {
			return fmt.Sprintf("a new Deployment is paused: %t", d.Spec.Paused)
		}
		return ""
	})
}

// pausedForOwners does what an owner does to a Deployment that was created paused. The pause belongs to no field manager,
// so a manifest without it does not end it and does not bring it back.
func pausedForOwners(s *policedScene) {
	for name, owner := range owners {
		s.run(name, func(s *policedScene) {
			s.lead(leaseOf("operator", 90, time.Now()), true)
			manifest := s.waiting("b")
			s.kubectl(manifest, owner.create...)
			expect := func(what string, paused bool, replicaSets int) {
				s.Helper()
				if d := s.app(); d.Spec.Paused != paused {
					s.Errorf("%s: it is paused: %t, want %t", what, d.Spec.Paused, paused)
				}
				if got := s.replicaSets(); got != replicaSets {
					s.Errorf("%s: there are %d ReplicaSets, want %d", what, got, replicaSets)
				}
				for _, m := range s.app().ManagedFields {
					if strings.Contains(m.FieldsV1.GetRawString(), `"f:paused"`) {
						s.Errorf("%s: the pause belongs to %s", what, m.Manager)
					}
				}
			}
			expect("created", true, 0)
			s.kubectl(strings.ReplaceAll(manifest, "app:1", "app:2"), owner.change...)
			// A write of the whole object also writes that it is not paused.
			if name == "kubectl replace" {
				expect("replaced", false, 1)
				return
			}
			expect("another image", true, 0)
			if printed, err := s.tryKubectl("", "rollout", "status", "deployment/app", "--timeout=1s"); err == nil {
				s.Errorf("kubectl rollout status does not wait: %s", printed)
			}
			s.patchAsOperator(`[{"op": "test", "path": "/spec/paused", "value": true}, {"op": "remove", "path": "/spec/paused"}]`)
			expect("resumed", false, 1)
			s.kubectl(manifest, owner.change...)
			expect("the first image again", false, 2)
		})
	}
}

// waiting is a manifest of a Deployment with a Pod that waits for Bindings; "" = it waits for none.
func (s *policedScene) waiting(bindings string) string {
	s.Helper()
	text := strings.Replace(s.manifest("app:1", "app[OWN=mine]"), `"replicas":0`, `"replicas":1`, 1)
	if bindings == "" {
		return text
	}
	return strings.Replace(text, `"metadata":{`, fmt.Sprintf(`"metadata":{"annotations":{%q:%q},`, v1alpha1.WaitForBindingsAnnotation, bindings), 1)
}

const (
	visitsManifest = `{"apiVersion":"bindery.dev/v1alpha1","kind":"BackingService","metadata":{"name":"visits"},` +
		`"spec":{"type":"redis","external":{"url":"redis://visits.example.com:6379"}}}`
	bindingManifest = `{"apiVersion":"bindery.dev/v1alpha1","kind":"Binding","metadata":{"name":%q},` +
		`"spec":{"workloadRef":{"name":"app"},"serviceRef":{"name":"visits"},"env":[{"name":%q}],"swap":{"verify":"Never","settlingTime":"0s"}}}`
)

func file(manifests ...string) string { return strings.Join(manifests, "\n---\n") }

// inOneFile applies a Deployment and its Bindings together, in either order, as a chart does.
func inOneFile(s *policedScene) {
	b, c := fmt.Sprintf(bindingManifest, "b", "URL"), fmt.Sprintf(bindingManifest, "c", "OTHER")
	for name, test := range map[string]struct {
		file func(app string) string
		// waits is what the Deployment waits for.
		waits string
		// paused: by its owner. disabled: the policy does not pause it.
		paused, disabled bool
		// once: no ReplicaSet and no Pod was made without the variable.
		once bool
	}{
		"without the annotation, the Deployment first": {func(app string) string { return file(app, visitsManifest, b) }, "", false, false, false},
		"the Deployment first":                         {func(app string) string { return file(app, visitsManifest, b) }, "b", false, false, true},
		"the Binding first":                            {func(app string) string { return file(visitsManifest, b, app) }, "b", false, false, true},
		"two Bindings, the Deployment between them":    {func(app string) string { return file(b, app, visitsManifest, c) }, "b,c", false, false, true},
		"without the policy, its owner pauses it":      {func(app string) string { return file(app, visitsManifest, b) }, "b", true, true, true},
		"without the policy, nobody pauses it":         {func(app string) string { return file(app, visitsManifest, b) }, "b", false, true, false},
	} {
		s.run(name, func(s *policedScene) {
			s.work()
			if test.disabled {
				s.kubectl("", "label", "namespace", s.namespace, "bindery.dev/born-attached=disabled")
				s.awaitPausing(false)
			}
			app := s.waiting(test.waits)
			if test.paused {
				app = strings.Replace(app, `"replicas":1`, `"replicas":1,"paused":true`, 1)
			}
			s.kubectl(test.file(app), "apply", "-f", "-")
			s.awaitStart()
			s.awaitPod()
			all := s.replicaSets()
			sets, pods := s.countWithout("URL")
			s.Logf("%d ReplicaSets; %d of them and %d Pods without the variable", all, sets, pods)
			if test.once && (all != 1 || sets != 0 || pods != 0) {
				s.Error("want one, and none without the variable")
			}
		})
	}
}

// work starts an operator with the lease for the namespace, and waits until the policy knows it.
func (s *policedScene) work() {
	s.Helper()
	s.writeLease(nil)
	s.awaitPausing(false)
	s.operate(func(o *controllers.Options) { o.LeaderElection, o.LeaderElectionNamespace = true, operatorNamespace })
	s.awaitPausing(true)
}

// awaitStart waits until the Deployment is not paused and carries its variable, and a Binding says that it rolls out.
func (s *policedScene) awaitStart() {
	s.Helper()
	s.await("the Deployment to start", func() string {
		d := s.app()
		if d.Spec.Paused || refersTo(d, "URL") == "" {
			return fmt.Sprintf("it is paused: %t, and carries %s", d.Spec.Paused, carried(d.Spec.Template))
		}
		if len(s.bindingsSaying(v1alpha1.ReasonRollingOut)) == 0 {
			return "no Binding says that it rolls out"
		}
		return ""
	})
}

// awaitPod waits until each ReplicaSet has its Pod. The Pod of the older one stays, because the newer one never gets
// ready.
func (s *policedScene) awaitPod() {
	s.Helper()
	s.await("the Pods", func() string {
		var pods corev1.PodList
		ok(s, s.List(s.ctx, &pods, client.InNamespace(s.namespace), client.MatchingLabels{"app": "app"}))
		if sets := s.replicaSets(); len(pods.Items) != sets {
			return fmt.Sprintf("%d ReplicaSets have %d Pods", sets, len(pods.Items))
		}
		return ""
	})
}

// bindingsSaying are the messages of those Bindings whose Ready has this reason.
func (s *policedScene) bindingsSaying(reason string) (messages []string) {
	s.Helper()
	var list v1alpha1.BindingList
	ok(s, s.List(s.ctx, &list, client.InNamespace(s.namespace)))
	for _, b := range list.Items {
		if ready := condition.Find(b.Status.Conditions, v1alpha1.ConditionReady); ready.Reason == reason {
			messages = append(messages, ready.Message)
		}
	}
	return messages
}

// countWithout counts the ReplicaSets and Pods that were made without a variable. There is no kubelet: no Pod ends.
func (s *policedScene) countWithout(variable string) (sets, pods int) {
	s.Helper()
	var allSets appsv1.ReplicaSetList
	var allPods corev1.PodList
	ok(s, s.List(s.ctx, &allSets, client.InNamespace(s.namespace)))
	ok(s, s.List(s.ctx, &allPods, client.InNamespace(s.namespace), client.MatchingLabels{"app": "app"}))
	for _, set := range allSets.Items {
		if !strings.Contains(carried(set.Spec.Template), variable+"=") {
			sets++
		}
	}
	for _, pod := range allPods.Items {
		if !strings.Contains(carried(corev1.PodTemplateSpec{Spec: pod.Spec}), variable+"=") {
			pods++
		}
	}
	return sets, pods
}

// waitsOn is about a Deployment that waits longer, and about the messages for it.
func waitsOn(s *policedScene) {
	b := fmt.Sprintf(bindingManifest, "b", "URL")
	s.run("while its service is not there", func(s *policedScene) {
		s.work()
		s.kubectl(file(s.waiting("b"), b), "apply", "-f", "-")
		said := "for Binding b (ServiceNotFound)"
		s.await("the Binding to say it", func() string {
			if messages := s.bindingsSaying(v1alpha1.ReasonServiceNotFound); len(messages) != 1 || !strings.Contains(messages[0], said) {
				return fmt.Sprint(messages)
			}
			return ""
		})
		if got := s.replicaSets(); got != 0 {
			s.Errorf("there are %d ReplicaSets", got)
		}
		s.kubectl(visitsManifest, "apply", "-f", "-")
		s.awaitStart()
		s.awaitEvent("Started", "carries all Bindings")
		if got := s.replicaSets(); got != 1 {
			s.Errorf("there are %d ReplicaSets, want 1", got)
		}
	})
	s.run("until its owner starts it", func(s *policedScene) {
		s.work()
		s.kubectl(file(s.waiting("b"), b), "apply", "-f", "-")
		s.await("the Binding", func() string {
			if messages := s.bindingsSaying(v1alpha1.ReasonServiceNotFound); len(messages) != 1 {
				return fmt.Sprint(messages)
			}
			return ""
		})
		s.kubectl("", "delete", "bnd", "b")
		s.awaitEvent("WaitingForBindings", "for Binding b (there is none of this name for it)")
		s.awaitEvent("WaitingForBindings", "`kubectl rollout resume deployment/app -n "+s.namespace+"` starts it now without")
		s.kubectl("", "rollout", "resume", "deployment/app", "-n", s.namespace)
		s.await("its ReplicaSet", func() string {
			if got := s.replicaSets(); got != 1 {
				return fmt.Sprintf("there are %d", got)
			}
			return ""
		})
		s.kubectl(file(visitsManifest, b), "apply", "-f", "-")
		s.awaitStart()
		if got := s.replicaSets(); got != 2 {
			s.Errorf("there are %d ReplicaSets, want 2", got)
		}
	})
	s.run("and a later pause is its owner's", func(s *policedScene) {
		s.work()
		s.kubectl(file(s.waiting("b"), visitsManifest, b), "apply", "-f", "-")
		s.awaitStart()
		s.kubectl("", "rollout", "pause", "deployment/app")
		s.kubectl(strings.ReplaceAll(visitsManifest, "visits", "visits2"), "apply", "-f", "-")
		s.kubectl(strings.ReplaceAll(b, `"visits"`, `"visits2"`), "apply", "-f", "-")
		s.await("the swap to wait", func() string {
			if messages := s.bindingsSaying(v1alpha1.ReasonRolloutPaused); len(messages) != 1 || !strings.Contains(messages[0], "the Deployment is paused") {
				return fmt.Sprint(messages)
			}
			return ""
		})
		if !s.app().Spec.Paused {
			s.Error("somebody has resumed it")
		}
	})
}

// awaitEvent waits for an Event on the Deployment with this text.
func (s *policedScene) awaitEvent(reason, says string) {
	s.Helper()
	s.await("an Event "+reason, func() string {
		var list eventsv1.EventList
		ok(s, s.List(s.ctx, &list, client.InNamespace(s.namespace)))
		var notes []string
		for _, e := range list.Items {
			if e.Reason != reason || e.Regarding.Kind != "Deployment" || e.Regarding.Name != "app" {
				continue
			}
			if strings.Contains(e.Note, says) {
				return ""
			}
			notes = append(notes, e.Note)
		}
		return fmt.Sprintf("%q", notes)
	})
}

// neverInTheWay: the API server skips what it cannot evaluate. Other tests have policies too.
func neverInTheWay(s *policedScene) {
	var policies admissionv1.MutatingAdmissionPolicyList
	ok(s, s.List(s.ctx, &policies))
	var bindings admissionv1.MutatingAdmissionPolicyBindingList
	ok(s, s.List(s.ctx, &bindings))
	seen := 0
	for _, p := range policies.Items {
		if !strings.HasPrefix(p.Name, "bindery-") {
			continue
		}
		seen++
		if p.Spec.FailurePolicy == nil || *p.Spec.FailurePolicy != admissionv1.Ignore {
			s.Errorf("policy %s does not fail with Ignore", p.Name)
		}
	}
	for _, b := range bindings.Items {
		if !strings.HasPrefix(b.Name, "bindery-") {
			continue
		}
		seen++
		if ref := b.Spec.ParamRef; ref == nil || ref.ParameterNotFoundAction == nil || *ref.ParameterNotFoundAction != admissionv1.AllowAction {
			s.Errorf("the binding of %s does not allow what has no parameter", b.Name)
		}
	}
	if seen != 4 {
		s.Errorf("there are %d policies and bindings of Bindery, want 2 of each", seen)
	}
}
