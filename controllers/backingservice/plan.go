package backingservice

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

const (
	// attachmentLimit is how many attachments the status names; it counts them all.
	attachmentLimit = 100

	// A Secret that does not exist sends no event to somebody who may not read Secrets, so it is looked for again: soon
	// at first, later more rarely.
	secretPollMin = 2 * time.Second
	secretPollMax = time.Minute

	// refusalRetry is how soon a refused write is tried again: what refused it (a policy, a quota) sends no event.
	refusalRetry = time.Minute

	// resourceRetry is how soon a kind that could not be read is tried again: a right that is granted sends no event.
	resourceRetry = 30 * time.Second
)

// observation is all that a plan depends on.
type observation struct {
	now     time.Time
	service v1alpha1.BackingService
	images  engine.Images
	// attached are the Bindings that have put the handle of the service into a workload; named are those whose
	// spec.serviceRef is the service.
	attached []v1alpha1.Binding
	named    []v1alpha1.Binding
	// happened is what has happened to its Bindings since the last pass.
	happened happening
	children children
	jobs     jobs
	// nonce is the random part of the names that this pass may give.
	nonce handle.Nonce
	// sinceMoved is how long ago the service left a handle; 0 where that was not seen, or was looked into already.
	sinceMoved time.Duration
	// secret says whether the Secret of a handle exists that somebody else keeps. It is looked at only where the plan
	// depends on it.
	secret existence
	// resource is what was found of spec.resourceRef.
	resource resource
}

// children are the objects of a provisioned service, as far as they exist.
type children struct {
	service     *corev1.Service
	statefulSet *appsv1.StatefulSet
	deployment  *appsv1.Deployment
	binding     *v1alpha1.Binding
	// store is the BackingService that a collector is to keep its data in; nil where there is none.
	store *v1alpha1.BackingService
	// claim is the claim template of a Redis whose StatefulSet does not exist: one that finds the volume that it had.
	claim string
	// carried is the Secret that exists and that the apps of the namespace carry from a service of this name that was there
	// before, or else the one that its claim remembers; "" = none.
	carried string
	// earlier says of a collector whose status has no handle that an earlier version of Bindery made what is in use: its Service
	// has the name that such a version gave, or apps carry such a Secret.
	earlier bool
	// foreign are objects that have the name of a child and belong to somebody else.
	foreign []string
	// contested is how long to leave a child as it is, by the way to put it right, because something else keeps at it.
	contested map[string]time.Duration
	// injectedSince is when the Binding of a collector was first seen to say what the collector is born with.
	injectedSince time.Time
}

// existence of a Secret, which Bindery may not read.
type existence struct {
	known  bool
	exists bool
	// why it is not known, where it is not.
	why string
}

// resource is what was found of spec.resourceRef.
type resource struct {
	reason  string // a reason of a condition; "" = found
	message string
	// bindingName is status.binding.name.
	bindingName string
}

// happening is what has happened to the Bindings of a service: a plan cannot see it in how things stand.
type happening struct {
	// named: one has begun to name the service.
	named bool
	// moved: one has put another handle into its workload, or has gone.
	moved bool
}

// plan is what is to be done. Where reserve is set, the name of the Secret is written down, and that is all: the next pass
// makes it. Else the Secret comes first, because the other objects refer to it; then the other objects, then the
// Job that tries the handle; then the status, which says how things stand when all of it was done; at last what the
// status has announced.
type plan struct {
	reserve bool
	secret  *secret
	// ports of the Service, where the whole list has to be replaced.
	ports *ports
	apply []child
	// repairs are those of the applied objects that somebody else has changed.
	repairs []repair
	// contested are the children that stay as somebody else has made them, for now.
	contested []string
	// withdraw is the Binding of a collector that must not attach anything any more.
	withdraw *v1alpha1.Binding
	trial    trial
	// moved: the service has another handle than before, so that there are Secrets to be looked into.
	moved bool
	// prune are the Secrets of earlier handles that are to go, if nothing names them any more.
	prune  []string
	status v1alpha1.BackingServiceStatus
	ending ending
	// retryAfter is when to look again at what sends no event. 0 = never.
	retryAfter time.Duration
}

// lookAgain has the next pass made after this time, if none is to be made sooner.
func (p *plan) lookAgain(after time.Duration) {
	if p.retryAfter == 0 || after < p.retryAfter {
		p.retryAfter = after
	}
}

// child is an object that is to be applied.
type child struct {
	// desired is an apply configuration, or a Binding, of which metadata and spec are meant.
	desired any
	// name of the object, in words for a message.
	name string
	// uid of the object that is to be changed; "" = it is to be created, and must not exist.
	uid types.UID
}

// ports are the whole list of the ports of one Service.
type ports struct {
	service string
	uid     types.UID
	list    []acorev1.ServicePortApplyConfiguration
}

// repair is the way in which a child is put right, and the state that it was found in.
type repair struct{ kind, sight string }

// secret is a handle revision that is to be created.
type secret struct {
	name string
	// content makes the Secret's content with fresh passwords. Handles without credentials ask for none.
	content func(newPassword func() string) map[string]string
	// kept: one that exists was made for this service, and stays as it is. Else it is made again: a pass that did not come
	// to its end may have made it, or somebody who has read its name in the status.
	kept bool
	// outlives: it stays when the BackingService goes.
	outlives bool
}

