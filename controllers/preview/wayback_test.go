package preview

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

func TestTheWayBackLeadsToWhatTheAppCarries(t *testing.T) {
	named := func(service, carried string) v1alpha1.Binding {
		b := v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "b"}}
		b.Spec.WorkloadRef.Name, b.Spec.ServiceRef.Name = "pinger", service
		if carried != "" {
			b.Status.Current = &v1alpha1.Attachment{Service: carried}
		}
		return b
	}
	for sentence, c := range map[string]struct {
		before v1alpha1.Binding
		to     string
		want   string
	}{
		"a swap":                                 {named("visits", "visits"), "visits2", "visits"},
		"after a swap that was rolled back":      {named("broken", "visits"), "visits2", "visits"},
		"to what the app carries, after that":    {named("broken", "visits"), "visits", "broken"},
		"of a Binding that has attached nothing": {named("visits", ""), "visits2", "visits"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if have, want := WayBack(Swapping(c.before, c.to), c.before), "kubectl bindery swap bnd/b --to "+c.want; have != want {
				t.Errorf("%q, want %q", have, want)
			}
		})
	}
}
