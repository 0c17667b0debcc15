package preview

import (
	"encoding/json"
	"fmt"
	"slices"

	jsonpatch "github.com/evanphx/json-patch/v5"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// apply patches a workload as the API server does: a changed spec is another generation. It returns a copy.
func apply(object metav1.Object, ops []podtemplate.Op) (metav1.Object, error) {
	body, err := json.Marshal(ops)
	if err != nil {
		return nil, fmt.Errorf("encoding a patch: %w", err)
	}
	patch, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, fmt.Errorf("reading a patch: %w", err)
	}
	before, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", object.GetName(), err)
	}
	text, err := patch.Apply(before)
	if err != nil {
		return nil, fmt.Errorf("patching %s: %w", object.GetName(), err)
	}
	var after metav1.Object
	switch object.(type) {
	case *appsv1.StatefulSet:
		after = &appsv1.StatefulSet{}
	case *appsv1.DaemonSet:
		after = &appsv1.DaemonSet{}
	default:
		after = &appsv1.Deployment{}
	}
	if err := json.Unmarshal(text, after); err != nil {
		return nil, fmt.Errorf("reading %s: %w", object.GetName(), err)
	}
	if !equality.Semantic.DeepEqual(specOf(object), specOf(after)) {
		after.SetGeneration(object.GetGeneration() + 1)
	}
	return after, nil
}

// specOf is the spec of a workload; nil = there is none.
func specOf(object metav1.Object) any {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return o.Spec
	case *appsv1.StatefulSet:
		return o.Spec
	case *appsv1.DaemonSet:
		return o.Spec
	default:
		return nil
	}
}

// templateOf is the Pod template of a workload.
func templateOf(object metav1.Object) corev1.PodTemplateSpec {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return o.Spec.Template
	case *appsv1.StatefulSet:
		return o.Spec.Template
	case *appsv1.DaemonSet:
		return o.Spec.Template
	default:
		return corev1.PodTemplateSpec{}
	}
}

// changesOf are the variables that differ between two states of a workload, in the order of containers and variables.
func changesOf(before, after metav1.Object) []Change {
	was, is := templateOf(before).Spec, templateOf(after).Spec
	var changes []Change
	for i, container := range podtemplate.Containers(is) {
		seen := map[string]bool{}
		for _, env := range slices.Concat(is.Containers[i].Env, containerOf(was, container).Env) {
			slot := podtemplate.Slot{Container: container, Env: env.Name}
			from, to := referenceOf(was, slot), referenceOf(is, slot)
			if seen[env.Name] || equality.Semantic.DeepEqual(from, to) {
				continue
			}
			seen[env.Name] = true
			changes = append(changes, Change{Container: container, Variable: env.Name, From: from, To: to})
		}
	}
	return changes
}

func containerOf(pod corev1.PodSpec, name string) corev1.Container {
	for _, c := range pod.Containers {
		if c.Name == name {
			return c
		}
	}
	return corev1.Container{}
}

// referenceOf is what a variable refers to; nil = it is not there, or its owner has given it a value.
func referenceOf(pod corev1.PodSpec, slot podtemplate.Slot) *Reference {
	presence, ref := podtemplate.Lookup(pod, slot)
	if presence != podtemplate.Refers {
		return nil
	}
	r := &Reference{Secret: ref.Secret, ConfigMap: ref.ConfigMap, Key: ref.Key}
	if ref.Value != "" {
		r.ComposedOf = compose.References(ref.Value)
	}
	return r
}
