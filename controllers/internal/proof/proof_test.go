package proof

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func TestHowOldAProofIs(t *testing.T) {
	at := func(d time.Duration) *metav1.Time { return new(metav1.NewTime(noon.Add(d))) }
	failed := condition.False(v1alpha1.ReasonCredentialsRefused, "")
	for name, test := range map[string]struct {
		trial    v1alpha1.Verification
		verified condition.State
		young    bool
	}{
		"it has just passed":                 {v1alpha1.Verification{EndedAt: at(0), PassedAt: at(0)}, condition.True(v1alpha1.ReasonVerified, ""), true},
		"it passed a moment ago":             {v1alpha1.Verification{EndedAt: at(-MaxAge + 1), PassedAt: at(-MaxAge + 1)}, condition.True(v1alpha1.ReasonVerified, ""), true},
		"it passed too long ago":             {v1alpha1.Verification{EndedAt: at(-MaxAge), PassedAt: at(-MaxAge)}, condition.True(v1alpha1.ReasonVerified, ""), false},
		"it passed by a clock that is wrong": {v1alpha1.Verification{EndedAt: at(MaxAge), PassedAt: at(MaxAge)}, condition.True(v1alpha1.ReasonVerified, ""), false},
		"it is tried again":                  {v1alpha1.Verification{PassedAt: at(-MaxAge)}, condition.True(v1alpha1.ReasonVerified, ""), false},
		"it never passed":                    {v1alpha1.Verification{EndedAt: at(0)}, failed, false},
		"it passed, and then it did not":     {v1alpha1.Verification{EndedAt: at(0), PassedAt: at(-MaxAge)}, failed, false},
		"an earlier version saw it pass":     {v1alpha1.Verification{EndedAt: at(0)}, condition.True(v1alpha1.ReasonVerified, ""), true},
		"and tries it again":                 {v1alpha1.Verification{}, condition.True(v1alpha1.ReasonVerified, ""), false},
		"it is about another handle":         {v1alpha1.Verification{SecretName: "other", EndedAt: at(0), PassedAt: at(0)}, condition.True(v1alpha1.ReasonVerified, ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := v1alpha1.BackingServiceStatus{Handle: &v1alpha1.Handle{}, Verification: &test.trial}
			condition.Set(&s.Conditions, v1alpha1.ConditionVerified, test.verified, 1, noon)
			if got := IsYoung(&s, noon); got != test.young {
				t.Errorf("young: %v", got)
			}
		})
	}
	if IsYoung(&v1alpha1.BackingServiceStatus{}, noon) {
		t.Error("a service that was never tried has a proof")
	}
}
