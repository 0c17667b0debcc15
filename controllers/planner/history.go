package planner

import (
	"cmp"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
)

// historyLimit is how many swaps the status of a Binding remembers.
const historyLimit = 10

// lastSwap is the newest swap in the history; zero if there is none.
func lastSwap(status v1alpha1.BindingStatus) v1alpha1.Swap {
	if len(status.History) == 0 {
		return v1alpha1.Swap{}
	}
	return status.History[0]
}

// lastSuccess is the newest swap that succeeded.
func lastSuccess(status v1alpha1.BindingStatus) v1alpha1.Swap {
	for _, swap := range status.History {
		if swap.Outcome == v1alpha1.SwapSucceeded {
			return swap
		}
	}
	return v1alpha1.Swap{}
}

// serviceOf is the service whose handle a Secret was; "" if the history does not know.
func serviceOf(status v1alpha1.BindingStatus, secretName string) string {
	for _, swap := range status.History {
		if swap.SecretName == secretName {
			return swap.To
		}
	}
	return ""
}

// noteSwap adds a swap to the history if the attachment is another one than before. A workload that was deleted and
// created again, and carries the same as before, is no swap. A rollout for a Secret that was changed is one from a service
// to itself.
func noteSwap(status *v1alpha1.BindingStatus, was, now *v1alpha1.Attachment, bindingGeneration int64) {
	same := was != nil && was.Service == now.Service && was.SecretName == now.SecretName
	if same && !isRenewed(was, now) {
		return
	}
	if worked := lastSuccess(*status); was == nil && worked.To == now.Service && worked.SecretName == now.SecretName {
		return
	}
	if last := lastSwap(*status); was == nil && last.To == now.Service && last.SecretName == now.SecretName &&
		last.BindingGeneration == bindingGeneration && last.Outcome == v1alpha1.SwapSuperseded {
		status.History[0].Outcome = v1alpha1.SwapInProgress // it goes on, with a workload that was created again
		return
	}
	swap := v1alpha1.Swap{
		To: now.Service, SecretName: now.SecretName, StartedAt: now.Since, BindingGeneration: bindingGeneration,
		Outcome: v1alpha1.SwapInProgress,
	}
	if was != nil {
		swap.From, status.Previous = was.Service, goBackTo(*status, was, same)
	}
	supersede(status)
	push(status, swap)
}

// goBackTo is what to go back to after a swap. After one for another content of the same Secret, it is the same as before.
func goBackTo(status v1alpha1.BindingStatus, was *v1alpha1.Attachment, same bool) *v1alpha1.Attachment {
	if same {
		return status.Previous
	}
	return was
}

// isRenewed says whether the Pods of a workload were replaced for another content of the same Secret.
func isRenewed(was, now *v1alpha1.Attachment) bool {
	return was.Content != now.Content && was.WorkloadUID == now.WorkloadUID
}

// noteRolledBack marks the swap that failed as rolled back. The swap is not in the history yet if the operator was
// stopped right after it. The podSpec is the digest of the Pods that failed, if the workload carried nothing before; else
// "".
func noteRolledBack(status *v1alpha1.BindingStatus, a ledger.Attachment, podSpec string) {
	t := a.RolledBack
	if status.Previous != nil && status.Previous.Service == a.Service && status.Previous.SecretName == a.Secret {
		status.Previous = earlier(*status, a) // the workload carries that one again
	}
	for i, swap := range status.History {
		if swap.SecretName == t.Secret && swap.StartedAt.Equal(&t.Since) {
			failed := &status.History[i]
			failed.Outcome, failed.BindingGeneration, failed.PodSpec = v1alpha1.SwapRolledBack, t.BindingGeneration, cmp.Or(failed.PodSpec, podSpec)
			return
		}
	}
	push(status, v1alpha1.Swap{
		From: a.Service, To: t.Service, SecretName: t.Secret, StartedAt: t.Since, BindingGeneration: t.BindingGeneration,
		Outcome: v1alpha1.SwapRolledBack, PodSpec: podSpec,
	})
}

// earlier is what a workload carried before it carried an attachment, as far as the history knows; nil = nothing.
func earlier(status v1alpha1.BindingStatus, a ledger.Attachment) *v1alpha1.Attachment {
	for i, swap := range status.History {
		if swap.To != a.Service || swap.SecretName != a.Secret || swap.From == "" {
			continue
		}
		for _, older := range status.History[i+1:] {
			if older.To == swap.From && older.Outcome == v1alpha1.SwapSucceeded {
				return &v1alpha1.Attachment{Service: older.To, SecretName: older.SecretName, Since: older.StartedAt, Env: namesIn(a.Entries())}
			}
		}
	}
	return nil
}

// supersede closes a swap that has not ended and will not end.
func supersede(status *v1alpha1.BindingStatus) {
	if lastSwap(*status).Outcome == v1alpha1.SwapInProgress {
		status.History[0].Outcome = v1alpha1.SwapSuperseded
	}
}

func push(status *v1alpha1.BindingStatus, swap v1alpha1.Swap) {
	status.History = append([]v1alpha1.Swap{swap}, status.History...)
	status.History = status.History[:min(len(status.History), historyLimit)]
}

// noteState updates the outcome of the newest swap, if it is known by now.
func noteState(status *v1alpha1.BindingStatus) {
	last, current := lastSwap(*status), status.Current
	switch {
	case last.SecretName != current.SecretName || last.Outcome == v1alpha1.SwapRolledBack:
	case current.SettledAt != nil && current.State != "":
		status.History[0].Outcome = v1alpha1.SwapSucceeded
	case current.State == v1alpha1.AttachmentFailed && last.Outcome == v1alpha1.SwapInProgress:
		status.History[0].Outcome = v1alpha1.SwapFailed
	}
}

// Ended is a swap that has got an outcome.
type Ended struct {
	Outcome v1alpha1.SwapOutcome
	// Took is the time since the patch of the workload.
	Took time.Duration
}

// EndedSwaps are the swaps of a Binding that have got an outcome, or another one, in a change of its status.
func EndedSwaps(was, now v1alpha1.BindingStatus, at time.Time) []Ended {
	var ended []Ended
	for _, swap := range now.History {
		if swap.Outcome == v1alpha1.SwapInProgress || swap.Outcome == outcomeOf(was, swap) {
			continue
		}
		ended = append(ended, Ended{Outcome: swap.Outcome, Took: max(0, at.Sub(swap.StartedAt.Time))})
	}
	return ended
}

// outcomeOf is the outcome of a swap according to a status; "" = the status does not know the swap.
func outcomeOf(status v1alpha1.BindingStatus, swap v1alpha1.Swap) v1alpha1.SwapOutcome {
	for _, s := range status.History {
		if s.SecretName == swap.SecretName && s.StartedAt.Equal(&swap.StartedAt) {
			return s.Outcome
		}
	}
	return ""
}
