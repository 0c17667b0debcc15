package planner

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
)

// madeUp is an annotation with count attachments of Bindings that never existed.
func madeUp(count int) string {
	attachments := make([]string, count)
	for i := range attachments {
		attachments[i] = fmt.Sprintf(`{"binding":"x%d","secret":"own","env":[{"container":"pinger","name":"OWN%[1]d","key":"k"}]}`, i)
	}
	return fmt.Sprintf(`{"workload":"shop/Deployment/pinger","attachments":[%s]}`, strings.Join(attachments, ","))
}

// write is what somebody writes into the annotation.
func (w *world) write(annotation string) *world {
	w.deployment.Annotations[v1alpha1.AttachmentsAnnotation] = annotation
	return w
}

// A ledger that is not believed changes nothing in the Pod template of an app, no matter what state the app is in.
func TestWhatIsNotBelievedTouchesNothing(t *testing.T) {
	for what, annotation := range map[string]string{
		"nothing":                   "",
		"no JSON":                   `{"workload":"shop/Depl`,
		"far too much":              madeUp(ledger.MaxAttachments + 1),
		"as much as can be":         madeUp(ledger.MaxAttachments),
		"no names":                  `{"workload":"shop/Deployment/pinger","attachments":[{"binding":""},{"binding":"a/b"}]}`,
		"nothing of a live Binding": `{"workload":"shop/Deployment/pinger","attachments":[{"binding":"b","env":[]}]}`,
		"what no Secret can be": `{"workload":"shop/Deployment/pinger","attachments":[{"binding":"b","secret":"A/B",` +
			`"env":[{"container":"pinger","name":"REDIS_URL","key":"uri"}]}]}`,
		"two owners of a variable": `{"workload":"shop/Deployment/pinger","attachments":[` +
			`{"binding":"x","secret":"visits-1","env":[{"container":"pinger","name":"REDIS_URL","key":"uri"}]},` +
			`{"binding":"b","secret":"visits-1","env":[{"container":"pinger","name":"REDIS_URL","key":"uri"}]}]}`,
	} {
		for state, app := range map[string]func() *world{
			"an app that is attached": func() *world { return attached(t) },
			"an app that rolls out": func() *world {
				w := attached(t).edit("b", serviceRef("visits2"))
				w.reconcile()
				return w
			},
			"an app whose service is not Ready": func() *world { return attached(t).service("visits", notReady) },
			"an app whose Binding waits for another service": func() *world {
				return attached(t).edit("b", serviceRef("nowhere"))
			},
			"an app whose swap was rolled back": func() *world {
				w := attached(t).edit("b", serviceRef("visits2"))
				w.reconcile()
				w.fails().reconcile()
				w.later(v1alpha1.DefaultSettlingTime * 1000).fails().reconcile()
				return w
			},
			"an app whose Binding was deleted": func() *world {
				w := attached(t).bind("c", "visits2", env("C", "uri")).settle()
				return w.unbind("c")
			},
		} {
			t.Run(what+" is written on "+state, func(t *testing.T) {
				w := app()
				before := string(mustMarshal(w.deployment.Spec.Template))
				w.write(annotation).settle()
				if after := string(mustMarshal(w.deployment.Spec.Template)); after != before {
					t.Errorf("the Pod template was\n%s\nand is\n%s", before, after)
				}
			})
		}
	}
}

func TestWhatIsMadeUpDoesNotHoldUpASwap(t *testing.T) {
	w := attached(t).write(madeUp(1900)).edit("b", serviceRef("visits2")).settle()
	if got := w.carries("pinger", "REDIS_URL"); got != "visits2-1/uri" {
		t.Errorf("REDIS_URL is %q", got)
	}
	o := w.observation()
	if got := o.ledger(); len(got.Attachments) != 1 || got.Attachments[0].Binding != "b" {
		t.Errorf("the ledger says %s", got)
	}
}

// Bindery writes no more than it will believe later, and says so.
func TestMoreBindingsThanALedgerHasRoomForAreRefused(t *testing.T) {
	w := newWorld(t).deploy().service("s")
	for i := range ledger.MaxAttachments {
		w.bind(fmt.Sprint("b", i), "s", env(fmt.Sprint("V", i), "uri"))
	}
	w.reconcile()
	before := string(mustMarshal(w.deployment.Spec.Template))
	w.bind("more", "s", env("MORE", "uri"))
	w.reconcile()
	if after := string(mustMarshal(w.deployment.Spec.Template)); after != before {
		t.Error("the app was changed")
	}
	if got := w.says("more", v1alpha1.ConditionInjected); got != "False/PatchRefused" {
		t.Errorf("Injected=%s", got)
	}
	if got := w.says("b0", v1alpha1.ConditionInjected); got != "True/Injected" {
		t.Errorf("Injected of the others is %s", got)
	}
	w.unbind("b7").reconcile()
	if w.carries("pinger", "MORE") == "" {
		t.Error("there is room now, and it is not attached")
	}
}

// No matter what is written into the annotation of a running app: no variable of an existing Binding is removed, and
// nothing of the owner's is removed except what the annotation says is Bindery's.
func TestWhateverIsWrittenIntoTheAnnotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := corev1.EnvVar{Name: "OWN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "own"}, Key: "k",
		}}}
		w := newWorld(t).deploy(corev1.Container{Name: "pinger", Env: []corev1.EnvVar{own}}).service("visits").service("visits2").
			bind("b", "visits").bind("c", "visits2", env("C", "uri")).settle()
		before := string(mustMarshal(w.deployment.Spec.Template))
		var text []string
		for range rapid.IntRange(0, 4).Draw(t, "attachments") {
			text = append(text, fmt.Sprintf(`{"binding":%q,"bindingUID":%q,"secret":%q,"env":[{"container":"pinger","name":%q,"key":%q}]}`,
				rapid.SampledFrom([]string{"b", "c", "x", "", "a/b"}).Draw(t, "binding"),
				rapid.SampledFrom([]string{string(w.bindings[0].UID), "u"}).Draw(t, "uid"),
				rapid.SampledFrom([]string{"visits-1", "visits2-1", "own", "/"}).Draw(t, "secret"),
				rapid.SampledFrom([]string{"REDIS_URL", "C", "OWN", "="}).Draw(t, "variable"),
				rapid.SampledFrom([]string{"uri", "k"}).Draw(t, "key")))
		}
		w.write(fmt.Sprintf(`{"workload":"shop/Deployment/pinger","attachments":[%s]}`, strings.Join(text, ",")))
		w.gone["x"] = true
		named := slices.ContainsFunc(text, func(a string) bool { return strings.Contains(a, `"OWN"`) && strings.Contains(a, `"own"`) })
		w.settle()
		if after := string(mustMarshal(w.deployment.Spec.Template)); after != before && !named {
			t.Fatalf("the Pod template was\n%s\nand is\n%s", before, after)
		}
		for _, b := range w.bindings {
			if w.says(b.Name, v1alpha1.ConditionInjected) != "True/Injected" {
				t.Fatalf("Binding %s: Injected=%s", b.Name, w.says(b.Name, v1alpha1.ConditionInjected))
			}
		}
	})
}
