// Package podtemplate turns the environment entries that a workload shall carry into a JSON patch of the workload.
//
// The workload belongs to its user. So it is changed with a JSON patch (an Update operation in managedFields, which owns
// only env[name=…]) and never with server-side apply: an applied env entry would co-own containers[name=…], and the
// user's own apply could no longer rename or remove that container.
//
// Each patch tests metadata.uid and metadata.generation first. The generation changes with every change of the spec. So
// either the indices in the patch are those of the object that it was made for, or the API server refuses the whole
// patch.
package podtemplate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/controllers/internal/compose"
)

// Slot is a place for a variable: a name in the environment of one container.
type Slot struct {
	Container string
	Env       string
}

// Ref is what a slot refers to: one key of a Secret, or of a ConfigMap, in the namespace of the workload; or earlier
// variables, of which its value is composed.
type Ref struct {
	Secret    string
	ConfigMap string
	Key       string
	Value     string
}

// Entries are variables and what they refer to.
type Entries map[Slot]Ref

// Op is one operation of a JSON patch (RFC 6902).
type Op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// Containers returns the names of the containers of a Pod, without init containers.
func Containers(pod corev1.PodSpec) []string {
	names := make([]string, 0, len(pod.Containers))
	for _, c := range pod.Containers {
		names = append(names, c.Name)
	}
	return names
}

// Presence says how a slot is filled.
type Presence int

// The ways in which a slot can be filled.
const (
	// Absent: there is no variable of this name.
	Absent Presence = iota
	// Refers: there is one, and it has the form of a Ref.
	Refers
	// Foreign: there is one of another form, or more than one.
	Foreign
)

// Lookup says how a slot is filled, and what it refers to if it is a reference.
func Lookup(pod corev1.PodSpec, slot Slot) (Presence, Ref) {
	presence, ref := Absent, Ref{}
	for _, c := range pod.Containers {
		if c.Name != slot.Container {
			continue
		}
		for _, env := range c.Env {
			if env.Name != slot.Env {
				continue
			}
			if presence != Absent {
				return Foreign, Ref{} // twice: the kubelet takes the last one, the API server's apply takes neither
			}
			if ref = refOf(env); ref == (Ref{}) {
				presence = Foreign
			} else {
				presence = Refers
			}
		}
	}
	return presence, ref
}

// refOf is what a variable refers to; zero if it has another form than Bindery writes.
func refOf(env corev1.EnvVar) Ref {
	from := env.ValueFrom
	switch {
	case from == nil && compose.IsComposed(env.Value):
		return Ref{Value: env.Value}
	case from == nil || env.Value != "":
		return Ref{}
	case from.SecretKeyRef != nil && from.SecretKeyRef.Optional == nil: // a Pod must not start without its handle
		return Ref{Secret: from.SecretKeyRef.Name, Key: from.SecretKeyRef.Key}
	case from.ConfigMapKeyRef != nil && from.ConfigMapKeyRef.Optional == nil:
		return Ref{ConfigMap: from.ConfigMapKeyRef.Name, Key: from.ConfigMapKeyRef.Key}
	default:
		return Ref{}
	}
}

// Patch returns the operations that remove the entries in remove from a Pod template and put those in set into it. A slot
// in set must be absent or a reference. The caller makes sure, with Lookup, that each slot in remove and each filled slot
// in set is Bindery's own. A slot that is already right needs no operation. If there is no operation at all, nothing has
// to be done. New variables are added at the end, and so is one that is composed of variables which would come after it.
func Patch(pod corev1.PodSpec, remove []Slot, set Entries) []Op {
	var ops []Op
	for i, c := range pod.Containers {
		if containerOps := patchContainer(i, c, remove, set); len(containerOps) > 0 {
			ops = append(ops, Op{Op: "test", Path: containerPath(i) + "/name", Value: c.Name})
			ops = append(ops, containerOps...)
		}
	}
	return ops
}

func patchContainer(index int, c corev1.Container, remove []Slot, set Entries) []Op {
	var replacements, removals []Op
	stays := map[string]bool{}
	for i, env := range c.Env {
		path := fmt.Sprintf("%s/env/%d", containerPath(index), i)
		slot := Slot{Container: c.Name, Env: env.Name}
		want, wanted := set[slot]
		have := refOf(env)
		switch {
		case wanted && !isTooEarly(c, i, set):
			stays[env.Name] = true
			if have != want {
				replacements = append(append(replacements, pin(path, env.Name, have)...), replace(path, env.Name, have, want)...)
			}
		case wanted || slices.Contains(remove, slot):
			// The last one first, so that the indices of the others still hold.
			removals = append(append(pin(path, env.Name, have), Op{Op: "remove", Path: path}), removals...)
		}
	}
	return append(append(replacements, removals...), additions(index, c, set, stays)...)
}

// isTooEarly says whether the variable at this index is to be composed of one that is to be there too, and is not before it.
// The kubelet would leave the reference to that one as it is.
func isTooEarly(c corev1.Container, index int, set Entries) bool {
	want := set[Slot{Container: c.Name, Env: c.Env[index].Name}]
	return slices.ContainsFunc(compose.References(want.Value), func(part string) bool {
		_, wanted := set[Slot{Container: c.Name, Env: part}]
		return wanted && !slices.ContainsFunc(c.Env[:index], func(e corev1.EnvVar) bool { return e.Name == part })
	})
}

