package written

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

func TestWhatWasWrittenIsReadUntilTheCacheHasSeenIt(t *testing.T) {
	const key = "shop/Deployment/pinger"
	at := func(uid types.UID, version, current string) v1alpha1.Binding {
		b := v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "b", UID: uid, ResourceVersion: version}}
		b.Status.Current = &v1alpha1.Attachment{Service: current}
		return b
	}
	for name, test := range map[string]struct {
		listed v1alpha1.Binding
		want   string
		kept   bool
	}{
		"a cache that is older":                   {at("u", "9", "old"), "new", true},
		"a cache that has seen the write":         {at("u", "10", "new"), "new", false},
		"a cache that has seen a later one":       {at("u", "11", "later"), "later", false},
		"another Binding under the same name":     {at("v", "9", "another"), "another", false},
		"a version that is not a number is given": {at("u", "x", "old"), "old", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := New[string, v1alpha1.Binding]()
			w.Put(key, at("u", "10", "new"))
			listed := []v1alpha1.Binding{test.listed}
			w.Overlay(key, listed)
			if got := listed[0].Status.Current.Service; got != test.want {
				t.Errorf("reads %s, want %s", got, test.want)
			}
			if kept := len(w.seen) > 0; kept != test.kept {
				t.Errorf("kept: %v", kept)
			}
		})
	}
	w := New[string, v1alpha1.Binding]()
	w.Put(key, at("u", "10", "new"))
	if w.Overlay(key, nil); len(w.seen) > 0 {
		t.Error("a Binding that is gone is kept")
	}
}
