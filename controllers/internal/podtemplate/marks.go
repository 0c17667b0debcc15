package podtemplate

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// Marks are what the annotation bindery.dev/secret-revision of a Pod template says: by the name of the Binding, which
// content of a Secret its Pods were replaced for. A Pod template whose marks change is another one, so the Pods are
// replaced although they refer to the same Secret.
type Marks map[string]string

const marksPath = "/spec/template/metadata/annotations"

// MarksOf reads the marks of a Pod template. What has another form than Bindery writes is left out.
func MarksOf(template corev1.PodTemplateSpec) Marks {
	marks := Marks{}
	for part := range strings.SplitSeq(template.Annotations[v1alpha1.SecretRevisionAnnotation], ",") {
		if binding, content, ok := strings.Cut(part, "="); ok && binding != "" && content != "" {
			marks[binding] = content
		}
	}
	return marks
}

// String is the text of the annotation; "" if there are no marks. The same marks always give the same text.
func (m Marks) String() string {
	var parts []string
	for _, binding := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, binding+"="+m[binding])
	}
	return strings.Join(parts, ",")
}

// PatchMarks returns the operations that give a Pod template these marks, and no others.
func PatchMarks(template corev1.PodTemplateSpec, marks Marks) []Op {
	path := marksPath + "/" + escape(v1alpha1.SecretRevisionAnnotation)
	have, exists := template.Annotations[v1alpha1.SecretRevisionAnnotation]
	switch text := marks.String(); {
	case have == text && exists == (text != ""):
		return nil
	case text == "":
		return []Op{{Op: "test", Path: path, Value: have}, {Op: "remove", Path: path}}
	case len(template.Annotations) == 0:
		// The guard of the patch binds it to this generation, so nothing is there that this would replace.
		return []Op{{Op: "add", Path: marksPath, Value: map[string]string{v1alpha1.SecretRevisionAnnotation: text}}}
	default:
		return []Op{{Op: "add", Path: path, Value: text}}
	}
}

// WithoutMarks returns a Pod template as its owner has written it, as far as the marks are concerned.
func WithoutMarks(template corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	if _, exists := template.Annotations[v1alpha1.SecretRevisionAnnotation]; !exists {
		return template
	}
	template.Annotations = maps.Clone(template.Annotations)
	delete(template.Annotations, v1alpha1.SecretRevisionAnnotation)
	if len(template.Annotations) == 0 {
		template.Annotations = nil
	}
	return template
}
