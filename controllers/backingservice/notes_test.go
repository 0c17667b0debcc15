package backingservice

import (
	"slices"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// A Service with the name of its BackingService gives variables that an app may read. This is reported once, when the
// Service appears.
func TestAServiceThatGivesVariablesOfItsNameIsSaid(t *testing.T) {
	const earlier = "my-visits-0123456789abcdef"
	for name, test := range map[string]struct {
		spec     v1alpha1.BackingServiceSpec
		was, now string // the Secret of the handle; "" = none
		said     bool
	}{
		"a Redis that finds the handle of an earlier version":      {redisSpec, "", earlier, true},
		"a collector that does":                                    {collectorSpec, "", earlier, true},
		"a Redis of this version":                                  {redisSpec, "", earlier + "0123", false},
		"a Redis of an earlier version that goes on":               {redisSpec, earlier, earlier, false},
		"a Redis that has no handle yet":                           {redisSpec, "", "", false},
		"a URL of somebody else's: there is no Service of Bindery": {urlSpec("http://a"), "", earlier, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := observed(test.spec).service
			s.Name = "my-visits"
			handleOf := func(secret string) *v1alpha1.Handle {
				if secret == "" {
					return nil
				}
				return &v1alpha1.Handle{SecretName: secret}
			}
			s.Status.Handle = handleOf(test.was)
			now := v1alpha1.BackingServiceStatus{Handle: handleOf(test.now)}
			notes := slices.DeleteFunc(notesOf(&s, now), func(n note) bool { return n.reason != reasonServiceLinks })
			if (len(notes) == 1) != test.said {
				t.Fatalf("says %+v", notes)
			}
			for _, part := range []string{"Service my-visits", "MY_VISITS_PORT=tcp://", "enableServiceLinks: false"} {
				if test.said && !strings.Contains(notes[0].message, part) {
					t.Errorf("%q does not mention %q", notes[0].message, part)
				}
			}
		})
	}
}
