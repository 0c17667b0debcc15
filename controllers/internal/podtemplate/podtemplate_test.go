package podtemplate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// apply patches a Deployment as the API server does.
func apply(d *appsv1.Deployment, ops []Op) (*appsv1.Deployment, error) {
	body, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, err
	}
	before, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	after, err := patch.Apply(before)
	if err != nil {
		return nil, err
	}
	result := &appsv1.Deployment{}
	return result, json.Unmarshal(after, result)
}

func deployment(containers ...corev1.Container) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Name: "pinger", UID: types.UID("u-1"), Generation: 4, ResourceVersion: "77",
		Annotations: map[string]string{"deployment.kubernetes.io/revision": "1"},
	}}
	d.Spec.Template.Spec.Containers = containers
	return d
}

func container(name string, env ...corev1.EnvVar) corev1.Container {
	return corev1.Container{Name: name, Env: env}
}

func value(name, v string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: v} }

func TestPatch(t *testing.T) {
	slot := Slot{Container: "app", Env: "REDIS_URL"}
	ref, file := Ref{Secret: "visits-1", Key: "uri"}, Ref{ConfigMap: "ca", Key: "ca.crt"}
	part1, part2 := Ref{Secret: "rds", Key: "username"}, Ref{Secret: "rds", Key: "host"}
	whole := Ref{Value: "x://$(BINDERY_A_1)@$(BINDERY_A_2)"}
	composed := Entries{{"app", "A"}: whole, {"app", "BINDERY_A_1"}: part1, {"app", "BINDERY_A_2"}: part2}
	for name, test := range map[string]struct {
		containers []corev1.Container
		remove     []Slot
		set        Entries
		want       []corev1.Container
	}{
		"a container without env gets one": {
			containers: []corev1.Container{container("app")},
			set:        Entries{slot: ref},
			want:       []corev1.Container{container("app", envVar("REDIS_URL", ref))},
		},
		"a new variable goes to the end": {
			containers: []corev1.Container{container("app", value("A", "1"))},
			set:        Entries{slot: ref},
			want:       []corev1.Container{container("app", value("A", "1"), envVar("REDIS_URL", ref))},
		},
		"several new variables are in the order of their names": {
			containers: []corev1.Container{container("app")},
			set:        Entries{{"app", "B"}: ref, {"app", "A"}: ref},
			want:       []corev1.Container{container("app", envVar("A", ref), envVar("B", ref))},
		},
		"a swap keeps the variable where it is": {
			containers: []corev1.Container{container("app", value("A", "1"), envVar("REDIS_URL", Ref{Secret: "old", Key: "url"}), value("Z", "26"))},
			set:        Entries{slot: ref},
			want:       []corev1.Container{container("app", value("A", "1"), envVar("REDIS_URL", ref), value("Z", "26"))},
		},
		"the last variable that goes leaves no env": {
			containers: []corev1.Container{container("app", envVar("REDIS_URL", ref))},
			remove:     []Slot{slot},
			want:       []corev1.Container{container("app")},
		},
		"two that go, one that stays and one that comes": {
			containers: []corev1.Container{container("app", envVar("X", ref), value("A", "1"), envVar("Y", ref))},
			remove:     []Slot{{"app", "X"}, {"app", "Y"}},
			set:        Entries{slot: ref},
			want:       []corev1.Container{container("app", value("A", "1"), envVar("REDIS_URL", ref))},
		},
		"only the container that is named": {
			containers: []corev1.Container{container("side", value("A", "1")), container("app")},
			set:        Entries{slot: ref},
			want:       []corev1.Container{container("side", value("A", "1")), container("app", envVar("REDIS_URL", ref))},
		},
		"what stands as it should costs nothing": {
			containers: []corev1.Container{container("app", envVar("REDIS_URL", ref))},
			set:        Entries{slot: ref},
			want:       nil,
		},
		"a key of a ConfigMap": {
			containers: []corev1.Container{container("app", envVar("CA", ref))},
			set:        Entries{{"app", "CA"}: file},
			want:       []corev1.Container{container("app", envVar("CA", file))},
		},
		"another ConfigMap": {
			containers: []corev1.Container{container("app", envVar("CA", Ref{ConfigMap: "old", Key: "pem"}), value("A", "1"))},
			set:        Entries{{"app", "CA"}: file},
			want:       []corev1.Container{container("app", envVar("CA", file), value("A", "1"))},
		},
		"what is composed comes after its parts": {
			containers: []corev1.Container{container("app")},
			set:        composed,
			want:       []corev1.Container{container("app", envVar("BINDERY_A_1", part1), envVar("BINDERY_A_2", part2), envVar("A", whole))},
		},
		"a variable that becomes composed moves to the end": {
			containers: []corev1.Container{container("app", envVar("A", ref), value("OWN", "1"))},
			set:        composed,
			want: []corev1.Container{container("app", value("OWN", "1"),
				envVar("BINDERY_A_1", part1), envVar("BINDERY_A_2", part2), envVar("A", whole))},
		},
		"one that is composed no more stays where it is": {
			containers: []corev1.Container{container("app", envVar("BINDERY_A_1", part1), envVar("BINDERY_A_2", part2), envVar("A", whole), value("OWN", "1"))},
			remove:     []Slot{{"app", "BINDERY_A_1"}, {"app", "BINDERY_A_2"}},
			set:        Entries{{"app", "A"}: ref},
			want:       []corev1.Container{container("app", envVar("A", ref), value("OWN", "1"))},
		},
		"other keys for the parts": {
			containers: []corev1.Container{container("app", envVar("BINDERY_A_1", ref), envVar("BINDERY_A_2", ref), envVar("A", whole))},
			set:        composed,
			want:       []corev1.Container{container("app", envVar("BINDERY_A_1", part1), envVar("BINDERY_A_2", part2), envVar("A", whole))},
		},
		"another composition of the same parts": {
			containers: []corev1.Container{container("app", envVar("BINDERY_A_1", part1), envVar("BINDERY_A_2", part2),
				envVar("A", Ref{Value: "x://$(BINDERY_A_2)$(BINDERY_A_1)"}), value("OWN", "1"))},
			set:  composed,
			want: []corev1.Container{container("app", envVar("BINDERY_A_1", part1), envVar("BINDERY_A_2", part2), envVar("A", whole), value("OWN", "1"))},
		},
		"a part more": {
			containers: []corev1.Container{container("app", envVar("BINDERY_A_1", part1), envVar("A", Ref{Value: "x://$(BINDERY_A_1)"}), value("OWN", "1"))},
			set:        composed,
			want: []corev1.Container{container("app", envVar("BINDERY_A_1", part1), value("OWN", "1"),
				envVar("BINDERY_A_2", part2), envVar("A", whole))},
		},
		"parts that somebody has put behind": {
			containers: []corev1.Container{container("app", envVar("A", whole), envVar("BINDERY_A_2", part2), envVar("BINDERY_A_1", part1))},
			set:        composed,
			want:       []corev1.Container{container("app", envVar("BINDERY_A_2", part2), envVar("BINDERY_A_1", part1), envVar("A", whole))},
		},
		"a part that is missing, and is not to come": {
			containers: []corev1.Container{container("app", envVar("BINDERY_A_1", part1), envVar("A", whole))},
			set:        Entries{{"app", "A"}: whole, {"app", "BINDERY_A_1"}: part1},
			want:       nil,
		},
		"two that are composed": {
			containers: []corev1.Container{container("app")},
			set: Entries{
				{"app", "BINDERY_A_1"}: part1, {"app", "BINDERY_A_2"}: part2, {"app", "A"}: whole,
				{"app", "BINDERY_B_1"}: part1, {"app", "B"}: {Value: "x://$(BINDERY_B_1)"},
			},
			want: []corev1.Container{container("app", envVar("BINDERY_A_1", part1), envVar("BINDERY_A_2", part2), envVar("BINDERY_B_1", part1),
				envVar("A", whole), envVar("B", Ref{Value: "x://$(BINDERY_B_1)"}))},
		},
		"what is composed goes with its parts": {
			containers: []corev1.Container{container("app", envVar("BINDERY_A_1", part1), value("OWN", "1"), envVar("BINDERY_A_2", part2), envVar("A", whole))},
			remove:     slices.Collect(maps.Keys(composed)),
			want:       []corev1.Container{container("app", value("OWN", "1"))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := deployment(test.containers...)
			ops := Patch(d.Spec.Template.Spec, test.remove, test.set)
			if test.want == nil {
				if len(ops) != 0 {
					t.Fatalf("want no operation, got %v", ops)
				}
				return
			}
			after, err := apply(d, append(Guard(d.ObjectMeta), ops...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, after.Spec.Template.Spec.Containers, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("containers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPatchIsRefusedWhereTheWorkloadIsAnother(t *testing.T) {
	ref := Ref{Secret: "old", Key: "uri"}
	original := deployment(container("app", value("A", "1"), envVar("REDIS_URL", ref),
		envVar("CA", Ref{ConfigMap: "old", Key: "pem"}), envVar("B", Ref{Value: "x://$(BINDERY_B_1)"})))
	ops := append(Guard(original.ObjectMeta), Patch(original.Spec.Template.Spec, []Slot{{"app", "B"}}, Entries{
		{"app", "REDIS_URL"}: {Secret: "new", Key: "uri"}, {"app", "CA"}: {ConfigMap: "new", Key: "pem"},
	})...)
	for name, change := range map[string]func(*appsv1.Deployment){
		"another object of the same name": func(d *appsv1.Deployment) { d.UID = "u-2" },
		"a newer generation":              func(d *appsv1.Deployment) { d.Generation++ },
		"another container in its place":  func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Name = "other" },
		"another variable in its place":   func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env[1].Name = "OTHER" },
		"another reference in the entry": func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Env[1].ValueFrom.SecretKeyRef.Name = "mine"
		},
		"another ConfigMap in the entry": func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Env[2].ValueFrom.ConfigMapKeyRef.Name = "mine"
		},
		"another composition": func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env[3].Value = "mine" },
	} {
		t.Run(name, func(t *testing.T) {
			changed := original.DeepCopy()
			change(changed)
			if _, err := apply(changed, ops); err == nil {
				t.Error("the patch went through")
			}
		})
	}
}

func TestPatchAnnotation(t *testing.T) {
	const key = "bindery.dev/attachments"
	for name, test := range map[string]struct {
		annotations map[string]string
		value       string
		want        map[string]string
	}{
		"added beside others":           {map[string]string{"a": "1"}, "x", map[string]string{"a": "1", key: "x"}},
		"added where there were none":   {nil, "x", map[string]string{key: "x"}},
		"replaced":                      {map[string]string{"a": "1", key: "x"}, "y", map[string]string{"a": "1", key: "y"}},
		"removed":                       {map[string]string{"a": "1", key: "x"}, "", map[string]string{"a": "1"}},
		"not there and not to be there": {map[string]string{"a": "1"}, "", map[string]string{"a": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := deployment()
			d.Annotations = test.annotations
			after, err := apply(d, PatchAnnotation(d.ObjectMeta, key, test.value))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, after.Annotations); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPatchAnnotationDoesNotReplaceAnnotationsThatCameMeanwhile(t *testing.T) {
	bare := deployment()
	bare.Annotations = nil
	ops := PatchAnnotation(bare.ObjectMeta, "bindery.dev/attachments", "x")
	annotated := deployment()
	annotated.ResourceVersion = "78"
	if _, err := apply(annotated, ops); err == nil {
		t.Error("the patch went through, and took the annotation of somebody else with it")
	}
}

func TestLookup(t *testing.T) {
	ref := Ref{Secret: "visits-1", Key: "uri"}
	optional := envVar("X", ref)
	optional.ValueFrom.SecretKeyRef.Optional = new(bool)
	file := Ref{ConfigMap: "ca", Key: "ca.crt"}
	optionalFile := envVar("X", file)
	optionalFile.ValueFrom.ConfigMapKeyRef.Optional = new(bool)
	for name, test := range map[string]struct {
		env      []corev1.EnvVar
		presence Presence
		ref      Ref
	}{
		"no variable of the name":        {[]corev1.EnvVar{value("Y", "1")}, Absent, Ref{}},
		"a plain value":                  {[]corev1.EnvVar{value("X", "1")}, Foreign, Ref{}},
		"an empty value":                 {[]corev1.EnvVar{value("X", "")}, Foreign, Ref{}},
		"a reference to a Secret":        {[]corev1.EnvVar{envVar("X", ref)}, Refers, ref},
		"an optional reference":          {[]corev1.EnvVar{optional}, Foreign, Ref{}},
		"the same name twice":            {[]corev1.EnvVar{envVar("X", ref), envVar("X", ref)}, Foreign, Ref{}},
		"a value before a reference":     {[]corev1.EnvVar{value("X", "1"), envVar("X", ref)}, Foreign, Ref{}},
		"a key of a ConfigMap":           {[]corev1.EnvVar{envVar("X", file)}, Refers, file},
		"an optional key of one":         {[]corev1.EnvVar{optionalFile}, Foreign, Ref{}},
		"what Bindery composes":          {[]corev1.EnvVar{value("X", "x://$(BINDERY_X_1)")}, Refers, Ref{Value: "x://$(BINDERY_X_1)"}},
		"what the owner composes":        {[]corev1.EnvVar{value("X", "x://$(HOST)")}, Foreign, Ref{}},
		"a composed one and a reference": {[]corev1.EnvVar{value("X", "x://$(BINDERY_X_1)"), envVar("X", ref)}, Foreign, Ref{}},
		"a reference to a field": {[]corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"},
		}}}, Foreign, Ref{}},
	} {
		t.Run(name, func(t *testing.T) {
			presence, got := Lookup(corev1.PodSpec{Containers: []corev1.Container{container("app", test.env...)}}, Slot{"app", "X"})
			if presence != test.presence || got != test.ref {
				t.Errorf("Lookup = %v, %v; want %v, %v", presence, got, test.presence, test.ref)
			}
		})
	}
}

// No matter what is in a Pod template: afterwards the slots in set refer to what they should, the slots in remove are
// gone, and everything else is unchanged and in the same order.
func TestPatchChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := deployment(rapid.SliceOfNDistinct(rapid.Custom(drawContainer), 1, 4, func(c corev1.Container) string { return c.Name }).Draw(t, "containers")...)
		pod := d.Spec.Template.Spec
		var remove []Slot
		set := Entries{}
		for _, c := range pod.Containers {
			for _, name := range []string{"A", "B", "C", "D"} {
				slot := Slot{c.Name, name}
				presence, _ := Lookup(pod, slot)
				switch action := rapid.SampledFrom([]string{"keep", "remove", "set"}).Draw(t, fmt.Sprint(slot)); {
				case presence == Foreign:
				case action == "remove" && presence == Refers:
					remove = append(remove, slot)
				case action == "set":
					set[slot] = Ref{Secret: rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "secret"), Key: "uri"}
				}
			}
		}
		ops := Patch(pod, remove, set)
		after, err := apply(d, append(Guard(d.ObjectMeta), ops...))
		if err != nil {
			t.Fatalf("the patch does not apply: %v", err)
		}
		for slot, ref := range set {
			if presence, got := Lookup(after.Spec.Template.Spec, slot); presence != Refers || got != ref {
				t.Errorf("%v refers to %v, want %v", slot, got, ref)
			}
		}
		touched := append(slices.Collect(maps.Keys(set)), remove...)
		if diff := cmp.Diff(without(pod, touched), without(after.Spec.Template.Spec, touched)); diff != "" {
			t.Errorf("something else changed (-before +after):\n%s", diff)
		}
		for _, slot := range remove {
			if presence, _ := Lookup(after.Spec.Template.Spec, slot); presence != Absent {
				t.Errorf("%v is still there", slot)
			}
		}
		if again := Patch(after.Spec.Template.Spec, nil, set); len(again) > 0 {
			t.Errorf("the patch is not done when it is done: %v", again)
		}
	})
}

