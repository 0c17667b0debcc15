package backingservice

import (
	"slices"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/follow"
)

// sameSecond is the precision of the times in managedFields. A change counts when its second is over, because another one
// in the same second would not be seen.
const sameSecond = time.Second

// followed is what is known about the Secrets that the spec names.
type followed struct {
	// on: the operator may follow Secrets.
	on bool
	// seen are those with the label.
	seen map[string]follow.Sighting
	// gone are those that were followed and do not exist now.
	gone map[string]bool
	// unlabelled are those that were followed, exist, and have no label as far as is known; and for how long that has been so.
	unlabelled map[string]time.Duration
}

// labelShows is how long it may take until the label of a Secret that was created again is known: it is watched, and whether the
// Secret exists is asked.
const labelShows = 10 * time.Second

// secretsOf are the Secrets of somebody else's that a spec names.
func secretsOf(spec *v1alpha1.BackingServiceSpec) []string {
	if spec.External == nil {
		return nil
	}
	var names []string
	if ref := spec.External.SecretRef; ref != nil {
		names = append(names, ref.Name)
	}
	if ca := spec.External.CARef; ca != nil && ca.Kind == v1alpha1.AuthoritySecret && !slices.Contains(names, ca.Name) {
		names = append(names, ca.Name)
	}
	return names
}

// planFollowed writes down what is seen of the content of the Secrets of the handle. A change is another revision of the
// handle, which is then tried like any other.
//
// What is seen first changes nothing: the operator cannot know which content the running Pods have. That is so when the
// label is put on a Secret, when the operator is first allowed to follow Secrets, and when the status was lost. For the
// same reason everything is forgotten when a Secret is not followed any more. A Secret that was deleted is not forgotten:
// some tools change a Secret by creating it again.
func (o *observation) planFollowed(p *plan) {
	h, before := p.status.Handle, o.service.Status.Handle
	if h == nil {
		return
	}
	var had []v1alpha1.FollowedSecret
	if before != nil {
		had = before.Followed
	}
	h.Followed, h.Content = nil, ""
	var written []string
	changed := false
	for _, name := range o.followable() {
		was := writtenIn(had, name)
		now, wait := o.writtenNow(name, was)
		if wait > 0 {
			p.lookAgain(wait)
		}
		if now != "" {
			h.Followed = append(h.Followed, v1alpha1.FollowedSecret{SecretName: name, Written: now})
			written = append(written, name, now)
			changed = changed || was != "" && was != now
		}
	}
	switch {
	case changed:
		h.Content = follow.Digest(written...)
		h.Revision = max(h.Revision, before.Revision+1)
	case before != nil && before.SecretName == h.SecretName && len(h.Followed) > 0:
		h.Content = before.Content
	}
}

// followable are the Secrets that may be followed; none if the operator may not.
func (o *observation) followable() []string {
	if !o.followed.on {
		return nil
	}
	return secretsOf(&o.service.Spec)
}

func writtenIn(had []v1alpha1.FollowedSecret, name string) string {
	for _, f := range had {
		if f.SecretName == name {
			return f.Written
		}
	}
	return ""
}

// writtenNow is what is known now about when a Secret was written; "" = it is not followed. After wait, more may be known.
func (o *observation) writtenNow(name, was string) (now string, wait time.Duration) {
	seen, labelled := o.followed.seen[name]
	if !labelled && o.followed.gone[name] || labelled && seen.Digest == "" {
		return was, 0
	}
	if since, known := o.followed.unlabelled[name]; known && since < labelShows {
		return was, labelShows - since
	}
	rest := seen.Written.Add(sameSecond).Sub(o.now)
	if labelled && seen.Digest != was && 0 < rest && rest <= sameSecond { // more is a clock that is wrong
		return was, rest
	}
	return seen.Digest, 0
}

// changedInPlace says what a finding about a Secret that was changed in place means for the apps that are attached; "" =
// nothing.
func (o *observation) changedInPlace(h *v1alpha1.Handle) string {
	if h.Content == "" || !slices.ContainsFunc(o.attached, func(b v1alpha1.Binding) bool {
		return b.Status.Current.SecretName == h.SecretName && b.Status.Current.Content != h.Content
	}) {
		return ""
	}
	return ". The Secret was changed in place. The apps stay as they are: Pods that run keep what they started with, and each Pod that " +
		"starts gets what the Secret holds now"
}
