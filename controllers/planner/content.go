package planner

import (
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/ledger"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
)

// A Secret of somebody else's may be changed in place. The Pod template refers to it as before, so nothing replaces the
// Pods, and each carries what the Secret held when it started. If Bindery follows the Secret, the service has another
// content in its handle then. After the new content was verified, a mark in the Pod template replaces the Pods.
//
// The ledger says which content the Pods have. Pods that start for another reason get the new content too, so they need no
// mark: a workload that is attached, swapped or created again has none. A mark that is there stays until a change of the
// Pod template makes it meaningless, because to remove it would replace the Pods.

// record is what the ledger says about a Binding or, if it does not know it, what the status of the Binding says.
func (f *facts) record(b v1alpha1.Binding) (was ledger.Attachment, known bool) {
	if was, known = f.recorded.Find(b.Name); !known {
		was = f.adopted(b)
	}
	return was, known
}

// delivered is the content that the Pods have from a Binding. Those of a rollout that is about to begin anyway get the
// content of today.
func (f *facts) delivered(b v1alpha1.Binding, s *v1alpha1.BackingService) string {
	h := s.Status.Handle
	if f.marks[b.Name] == h.Content || !f.carries(f.entries(b)) {
		return h.Content
	}
	was, known := f.record(b)
	if known {
		return was.Content
	}
	for _, a := range f.recorded.Attachments { // another Binding has put it there
		if a.Service == s.Name && a.Secret == h.SecretName {
			return a.Content
		}
	}
	return was.Content
}

// isPending says whether the Pods have an earlier content than the service.
func (f *facts) isPending(b v1alpha1.Binding, s *v1alpha1.BackingService) bool {
	return s != nil && s.Status.Handle != nil && s.Status.Handle.Content != "" && f.delivered(b, s) != s.Status.Handle.Content
}

// isTried says whether the content that the Pods do not have yet is being tried.
func (f *facts) isTried(b v1alpha1.Binding, s *v1alpha1.BackingService) bool {
	trial := s.Status.Verification
	return trial != nil && trial.EndedAt == nil && f.isPending(b, s) &&
		present(s, v1alpha1.ConditionVerified, "").Reason == v1alpha1.ReasonVerifying
}

// mayRoll says whether the Pods are to be replaced now for a content that they do not have yet.
func (f *facts) mayRoll(b v1alpha1.Binding, v *verdict) bool {
	return !f.NotItsTurn && v.serviceReady.Status == metav1.ConditionTrue && f.isPending(b, v.service)
}

// setContent decides about the content of what a Binding puts in.
func (f *facts) setContent(b v1alpha1.Binding, v *verdict) {
	was, _ := f.record(b)
	h := v.service.Status.Handle
	v.content, v.mark = f.delivered(b, v.service), was.Mark
	if moves := was.Service != v.service.Name || was.Secret != h.SecretName; moves && !f.carries(v.want) {
		v.mark = "" // the Pods are replaced in any case
	}
	if f.mayRoll(b, v) {
		v.content, v.mark, v.rolls = h.Content, h.Content, true
	}
	if f.isTried(b, v.service) { // most trials end soon
		v.unsaidUntil = v.service.Status.Verification.StartedAt.Add(proofPatience)
	}
}

// keep makes a verdict leave the workload as it is.
func (d *decision) keep(b v1alpha1.Binding, v *verdict) {
	was, _ := d.record(b)
	v.want, v.content, v.mark = d.held[b.Name], was.Content, was.Mark
	v.rolls = v.rolls && v.unproved
}

// changes says whether a verdict changes something of the Pod template.
func (f *facts) changes(b v1alpha1.Binding, v verdict) bool {
	was, _ := f.record(b)
	return !maps.Equal(v.want, f.held[b.Name]) || v.mark != was.Mark
}

// takesTurn says whether the Pods are replaced only for a content, now or as soon as there is a younger proof.
func (d *decision) takesTurn() bool {
	for _, v := range d.verdicts {
		if v.rolls {
			return true
		}
	}
	return false
}

// remarks says whether a verdict changes a mark. A Binding that is gone is no reason to: if its variables stay, because
// another one has taken them over, nothing is to replace the Pods.
func (c *change) remarks() bool {
	for _, b := range c.Bindings {
		if was, _ := c.record(b); c.verdicts[b.Name].mark != was.Mark {
			return true
		}
	}
	return false
}

// marksOf are the marks of a Pod template with this ledger.
func marksOf(l ledger.Ledger) podtemplate.Marks {
	marks := podtemplate.Marks{}
	for _, a := range l.Attachments {
		if a.Mark != "" {
			marks[a.Binding] = a.Mark
		}
	}
	return marks
}

// IsRolling says whether Pods are being replaced that carry a Secret which was changed. What somebody holds, or what has
// failed, does not count.
func IsRolling(status *v1alpha1.BindingStatus) bool {
	current := status.Current
	return current != nil && current.Content != "" &&
		(current.State == v1alpha1.AttachmentRollingOut || current.State == v1alpha1.AttachmentSettling)
}

// IsBehind says whether an attachment has an earlier content than its service, as far as its status shows. handles are those
// of the services, by name.
func IsBehind(status *v1alpha1.BindingStatus, handles map[string]*v1alpha1.Handle) bool {
	if status.Current == nil {
		return false
	}
	h := handles[status.Current.Service]
	return h != nil && h.Content != status.Current.Content
}

func anyRolling(statuses map[string]v1alpha1.BindingStatus) bool {
	for _, status := range statuses {
		if IsRolling(&status) {
			return true
		}
	}
	return false
}

// isRenewal says whether an attachment only renewed the Pods, for a Secret that was changed.
func isRenewal(a ledger.Attachment) bool {
	return a.From != nil && len(a.From.Env) > 0 && a.Mark != a.From.Mark && a.Service == a.From.Service && a.Secret == a.From.Secret
}

// What a reader has to know about a Secret that was changed in place.
const (
	whichContent = "Pods that run keep what they started with, and each Pod that starts gets what the Secret holds now"
	mendContent  = "Correct the Secret, or mend the app and edit the spec of the Binding to try again"
)

// sayPending says that the Pods have an earlier content.
func (f *facts) sayPending(s *v1alpha1.BackingService) string {
	text := fmt.Sprintf("the Secret of BackingService %s was changed: %s", s.Name, whichContent)
	if f.NotItsTurn {
		text += ". Other workloads of the namespace are rolled first"
	}
	return text
}

// notRenewed says that a rollout for a Secret that was changed failed. The old content is gone: only the Pods that were not
// replaced still have it.
func (d *decision) notRenewed(a ledger.Attachment) string {
	message := fmt.Sprintf("the rollout of %s for the changed Secret of BackingService %s failed, and its Pod template is as it was before: %s. "+
		"The Secret is not as it was before: %s. %s", d.Key, a.Service, d.failure.state.Message, whichContent, mendContent)
	if d.Key.Kind == KindStatefulSet && d.Workload.Ordered {
		message += stuckStatefulSet
	}
	return message
}