// makePlan decides what a BackingService consists of, and what its status says.
func makePlan(o observation) plan {
	var p plan
	switch spec := o.service.Spec; {
	case spec.Redis != nil:
		p = o.planRedis()
	case spec.Collector != nil:
		p = o.planCollector()
	case spec.External != nil && spec.External.SecretRef != nil:
		p = o.planSecretRef()
	case spec.External != nil:
		p = o.planURL()
	default:
		p = o.planResourceRef()
	}
	if p.reserve {
		return p
	}
	o.setAttachments(&p.status)
	o.planVerification(&p)
	o.planRevisions(&p)
	o.planRetention(&p)
	o.setStalled(&p.status)
	return p
}

// reserve plans to write down the name of a Secret before it is made, so that it is known whatever happens. Of the names
// that were reserved before, and are not needed any more, there may be Secrets: they go as those of earlier handles do.
func (o *observation) reserve(name string) plan {
	status := *o.service.Status.DeepCopy()
	status.Reserved = slices.Insert(status.Reserved, 0, name)
	status.Reserved = status.Reserved[:min(len(status.Reserved), revisionLimit)]
	return plan{reserve: true, status: status}
}

// reserved says whether a name was written down, and the Secret may be made.
func (o *observation) reserved(name string) bool {
	return slices.Contains(o.service.Status.Reserved, name)
}

// begin is the status that a plan starts from: what it was, about this generation.
func (o *observation) begin() v1alpha1.BackingServiceStatus {
	status := *o.service.Status.DeepCopy()
	status.ObservedGeneration = o.service.Generation
	return status
}

// setReady writes the condition that says how the service stands.
func (o *observation) setReady(status *v1alpha1.BackingServiceStatus, state condition.State) {
	condition.Set(&status.Conditions, v1alpha1.ConditionReady, state, o.service.Generation, o.now)
}

// setStalled says whether Ready, or else Verified, is what nothing but a person will mend. It comes after both.
func (o *observation) setStalled(status *v1alpha1.BackingServiceStatus) {
	state := stateOf(condition.Find(status.Conditions, v1alpha1.ConditionReady))
	stalled := slices.Contains(needsPerson, state.Reason)
	if verified := condition.Find(status.Conditions, v1alpha1.ConditionVerified); !stalled && verified.Status == metav1.ConditionFalse {
		finding, ok := findingOfReason(verified.Reason)
		state, stalled = stateOf(verified), ok && finding.NeedsPerson || heldTooOften(status, verified)
	}
	condition.SetStalled(&status.Conditions, stalled, state, o.service.Generation, o.now)
}

// needsPerson are the reasons that nothing but a person will mend.
var needsPerson = []string{
	v1alpha1.ReasonNameConflict, v1alpha1.ReasonRefused, v1alpha1.ReasonInvalidSpec,
	v1alpha1.ReasonResourceKindNotFound, v1alpha1.ReasonResourceForbidden, v1alpha1.ReasonContested, v1alpha1.ReasonNotServing,
}

// setProvisioned writes the conditions of a service that Bindery provisions.
func (o *observation) setProvisioned(status *v1alpha1.BackingServiceStatus, state condition.State) {
	condition.Set(&status.Conditions, v1alpha1.ConditionProvisioned, state, o.service.Generation, o.now)
	if state.Status == metav1.ConditionTrue {
		state = condition.True(v1alpha1.ReasonReady, state.Message)
	}
	o.setReady(status, state)
}

// setHandle writes the handle. Another Secret, or another key, is another revision.
func (o *observation) setHandle(status *v1alpha1.BackingServiceStatus, secretName, key string, keys []string) {
	next := v1alpha1.Handle{SecretName: secretName, Key: key, Keys: keys, Revision: 1}
	if was := o.service.Status.Handle; was != nil {
		next.Revision = was.Revision
		if was.SecretName != secretName || was.Key != key {
			next.Revision++
		}
	}
	status.Handle, status.Reserved = &next, without(status.Reserved, secretName)
	status.Binding = &v1alpha1.LocalReference{Name: secretName}
}

func (o *observation) setAttachments(status *v1alpha1.BackingServiceStatus) {
	attachments := make([]v1alpha1.ServiceAttachment, 0, len(o.attached))
	for _, b := range o.attached {
		attachments = append(attachments, v1alpha1.ServiceAttachment{
			Binding: b.Name, Workload: b.Spec.WorkloadRef.Kind + "/" + b.Spec.WorkloadRef.Name, Env: b.Status.Current.Env,
		})
	}
	slices.SortFunc(attachments, func(a, b v1alpha1.ServiceAttachment) int { return strings.Compare(a.Binding, b.Binding) })
	status.AttachmentCount = int32(len(attachments)) //nolint:gosec // fewer than 2^31 objects fit into a cluster
	status.Attachments = attachments[:min(len(attachments), attachmentLimit)]
}

// conflict says so where an object of somebody else has the name of a child.
func (o *observation) conflict() (condition.State, bool) {
	if len(o.children.foreign) == 0 {
		return condition.State{}, false
	}
	return condition.False(v1alpha1.ReasonNameConflict, fmt.Sprintf("%s exists and does not belong to this BackingService: "+
		"delete or rename it, or create the BackingService under another name", strings.Join(o.children.foreign, ", "))), true
}

// differs says whether what Bindery owns of an object is not what is desired.
func differs[T any](desired *T, extract func() (*T, error)) bool {
	have, err := extract()
	// managedFields that cannot be read were written by somebody else: an apply mends them.
	return err != nil || !equality.Semantic.DeepEqual(desired, have)
}

// keysOf are the keys that a Secret of Bindery's making has for apps.
func keysOf(content map[string]string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(content)), engine.Internal)
}
