package condition

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func TestTheTimeOfATransitionMovesWithTheStatusOnly(t *testing.T) {
	var conditions []metav1.Condition
	Set(&conditions, "Ready", False("Waiting", "for one"), 1, noon)
	Set(&conditions, "Ready", False("Stuck", "for two"), 2, noon.Add(time.Hour))
	if c := Find(conditions, "Ready"); !c.LastTransitionTime.Time.Equal(noon) || c.Reason != "Stuck" || c.ObservedGeneration != 2 {
		t.Errorf("after another reason: %+v", c)
	}
	Set(&conditions, "Ready", True("Ready", ""), 2, noon.Add(2*time.Hour))
	if c := Find(conditions, "Ready"); !c.LastTransitionTime.Time.Equal(noon.Add(2 * time.Hour)) {
		t.Errorf("after another status: %+v", c)
	}
}

func TestIsTrueIsAboutOneGeneration(t *testing.T) {
	var conditions []metav1.Condition
	if IsTrue(conditions, "Ready", 1) {
		t.Error("a condition that is not there is true")
	}
	Set(&conditions, "Ready", True("Ready", ""), 1, noon)
	if !IsTrue(conditions, "Ready", 1) || IsTrue(conditions, "Ready", 2) {
		t.Error("the generation does not count")
	}
}

func TestStalledIsAbsentWhereNobodyIsNeeded(t *testing.T) {
	var conditions []metav1.Condition
	SetStalled(&conditions, true, False("Conflict", "mend it"), 1, noon)
	if c := Find(conditions, v1alpha1.ConditionStalled); c.Status != metav1.ConditionTrue || c.Message != "mend it" {
		t.Errorf("%+v", c)
	}
	SetStalled(&conditions, false, True("Ready", ""), 1, noon)
	if len(conditions) != 0 {
		t.Errorf("%+v", conditions)
	}
}

func TestAMessageFitsTheSchema(t *testing.T) {
	var conditions []metav1.Condition
	Set(&conditions, "Ready", False("Long", strings.Repeat("é", messageLimit+1)), 1, noon)
	if got := len([]rune(conditions[0].Message)); got != messageLimit {
		t.Errorf("%d characters", got)
	}
}