func additions(index int, c corev1.Container, set Entries, present map[string]bool) []Op {
	var names, composed []string
	for slot, ref := range set {
		switch {
		case slot.Container != c.Name || present[slot.Env]:
		case ref.Value != "":
			composed = append(composed, slot.Env)
		default:
			names = append(names, slot.Env)
		}
	}
	slices.Sort(names)
	slices.Sort(composed)
	names = append(names, composed...) // after what they are composed of
	var ops []Op
	if len(names) > 0 && len(c.Env) == 0 {
		ops = append(ops, Op{Op: "add", Path: containerPath(index) + "/env", Value: []corev1.EnvVar{}})
	}
	for _, name := range names {
		ops = append(ops, Op{Op: "add", Path: containerPath(index) + "/env/-", Value: envVar(name, set[Slot{c.Name, name}])})
	}
	return ops
}

// keyRef is where in a variable a reference to a key is; "" = ref is no reference to a key.
func (r Ref) keyRef() string {
	switch {
	case r.Secret != "":
		return "/valueFrom/secretKeyRef"
	case r.ConfigMap != "":
		return "/valueFrom/configMapKeyRef"
	default:
		return ""
	}
}

// object is the name of what has the key.
func (r Ref) object() string {
	if r.Secret != "" {
		return r.Secret
	}
	return r.ConfigMap
}

// pin tests that the entry at path is still the one that the patch was made for.
func pin(path, name string, ref Ref) []Op {
	ops := []Op{{Op: "test", Path: path + "/name", Value: name}}
	if ref.keyRef() == "" {
		return append(ops, Op{Op: "test", Path: path + "/value", Value: ref.Value})
	}
	return append(ops,
		Op{Op: "test", Path: path + ref.keyRef() + "/name", Value: ref.object()},
		Op{Op: "test", Path: path + ref.keyRef() + "/key", Value: ref.Key})
}

// replace turns the entry at path into another one, where it is.
func replace(path, name string, have, want Ref) []Op {
	if have.keyRef() == "" || have.keyRef() != want.keyRef() {
		return []Op{{Op: "replace", Path: path, Value: envVar(name, want)}}
	}
	return []Op{
		{Op: "replace", Path: path + want.keyRef() + "/name", Value: want.object()},
		{Op: "replace", Path: path + want.keyRef() + "/key", Value: want.Key},
	}
}

func envVar(name string, ref Ref) corev1.EnvVar {
	object := corev1.LocalObjectReference{Name: ref.object()}
	switch {
	case ref.Secret != "":
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: object, Key: ref.Key},
		}}
	case ref.ConfigMap != "":
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
			ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: object, Key: ref.Key},
		}}
	default:
		return corev1.EnvVar{Name: name, Value: ref.Value}
	}
}

func containerPath(index int) string {
	return fmt.Sprintf("/spec/template/spec/containers/%d", index)
}

// digestLength is how many hexadecimal digits a digest has: 64 bits.
const digestLength = 16

// Digest shows whether a Pod template was changed by anybody else: it covers the whole template except the named slots.
func Digest(template corev1.PodTemplateSpec, without []Slot) string {
	template = *template.DeepCopy()
	for i := range template.Spec.Containers {
		c := &template.Spec.Containers[i]
		c.Env = slices.DeleteFunc(c.Env, func(env corev1.EnvVar) bool {
			return slices.Contains(without, Slot{Container: c.Name, Env: env.Name})
		})
		if len(c.Env) == 0 {
			c.Env = nil
		}
	}
	return digest(template)
}

// Images is a digest of the containers of a Pod and their images, init containers included.
func Images(pod corev1.PodSpec) string {
	type image struct{ Container, Image string }
	var images []image
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		images = append(images, image{c.Name, c.Image})
	}
	return digest(images)
}

// EnvFrom names the Secrets and ConfigMaps of which a container takes all keys, and which may have a key with the name of
// a slot.
func EnvFrom(pod corev1.PodSpec, slot Slot) []string {
	var sources []string
	for _, c := range pod.Containers {
		if c.Name != slot.Container {
			continue
		}
		for _, from := range c.EnvFrom {
			switch {
			case !strings.HasPrefix(slot.Env, from.Prefix):
			case from.SecretRef != nil:
				sources = append(sources, "Secret "+from.SecretRef.Name)
			case from.ConfigMapRef != nil:
				sources = append(sources, "ConfigMap "+from.ConfigMapRef.Name)
			}
		}
	}
	return sources
}

func digest(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a decoded object can be encoded
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:digestLength]
}

// Guard returns the operations that bind a patch to the object, and to its spec, that the patch was made for.
func Guard(object metav1.ObjectMeta) []Op {
	return []Op{
		{Op: "test", Path: "/metadata/uid", Value: object.UID},
		{Op: "test", Path: "/metadata/generation", Value: object.Generation},
	}
}

// escape writes a key as a part of a JSON pointer (RFC 6901).
func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// PatchAnnotation returns the operations that set an annotation of the workload itself to this value (which restarts
// nothing); the value "" removes it.
func PatchAnnotation(object metav1.ObjectMeta, key, value string) []Op {
	path := "/metadata/annotations/" + escape(key)
	have, exists := object.Annotations[key]
	switch {
	case have == value:
		return nil
	case exists && value == "":
		return []Op{{Op: "test", Path: path, Value: have}, {Op: "remove", Path: path}}
	case exists:
		return []Op{{Op: "test", Path: path, Value: have}, {Op: "replace", Path: path, Value: value}}
	case len(object.Annotations) > 0:
		return []Op{{Op: "add", Path: path, Value: value}}
	default:
		// The generation says nothing about annotations, and adding the map would replace one that was created in the
		// meantime.
		return []Op{
			{Op: "test", Path: "/metadata/resourceVersion", Value: object.ResourceVersion},
			{Op: "add", Path: "/metadata/annotations", Value: map[string]string{key: value}},
		}
	}
}