// No matter what a container has of it already, and in what order: what is composed comes after its parts, in one patch.
func TestWhatIsComposedComesAfterItsParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := rapid.SampledFrom([]Ref{
			{Secret: "s1", Key: "uri"}, {Secret: "s2", Key: "host"}, {ConfigMap: "c", Key: "k"}, {Value: "x://$(BINDERY_A_1)"}, {Value: "$(BINDERY_A_2)$(BINDERY_A_1)"},
		})
		var env []corev1.EnvVar
		for _, name := range rapid.Permutation([]string{"A", "BINDERY_A_1", "BINDERY_A_2", "OWN"}).Draw(t, "order") {
			switch {
			case !rapid.Bool().Draw(t, "has "+name):
			case name == "OWN":
				env = append(env, value(name, "mine"))
			default:
				env = append(env, envVar(name, ref.Draw(t, name)))
			}
		}
		want := Entries{
			{"app", "A"}: {Value: "x://$(BINDERY_A_1)$(BINDERY_A_2)"}, {"app", "BINDERY_A_1"}: {Secret: "s1", Key: "a"}, {"app", "BINDERY_A_2"}: {Secret: "s1", Key: "b"},
		}
		d := deployment(container("app", env...))
		after, err := apply(d, append(Guard(d.ObjectMeta), Patch(d.Spec.Template.Spec, nil, want)...))
		if err != nil {
			t.Fatalf("the patch does not apply: %v", err)
		}
		got := map[string]int{}
		for i, e := range after.Spec.Template.Spec.Containers[0].Env {
			got[e.Name] = i
		}
		if got["A"] < got["BINDERY_A_1"] || got["A"] < got["BINDERY_A_2"] {
			t.Errorf("the order is %v", got)
		}
		for slot, ref := range want {
			if presence, have := Lookup(after.Spec.Template.Spec, slot); presence != Refers || have != ref {
				t.Errorf("%v refers to %v, want %v", slot, have, ref)
			}
		}
		if again := Patch(after.Spec.Template.Spec, nil, want); len(again) > 0 {
			t.Errorf("the patch is not done when it is done: %v", again)
		}
	})
}

func drawContainer(t *rapid.T) corev1.Container {
	c := container(rapid.SampledFrom([]string{"app", "side", "proxy", "log"}).Draw(t, "name"))
	for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"A", "B", "C", "D", "E"}), 0, 6).Draw(t, "env") {
		if rapid.Bool().Draw(t, "reference") {
			c.Env = append(c.Env, envVar(name, Ref{Secret: rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "secret"), Key: "uri"}))
		} else {
			c.Env = append(c.Env, value(name, "x"))
		}
	}
	return c
}

// without lists the environment of a Pod except some slots.
func without(pod corev1.PodSpec, slots []Slot) []string {
	var rest []string
	for _, c := range pod.Containers {
		for _, env := range c.Env {
			if !slices.Contains(slots, Slot{c.Name, env.Name}) {
				rest = append(rest, strings.Join([]string{c.Name, env.String()}, "/"))
			}
		}
	}
	return rest
}
