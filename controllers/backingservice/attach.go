package backingservice

import (
	"fmt"
	"slices"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// planSecretRef makes a handle from a Secret that somebody else manages.
func (o *observation) planSecretRef() plan {
	ref := o.service.Spec.External.SecretRef
	if ref.Compose != "" {
		return o.planForeignSecret(ref.Name, "", "create it with "+keysText(ref)+", or correct spec.external.secretRef.name")
	}
	return o.planForeignSecret(ref.Name, ref.Key, fmt.Sprintf("create it with the key %s, or correct spec.external.secretRef.name", ref.Key))
}

// planResourceRef makes a handle from what another object publishes as a Provisioned Service.
func (o *observation) planResourceRef() plan {
	ref := o.service.Spec.ResourceRef
	if o.resource.reason != "" {
		p := plan{status: o.begin()}
		o.setReady(&p.status, condition.False(o.resource.reason, o.resource.message))
		if o.resource.reason != v1alpha1.ReasonResourceNotFound && o.resource.reason != v1alpha1.ReasonResourceNotBindable {
			p.retryAfter = resourceRetry
		}
		return p
	}
	return o.planForeignSecret(o.resource.bindingName, v1alpha1.KeyURI, fmt.Sprintf("%s %s publishes it in its status.binding.name", ref.Kind, ref.Name))
}

// planForeignSecret makes a handle from a Secret that Bindery may not read. Bindery only knows whether the Secret exists.
func (o *observation) planForeignSecret(name, key, mend string) plan {
	p := plan{status: o.begin()}
	switch {
	case o.secret.known && o.secret.exists:
		o.setHandle(&p.status, name, key, nil)
		ready := fmt.Sprintf("the handle is the key %s of Secret %s", key, name)
		if o.isComposed() {
			ready = "the handle is composed of " + keysText(o.service.Spec.External.SecretRef)
		}
		o.setReady(&p.status, condition.True(v1alpha1.ReasonReady, ready))
	case o.secret.known:
		o.setReady(&p.status, condition.False(v1alpha1.ReasonSecretNotFound,
			fmt.Sprintf("Secret %s does not exist in namespace %s: %s", name, o.service.Namespace, mend)))
		p.retryAfter = o.secretPoll(p.status)
	default:
		o.setReady(&p.status, condition.False(v1alpha1.ReasonSecretUnknown,
			fmt.Sprintf("whether Secret %s exists could not be found out: %s", name, o.secret.why)))
		p.retryAfter = o.secretPoll(p.status)
	}
	return p
}

// foreignSecret is the Secret, managed by somebody else, whose existence the plan depends on. It is "" if there is no
// such Secret. It is also "" if the status already says, for this generation, that the Secret exists, and no app is to be
// moved to it now.
func (o *observation) foreignSecret() string {
	name := o.resource.bindingName
	if external := o.service.Spec.External; external != nil && external.SecretRef != nil {
		name = external.SecretRef.Name
	}
	h := o.service.Status.Handle
	if h != nil && h.SecretName == name && condition.IsTrue(o.service.Status.Conditions, v1alpha1.ConditionReady, o.service.Generation) &&
		!o.wantsProof(&o.service.Status) {
		return ""
	}
	return name
}

// secretPoll is half the time that the Secret has been missing, within limits.
func (o *observation) secretPoll(status v1alpha1.BackingServiceStatus) time.Duration {
	missing := o.now.Sub(condition.Find(status.Conditions, v1alpha1.ConditionReady).LastTransitionTime.Time)
	return min(max(missing/2, secretPollMin), secretPollMax)
}

// planURL makes a handle from a URL without credentials. Its Secret is Bindery's own, one for each URL: the name contains
// a digest of the URL, so a Secret that exists already has exactly this URL.
func (o *observation) planURL() plan {
	s := &o.service
	p := plan{status: o.begin()}
	url := s.Spec.External.URL
	// The name depends only on the content. A BackingService that comes back, with its definition or from git, has the
	// handle that its apps carry, so none of them changes.
	name := handle.ContentName(s.Name, s.Spec.Type, url)
	ready := "the handle is spec.external.url"
	content, err := handle.FromURL(s.Spec.Type, url)
	if credentials := handle.CheckURL(url); err == nil && credentials != nil {
		// The API server accepts an edit of an object whose URL existed before the rule, if the edit does not change the
		// URL. Bindery does the same: a handle that was made from this URL is kept, and so is what apps have or return
		// to.
		if ready = "the handle is spec.external.url as it was accepted once, and " + credentials.Error(); !o.hasHandle(name) {
			err = credentials
		}
	}
	if err != nil {
		o.setReady(&p.status, condition.False(v1alpha1.ReasonInvalidSpec, err.Error()))
		return p
	}
	if s.Status.Handle == nil || s.Status.Handle.SecretName != name {
		kept := slices.Contains(s.Status.Revisions, name)
		if !kept && !o.reserved(name) {
			return o.reserve(name)
		}
		p.secret = &secret{name: name, content: func(func() string) map[string]string { return content }, kept: kept, outlives: o.outlives()}
	}
	p.status.Endpoint = handle.Endpoint(content)
	o.setHandle(&p.status, name, v1alpha1.KeyURI, keysOf(content))
	o.setReady(&p.status, condition.True(v1alpha1.ReasonReady, ready))
	return p
}

// hasHandle says whether a Secret is the handle of the service, or was put into a workload by one of its Bindings. The
// latter is known even if the status was lost.
func (o *observation) hasHandle(name string) bool {
	h := o.service.Status.Handle
	return h != nil && h.SecretName == name ||
		slices.ContainsFunc(o.attached, func(b v1alpha1.Binding) bool { return b.Status.Current.SecretName == name })
}

// refused is the status that says that the API server refused a write. The handle stays as it was.
func (o *observation) refused(why string) v1alpha1.BackingServiceStatus {
	status := o.begin()
	state := condition.False(v1alpha1.ReasonRefused, why)
	if o.service.Spec.Redis != nil || o.service.Spec.Collector != nil {
		o.setProvisioned(&status, state)
	} else {
		o.setReady(&status, state)
	}
	p := plan{status: status}
	o.setAttachments(&p.status)
	o.planRetention(&p)
	o.setStalled(&p.status)
	return p.status
}
