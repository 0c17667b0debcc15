package controllers_test

import (
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// A restore of older objects, or a mistake, may reset the status of a service to a state before the one that its apps
// were made from. That must not hold their Bindings back for ever, and must not restart the apps.
func TestAServiceWhoseStatusWasLostHoldsNobodyBack(t *testing.T) {
	s := newScene(t, "restore")
	s.deploy("app")
	s.url("one")
	update(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) { b.Spec.External.URL = "redis://one.example.com:6380" })
	s.awaitService("one", "True/Ready")
	s.bind("b", "app", "one", "A")
	s.awaitBinding("b", "True/Ready")
	if revision := get(s, &v1alpha1.BackingService{}, "one").Status.Handle.Revision; revision != 2 {
		t.Fatalf("the handle is revision %d: the test shows nothing", revision)
	}
	before := s.deployment("app").Generation

	updateStatus(s, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) { b.Status = v1alpha1.BackingServiceStatus{} })
	s.awaitService("one", "True/Ready")
	s.awaitQuiet()
	if after := s.deployment("app").Generation; after != before {
		t.Errorf("the app was changed: generation %d instead of %d", after, before)
	}
	update(s, &v1alpha1.Binding{}, "b", func(b *v1alpha1.Binding) {
		b.Spec.Env = append(b.Spec.Env, v1alpha1.EnvVar{Name: "B"})
	})
	s.awaitBinding("b", "True/Ready")
	if refersTo(s.deployment("app"), "B") == "" {
		t.Error("the Binding is Ready, and its new variable is not there")
	}
}
