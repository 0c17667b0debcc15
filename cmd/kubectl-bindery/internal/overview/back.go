package overview

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/controllers/planner"
)

// Back is how to put something back as it was.
type Back struct {
	// Text says what it goes back to, or why it cannot.
	Text string `json:"text"`
	// Command to be typed; "" = there is none.
	Command string `json:"command,omitempty"`
}

// Call is how the plugin was called, so far as the commands that it prints have to be called in the same way: a command
// without --context would act on another cluster.
type Call struct {
	// Flags for each command, such as --context=prod.
	Flags []string
	// Namespaced: the namespace is not the one that the user is in, so each command has to name it.
	Namespaced bool
}

// Command is a command of the plugin for something in a namespace.
func (c Call) Command(namespace string, words ...string) string {
	words = append([]string{"kubectl", "bindery"}, words...)
	if c.Namespaced {
		words = append(words, "-n", namespace)
	}
	return strings.Join(append(words, c.Flags...), " ")
}

// back says how to put a Binding back; nil = there is nothing to put back.
func (k known) back(b *v1alpha1.Binding, call Call) *Back {
	current, previous := b.Status.Current, b.Status.Previous
	switch {
	case current == nil:
		return nil
	case b.Spec.ServiceRef.Name != current.Service:
		return k.backTo(b, call, current.Service, "to keep "+current.Service)
	case previous == nil:
		return backToNothing(b, call)
	case previous.Service != current.Service:
		return k.backTo(b, call, previous.Service, "back to "+previous.Service+k.loss(b, previous.Service))
	}
	s := k.service(b, current.Service)
	if previous.SecretName == current.SecretName || s == nil || s.Spec.External == nil || s.Spec.External.SecretRef == nil {
		return nil
	}
	return &Back{Text: fmt.Sprintf("back to the earlier handle: set spec.external.secretRef.name of bsvc/%s to %s", s.Name, previous.SecretName)}
}

// backTo is the way back to a service.
func (k known) backTo(b *v1alpha1.Binding, call Call, service, text string) *Back {
	s := k.service(b, service)
	if s == nil {
		return &Back{Text: text + ": BackingService " + service + " does not exist any more"}
	}
	if owner := metav1.GetControllerOf(b); owner != nil {
		return &Back{Text: fmt.Sprintf("%s: set spec.collector.storeRef.name of bsvc/%s to %s", text, owner.Name, service)}
	}
	key := planner.KeyOf(b)
	of := target.Form(key.Kind, key.Name)
	if k.bindings[key] > 1 {
		of = target.Form(target.KindBinding, b.Name)
	}
	return &Back{Text: text, Command: call.Command(b.Namespace, "undo", of)}
}

// backToNothing takes away the first thing that was attached.
func backToNothing(b *v1alpha1.Binding, call Call) *Back {
	if metav1.GetControllerOf(b) != nil {
		return nil // a collector cannot be without its store
	}
	key := planner.KeyOf(b)
	return &Back{
		Text:    "back to nothing, as before",
		Command: call.Command(b.Namespace, "detach", target.Form(key.Kind, key.Name), b.Spec.ServiceRef.Name),
	}
}

// loss says what is not there after going back, where data has moved.
func (k known) loss(b *v1alpha1.Binding, to string) string {
	s := k.service(b, b.Status.Current.Service)
	if s == nil || s.Status.Move == nil || s.Status.Move.Source != to || s.Status.Move.Step != v1alpha1.MoveDone {
		return ""
	}
	return ", without what was written since its data moved to " + s.Name
}
