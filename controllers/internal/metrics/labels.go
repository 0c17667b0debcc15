package metrics

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// The values that labels can have. What is none of them is other: whatever is written into a status, the number of series
// is limited, and nothing that a person or a program wrote there becomes a label.
const (
	other = "Other"
	// unobserved is the reason of a condition that no object has: nobody has looked at the object yet.
	unobserved = "Unobserved"
)

var (
	bindingConditions = []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionServiceReady, v1alpha1.ConditionInjected, v1alpha1.ConditionRolledOut, v1alpha1.ConditionStalled,
	}
	serviceConditions = []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionProvisioned, v1alpha1.ConditionSeeded, v1alpha1.ConditionVerified, v1alpha1.ConditionStalled,
	}

	statuses = []string{string(metav1.ConditionTrue), string(metav1.ConditionFalse), string(metav1.ConditionUnknown)}

	bindingReasons = []string{
		unobserved, v1alpha1.ReasonReady, v1alpha1.ReasonWorkloadNotFound, v1alpha1.ReasonServiceNotFound, v1alpha1.ReasonServiceNotReady,
		v1alpha1.ReasonServiceNotVerified, v1alpha1.ReasonServiceReady, v1alpha1.ReasonConflict, v1alpha1.ReasonContainerNotFound,
		v1alpha1.ReasonKeyNotFound, v1alpha1.ReasonEnvRequired, v1alpha1.ReasonTypeMismatch, v1alpha1.ReasonEnvFrom,
		v1alpha1.ReasonTimeoutTooShort, v1alpha1.ReasonPatchRefused, v1alpha1.ReasonContested, v1alpha1.ReasonInjected,
		v1alpha1.ReasonNotInjected, v1alpha1.ReasonRollingOut, v1alpha1.ReasonSettling, v1alpha1.ReasonRolledOut,
		v1alpha1.ReasonRolloutPaused, v1alpha1.ReasonRolloutPartitioned, v1alpha1.ReasonRolloutOnDelete,
		v1alpha1.ReasonRolloutQuotaExceeded, v1alpha1.ReasonNoPods, v1alpha1.ReasonDraining,
		v1alpha1.ReasonProgressDeadlineExceeded, v1alpha1.ReasonAvailabilityLost, v1alpha1.ReasonRolledBack,
		v1alpha1.ReasonDataMoving, v1alpha1.ReasonMaintenanceRefused, v1alpha1.ReasonScaledUp,
	}
	serviceReasons = slices.Concat(findings, []string{
		unobserved, v1alpha1.ReasonReady, v1alpha1.ReasonProvisioned, v1alpha1.ReasonProvisioning, v1alpha1.ReasonNotServing,
		v1alpha1.ReasonNameConflict, v1alpha1.ReasonRefused, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonStoreNotAttached,
		v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretUnknown, v1alpha1.ReasonResourceNotFound,
		v1alpha1.ReasonResourceKindNotFound, v1alpha1.ReasonResourceForbidden, v1alpha1.ReasonResourceNotBindable,
		v1alpha1.ReasonVerifying, v1alpha1.ReasonVerifyOff, v1alpha1.ReasonServiceNotServing, v1alpha1.ReasonContested,
	}, moves)

	// moves are where the data of a service can be on its way to it.
	moves = []string{
		v1alpha1.ReasonSeeded, v1alpha1.ReasonSeeding, v1alpha1.ReasonWaitingForOthers, v1alpha1.ReasonWaitingForClients,
		v1alpha1.ReasonSourceNotReady, v1alpha1.ReasonSourceInUse, v1alpha1.ReasonSourceUnreachable, v1alpha1.ReasonSourceRefuses,
		v1alpha1.ReasonSourceTooOld, v1alpha1.ReasonSourceReadOnly, v1alpha1.ReasonTargetInUse, v1alpha1.ReasonTargetNotEmpty,
		v1alpha1.ReasonTargetTooSmall, v1alpha1.ReasonTargetTooOld, v1alpha1.ReasonTargetRefuses, v1alpha1.ReasonTargetUnreachable,
		v1alpha1.ReasonSeedTimeout, v1alpha1.ReasonTargetReadOnly, v1alpha1.ReasonCopying, v1alpha1.ReasonToolFailed,
		v1alpha1.ReasonDataDiffers, v1alpha1.ReasonAppsNotStopped,
	}

	// findings are what a trial of a handle can end with: what the probe found out, or that it found nothing out.
	findings = allFindings()

	// outcomes of a swap that has one.
	outcomes = []string{
		string(v1alpha1.SwapSucceeded), string(v1alpha1.SwapRolledBack), string(v1alpha1.SwapFailed), string(v1alpha1.SwapSuperseded),
	}

	// failures are why a rollout is rolled back.
	failures = []string{v1alpha1.ReasonProgressDeadlineExceeded, v1alpha1.ReasonAvailabilityLost}

	// contests are why a Binding and somebody else want different things of a workload.
	contests = []string{v1alpha1.ReasonConflict, v1alpha1.ReasonContested}

	serviceTypes = allTypes()
)

func allFindings() []string {
	reasons := []string{v1alpha1.ReasonProbeHeld, v1alpha1.ReasonProbeFailed}
	for _, f := range exitcode.Findings() {
		reasons = append(reasons, f.Reason)
	}
	return reasons
}

func allTypes() []string {
	var types []string
	for _, t := range catalog.Types() {
		types = append(types, string(t))
	}
	return types
}

// oneOf is a value if it is one of those that are known.
func oneOf(known []string, value string) string {
	if slices.Contains(known, value) {
		return value
	}
	return other
}

// sourceOf says where a service comes from, as the field of its spec is called.
func sourceOf(s *v1alpha1.BackingServiceSpec) string {
	switch {
	case s.Redis != nil:
		return "redis"
	case s.Collector != nil:
		return "collector"
	case s.External != nil:
		return "external"
	case s.ResourceRef != nil:
		return "resourceRef"
	}
	return other
}
