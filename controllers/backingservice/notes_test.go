package backingservice

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
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

func TestATrialIsCountedWhenItsEndIsWritten(t *testing.T) {
	const yes, no = v1alpha1.ReasonVerified, v1alpha1.ReasonUnreachable
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	trial := func(secret, job string, ended bool) *v1alpha1.Verification {
		v := &v1alpha1.Verification{SecretName: secret, Key: "uri", Attempt: 1, StartedAt: metav1.NewTime(now)}
		if job != "" {
			v.Job = &v1alpha1.JobReference{Name: job, UID: "uid-" + job}
		}
		if ended {
			v.EndedAt = new(metav1.NewTime(now.Add(time.Second)))
		}
		return v
	}
	for name, test := range map[string]struct {
		was, now *v1alpha1.Verification
		reason   string // of Verified, in the end
		want     string // "" = nothing is counted
	}{
		"no trial":                       {nil, nil, v1alpha1.ReasonServiceNotServing, ""},
		"one that begins":                {nil, trial("s", "1", false), v1alpha1.ReasonVerifying, ""},
		"one that goes on":               {trial("s", "1", false), trial("s", "1", false), v1alpha1.ReasonVerifying, ""},
		"one that passes":                {trial("s", "1", false), trial("s", "1", true), yes, yes},
		"one that does not":              {trial("s", "1", false), trial("s", "1", true), no, no},
		"one that has ended before":      {trial("s", "1", true), trial("s", "1", true), yes, ""},
		"the next one, which begins":     {trial("s", "1", true), trial("s", "2", false), no, ""},
		"one that ends, and the next":    {trial("s", "1", false), trial("s", "2", false), no, no},
		"one whose Job was refused":      {trial("s", "1", true), trial("s", "", true), v1alpha1.ReasonProbeFailed, v1alpha1.ReasonProbeFailed},
		"one of a handle that was left":  {trial("s", "1", false), trial("other", "2", false), v1alpha1.ReasonVerifying, ""},
		"one of a handle that is gone":   {trial("s", "1", false), nil, v1alpha1.ReasonServiceNotServing, ""},
		"the first one, seen at its end": {nil, trial("s", "1", true), yes, yes},
	} {
		t.Run(name, func(t *testing.T) {
			was, is := v1alpha1.BackingServiceStatus{Verification: test.was}, v1alpha1.BackingServiceStatus{Verification: test.now}
			condition.Set(&is.Conditions, v1alpha1.ConditionVerified, condition.False(test.reason, ""), 1, now)
			got, ok := endedTrial(was, is)
			if got != test.want || ok != (test.want != "") {
				t.Errorf("counts %q (%t), want %q", got, ok, test.want)
			}
		})
	}
}
