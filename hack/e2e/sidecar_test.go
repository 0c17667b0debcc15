//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// sidecarPatience is two trials with the pause between them: the kubelet ends the Pod of each 45 seconds after its start.
const sidecarPatience = 3 * time.Minute

// A policy adds a container to each Pod of a verification, which does not end with the probe. What the probe finds out counts
// all the same: a fault, and that there is none.
func TestSidecar(t *testing.T) {
	t.Parallel()
	needMutatingPolicies(t)
	verified := func(s *scene, name string, status metav1.ConditionStatus, reason string) {
		s.Helper()
		s.await("BackingService "+name+" says "+reason, sidecarPatience, func() string {
			b := get[v1alpha1.BackingService](s, name)
			return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionVerified, status, reason)
		})
	}
	suite.Test(t, features.New("a sidecar that does not end").
		Setup(in(func(s *scene) {
			s.addSidecar()
			s.apply("visits.yaml")
			s.awaitService("visits")
			host := get[v1alpha1.BackingService](s, "visits").Status.Endpoint
			s.foreign("wrong", "redis://default:not-the-password@"+host+"/0")
		})).
		Assess("does not hide that the credentials are refused", in(func(s *scene) {
			verified(s, "wrong", metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused)
		})).
		Assess("does not keep a good handle from being verified", in(func(s *scene) {
			verified(s, "visits", metav1.ConditionTrue, v1alpha1.ReasonVerified)
			if got := get[v1alpha1.BackingService](s, "visits").Status.ProbePlacement; got != v1alpha1.ProbeInitContainer {
				s.Errorf("the probe's placement is %q: was there a sidecar?", got)
			}
		})).
		Feature())
}

// addSidecar has a container added to each Pod of this namespace that verifies a handle.
func (s *scene) addSidecar() {
	s.Helper()
	meta := metav1.ObjectMeta{Name: s.namespace + "-sidecar"}
	policy := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicySpec{
		FailurePolicy: new(admissionv1.Fail), ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		MatchConstraints: &admissionv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}},
			ObjectSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: v1alpha1.VerifyLabel, Operator: metav1.LabelSelectorOpExists},
			}},
			ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}}},
		},
		Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{
			Expression: `[JSONPatch{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{
				name: 'added', image: 'localhost/bindery/redis:7.0', command: ['sleep', 'infinity']}}]`,
		}}},
	}}
	binding := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: policy.Name}}
	s.no(cluster.client.Create(s.ctx, policy))
	s.no(cluster.client.Create(s.ctx, binding))
	s.Cleanup(func() {
		for _, object := range []client.Object{binding, policy} {
			if err := cluster.client.Delete(context.Background(), object); err != nil {
				s.Error(err)
			}
		}
	})
	s.await("the policy is in force", soon, func() string {
		dry := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "x", Labels: map[string]string{v1alpha1.VerifyLabel: "x"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "x", Image: "x"}}},
		}
		s.no(cluster.client.Create(s.ctx, dry, client.DryRunAll))
		if len(dry.Spec.Containers) != 2 {
			return "a Pod has one container"
		}
		return ""
	})
}
