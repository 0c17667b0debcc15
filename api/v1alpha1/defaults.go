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
