package v1alpha1

import "time"

// DefaultSettlingTime of a SwapPolicy.
const DefaultSettlingTime = 10 * time.Second

// Verifies says whether the handle must have been verified before the workload is touched. No policy at all is the default.
func (p *SwapPolicy) Verifies() bool { return p == nil || p.Verify != VerifyNever }

// RollsBack says whether a rollout that fails is rolled back.
func (p *SwapPolicy) RollsBack() bool { return p == nil || p.OnFailure != FailureHold }

// Limit is how long a rollout may take; 0 = no such limit.
func (p *SwapPolicy) Limit() time.Duration {
	if p == nil || p.Timeout == nil {
		return 0
	}
	return p.Timeout.Duration
}

// Settling is how long new Pods must stay available.
func (p *SwapPolicy) Settling() time.Duration {
	if p == nil || p.SettlingTime == nil {
		return DefaultSettlingTime
	}
	return p.SettlingTime.Duration
}

// IsOf says whether the handle that was tried is this one. An earlier version of Bindery, which wrote no revision, knew
// neither an authority nor a handle that is composed.
func (v *Verification) IsOf(h *Handle) bool {
	return v.SecretName == h.SecretName && v.Key == h.Key &&
		(v.Revision == h.Revision || v.Revision == 0 && h.Authority == nil && h.Compose == "")
}

// ForApps says whether an app can have the handle itself, and not only single keys of its Secret.
func (h *Handle) ForApps() bool { return h.ComposeFor != ComposeForProbe }

// MayStop says whether the workload may be scaled to 0 while its data is copied.
func (p *SwapPolicy) MayStop() bool { return p == nil || p.Maintenance != MaintenanceNever }

// Copies says whether the service gets its data by a copy, for which apps are stopped.
func (s *BackingServiceSpec) Copies() bool { return s.SeedFrom != nil && s.SeedFrom.Method == SeedCopy }

// MayReplaceData says whether data of the service may be lost to that of spec.seedFrom. Who creates a service with
// replaceData: Always may do so from a backup, or from Git in another cluster, and its data may be years ahead of the
// source's. So it counts only for a service that was edited since it was created.
func (s *BackingService) MayReplaceData() bool {
	return s.Spec.SeedFrom != nil && s.Spec.SeedFrom.ReplaceData == ReplaceDataAlways && s.Generation > 1
}
