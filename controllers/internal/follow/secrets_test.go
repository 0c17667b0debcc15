package follow

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func entry(manager string, at time.Time, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Time: new(metav1.NewTime(at)), FieldsV1: metav1.NewFieldsV1(fields)}
}

// Of the metadata of a Secret, the cache keeps nothing that a person or a tool has written on it. What is kept says the same
// as the metadata, also when it is stripped again.
func TestWhatIsKeptOfTheMetadata(t *testing.T) {
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	m := metadata()
	m.Namespace, m.Name, m.UID, m.ResourceVersion = "shop", "key", "uid", "7"
	m.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"data":{"uri":"canary"}}`}
	m.Labels = map[string]string{"team": "canary"}
	m.ManagedFields = []metav1.ManagedFieldsEntry{
		entry("writer", noon, `{"f:data":{".":{},"f:uri":{}},"f:metadata":{"f:annotations":{"f:canary":{}}}}`),
		entry("canary", noon.Add(time.Hour), `{"f:metadata":{"f:labels":{"f:team":{}}}}`),
		entry("broken", noon.Add(time.Hour), `canary`),
	}
	before := Of(m.UID, m.ManagedFields)
	if !before.Written.Equal(noon) || before.Digest == "" {
		t.Errorf("the metadata says %+v", before)
	}
	once, err := strip(m)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := strip(once)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(once, twice); diff != "" {
		t.Errorf("stripped twice (-once +twice):\n%s", diff)
	}
	kept, ok := twice.(*metav1.PartialObjectMetadata)
	if !ok || sightingIn(kept) != before || kept.Name != "key" || kept.Namespace != "shop" {
		t.Errorf("what is kept says %+v, the metadata %+v", twice, before)
	}
	if text, err := json.Marshal(kept); err != nil || strings.Contains(string(text), "canary") {
		t.Errorf("it keeps %s (%v)", text, err)
	}
	if _, err := strip(&corev1.Secret{}); err == nil {
		t.Error("it takes a whole Secret")
	}
}

func TestDigest(t *testing.T) {
	if Digest("a", "b") == Digest("ab") || Digest("a", "b") == Digest("b", "a") {
		t.Error("texts that differ have the same digest")
	}
}
