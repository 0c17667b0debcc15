package controllers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// composed creates a service whose handle is composed of the keys of the Secret rds, and whose authority is in a ConfigMap.
func (s *scene) composed(name, template string) {
	s.Helper()
	s.service(name, v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "rds", Compose: template}, CARef: &v1alpha1.AuthorityReference{Name: "rds-ca"},
	}})
}

// requireEnv requires these variables of the app, in this order.
func (s *scene) requireEnv(want ...string) {
	s.Helper()
	template := s.deployment("app").Spec.Template
	text := strings.TrimSuffix(strings.TrimPrefix(carried(template), "app["), "]")
	if diff := cmp.Diff(want, strings.Fields(text)); diff != "" {
		s.Errorf("the variables (-want +got):\n%s", diff)
	}
}

// What the operator makes of a handle of several keys is taken by the real API server: the Job, the patches there and back,
// and the status.
func TestAHandleOfSeveralKeys(t *testing.T) {
	t.Parallel()
	s := newScene(t, "parts")
	s.must(admin.Create(s.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "rds"}}))
	s.deploy("app")
	s.url("plain")
	s.composed("parts", "redis://$(username):$(password)@$(host)/0")
	s.must(admin.Create(s.ctx, &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "b"}, Spec: v1alpha1.BindingSpec{
		WorkloadRef: v1alpha1.WorkloadReference{Name: "app"}, ServiceRef: v1alpha1.LocalReference{Name: "parts"},
		Env:  []v1alpha1.EnvVar{{Name: "URL"}, {Name: "CA", Key: v1alpha1.KeyAuthority}},
		Swap: &v1alpha1.SwapPolicy{SettlingTime: &metav1.Duration{}},
	}}))
	s.awaitBinding("b", "True/Ready")
	parts := []string{
		"OWN=mine", "BINDERY_URL_1=rds/username", "BINDERY_URL_2=rds/password", "BINDERY_URL_3=rds/host", "CA=ConfigMap:rds-ca/ca.crt",
		"URL=redis://$(BINDERY_URL_1):$(BINDERY_URL_2)@$(BINDERY_URL_3)/0",
	}
	s.requireEnv(parts...)
	jobs := s.jobs("parts")
	if len(jobs) != 1 {
		t.Fatalf("%d Jobs, want 1; the verification is %+v", len(jobs), get(s, &v1alpha1.BackingService{}, "parts").Status)
	}
	job := jobs[0].Spec.Template.Spec
	if got := job.Containers[0].Args; !slices.Contains(got, "--compose=redis://$$(BINDERY_HANDLE_1):$$(BINDERY_HANDLE_2)@$$(BINDERY_HANDLE_3)/0") ||
		!slices.Contains(got, "--ca-file=/etc/bindery/authority/ca.crt") || len(job.Volumes) != 1 || job.Volumes[0].ConfigMap == nil {
		t.Errorf("the Job has the arguments %q and the volumes %+v", got, job.Volumes)
	}
	s.await("the service to say as what it is attached", func() string {
		got := get(s, &v1alpha1.BackingService{}, "parts").Status.Attachments
		if len(got) == 1 && slices.Equal(got[0].Env, []string{"CA", "URL"}) {
			return ""
		}
		return fmt.Sprint(got)
	})

	s.awaitQuiet()
	before := s.deployment("app").Generation
	s.endsWith("parts", exitcode.HandleNotEncoded)
	update(s, &v1alpha1.BackingService{}, "parts", func(b *v1alpha1.BackingService) {
		b.Spec.External.SecretRef.Compose = "redis://:$(token)@$(host)/0"
	})
	s.awaitVerified("parts", "False/HandleNotEncoded")
	s.awaitBinding("b", "False/ServiceNotVerified")
	s.requireEnv(parts...)
	s.endsWith("parts", exitcode.Passed)
	update(s, &v1alpha1.BackingService{}, "parts", func(b *v1alpha1.BackingService) {
		b.Spec.External.SecretRef.Compose = "redis://:$(secret)@$(host)/0"
	})
	s.awaitBinding("b", "True/Ready")
	s.requireEnv("OWN=mine", "BINDERY_URL_1=rds/secret", "BINDERY_URL_2=rds/host", "CA=ConfigMap:rds-ca/ca.crt",
		"URL=redis://:$(BINDERY_URL_1)@$(BINDERY_URL_2)/0")
	if got := s.deployment("app").Generation - before; got != 1 {
		t.Errorf("%d changes of the app", got)
	}

	update(s, &v1alpha1.Binding{}, "b", func(b *v1alpha1.Binding) {
		b.Spec.ServiceRef.Name, b.Spec.Env = "plain", []v1alpha1.EnvVar{{Name: "URL"}}
	})
	s.awaitBinding("b", "True/Ready")
	s.requireEnv("OWN=mine", "URL="+s.secretOf("plain")+"/uri")
	update(s, &v1alpha1.Binding{}, "b", func(b *v1alpha1.Binding) { b.Spec.ServiceRef.Name = "parts" })
	s.awaitBinding("b", "True/Ready")
	s.requireEnv("OWN=mine", "BINDERY_URL_1=rds/secret", "BINDERY_URL_2=rds/host", "URL=redis://:$(BINDERY_URL_1)@$(BINDERY_URL_2)/0")
	if got := s.deployment("app").Generation - before; got != 3 {
		t.Errorf("%d changes of the app", got)
	}

	s.must(admin.Delete(s.ctx, get(s, &v1alpha1.Binding{}, "b")))
	s.await("the variables to go", func() string {
		if env := s.deployment("app").Spec.Template.Spec.Containers[0].Env; len(env) != 1 {
			return carried(s.deployment("app").Spec.Template)
		}
		return ""
	})
}
