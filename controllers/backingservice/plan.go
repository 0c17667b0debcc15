package backingservice

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

const (
	// attachmentLimit is how many attachments the status names; its count includes all of them.
	attachmentLimit = 100

	// If a Secret does not exist, somebody who may not read Secrets gets no event for it. So it is looked for again: soon
	// at first, later more rarely.
	secretPollMin = 2 * time.Second
	secretPollMax = time.Minute

	// refusalRetry is how soon a refused write is tried again: the cause of the refusal (a policy, a quota) sends no
	// event.
	refusalRetry = time.Minute

	// resourceRetry is how soon a kind that could not be read is tried again: granting a right sends no event.
	resourceRetry = 30 * time.Second
)

// observation is everything that a plan depends on.
type observation struct {
	now     time.Time
	service v1alpha1.BackingService
	images  engine.Images
	// attached are the Bindings that have put the handle of the service into a workload. named are those whose
	// spec.serviceRef is the service.
	attached []v1alpha1.Binding
	named    []v1alpha1.Binding
	// happened is what has happened to its Bindings since the last pass.
	happened happening
	children children
	jobs     jobs
	// moving is what is known about the data that moves here or away from here.
	moving moving
	// relay is the Job that leads apps to the source of the move; nil = none is there.
	relay *batchv1.Job
	// nonce is the random part of the names that this pass may create.
	nonce handle.Nonce
	// sinceMoved is how long ago the service left a handle; 0 if that was not seen, or was handled already.
	sinceMoved time.Duration
	// secret says whether a Secret exists that has a handle and is managed by somebody else. It is checked only if the
	// plan depends on it.
	secret existence
	// resource is what spec.resourceRef leads to.
	resource resource
	// followed is what is known about the changes of those Secrets.
	followed followed
}

// children are the objects of a provisioned service, as far as they exist.
type children struct {
	service     *corev1.Service
	statefulSet *appsv1.StatefulSet
	deployment  *appsv1.Deployment
	binding     *v1alpha1.Binding
	// direct is the Service that leads to the Pods of this service past the relay of a move.
	direct *corev1.Service
	// store is the BackingService that a collector shall keep its data in; nil if there is none.
	store *v1alpha1.BackingService
	// claim is the claim template for a Redis whose StatefulSet does not exist: the template that finds the volume that
	// the Redis had.
	claim string
	// carried is the Secret that exists and that the apps of the namespace carry from an earlier service of this name. If
	// there is none, it is the one that the claim remembers; "" = none.
	carried string
	// earlier is about a collector whose status has no handle. It says that what is in use was made by an earlier version
	// of Bindery: the Service has the name that such a version gave, or apps carry such a Secret.
	earlier bool
	// foreign are objects that have the name of a child and belong to somebody else.
	foreign []string
	// contested is how long to leave a child as it is, because something else keeps changing it. The key is the way in
	// which the child is repaired.
	contested map[string]time.Duration
	// injectedSince is when the Binding of a collector was first seen to say what the collector is born with.
	injectedSince time.Time
}

// existence of a Secret that Bindery may not read.
type existence struct {
	known  bool
	exists bool
	// why it is not known, if it is not known.
	why string
}

// resource is what spec.resourceRef leads to.
type resource struct {
	reason  string // a reason of a condition; "" = found
	message string
	// bindingName is status.binding.name.
	bindingName string
}

// happening is what has happened to the Bindings of a service: the current state does not show this to a plan.
type happening struct {
	// named: a Binding has started to name the service.
	named bool
	// moved: a Binding has put another handle into its workload, or is gone.
	moved bool
}

// plan is what is to be done. If reserve is set, only the name of the Secret is written down, and the next pass makes the
// Secret. Otherwise the order is: first the Secret, because the other objects refer to it; then the other objects; then
// the Jobs that try the handle and move the data; then the status, which describes the state after all of that; last, what the status has
// announced.
type plan struct {
	reserve bool
	secret  *secret
	// ports of the Service, if the whole list has to be replaced.
	ports *ports
	apply []child
	// repairs are those applied objects that somebody else has changed.
	repairs []repair
	// contested are the children that stay, for now, as somebody else has made them.
	contested []string
	// withdraw is the Binding of a collector that must not attach anything any more.
	withdraw *v1alpha1.Binding
	trial    trial
	step     step
	// moved: the service has another handle than before, so there are Secrets to check.
	moved bool
	// prune are the Secrets of earlier handles that are to be deleted, if nothing names them any more.
	prune  []string
	status v1alpha1.BackingServiceStatus
	ending ending
	// retryAfter is when to look again at things that send no event. 0 = never.
	retryAfter time.Duration
}

// lookAgain makes sure that the next pass is made after this time or earlier.
func (p *plan) lookAgain(after time.Duration) {
	if p.retryAfter == 0 || after < p.retryAfter {
		p.retryAfter = after
	}
}

// child is an object that is to be applied.
type child struct {
	// desired is an apply configuration, or a Binding, of which only metadata and spec are used.
	desired any
	// name of the object, in words for a message.
	name string
	// uid of the object that is to be changed; "" = the object is to be created, and must not exist.
	uid types.UID
}

// ports is the whole list of the ports of one Service.
type ports struct {
	service string
	uid     types.UID
	list    []acorev1.ServicePortApplyConfiguration
}

// repair is the way in which a child is repaired, and the state that it was found in.
type repair struct{ kind, sight string }

// secret is a handle revision that is to be created.
type secret struct {
	name string
	// content makes the Secret's content with new passwords. Handles without credentials do not ask for one.
	content func(newPassword func() string) map[string]string
	// kept: an existing Secret was made for this service, and stays as it is. Otherwise an existing Secret is made again:
	// it may come from a pass that did not reach its end, or from somebody who has read its name in the status.
	kept bool
	// outlives: the Secret stays when the BackingService is deleted.
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
	o.planFollowed(&p)
	o.setAttachments(&p.status)
	o.planVerification(&p)
	o.planCopy(&p)
	o.planRevisions(&p)
	o.planRetention(&p)
	o.setStalled(&p.status)
	return p
}

// reserve plans to write down the name of a Secret before the Secret is made, so that the name is known even after a
// crash. For names that were reserved before and are not needed any more, Secrets may exist: they are deleted like those
// of earlier handles.
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

// begin is the status that a plan starts from: the last status, for this generation.
func (o *observation) begin() v1alpha1.BackingServiceStatus {
	status := *o.service.Status.DeepCopy()
	status.ObservedGeneration = o.service.Generation
	return status
}

// setReady writes the condition that says what state the service is in.
func (o *observation) setReady(status *v1alpha1.BackingServiceStatus, state condition.State) {
	condition.Set(&status.Conditions, v1alpha1.ConditionReady, state, o.service.Generation, o.now)
}

// setStalled says whether the problem in Ready, or else in Verified, needs a person. It is called after both are set.
func (o *observation) setStalled(status *v1alpha1.BackingServiceStatus) {
	state := stateOf(condition.Find(status.Conditions, v1alpha1.ConditionReady))
	stalled := slices.Contains(needsPerson, state.Reason)
	if seeded := condition.Find(status.Conditions, v1alpha1.ConditionSeeded); !stalled && seeded.Status == metav1.ConditionFalse {
		state, stalled = stateOf(seeded), slices.Contains(needsPerson, seeded.Reason) || status.Move != nil && status.Move.Step == v1alpha1.MoveGivenUp
	}
	if verified := condition.Find(status.Conditions, v1alpha1.ConditionVerified); !stalled && verified.Status == metav1.ConditionFalse {
		finding, ok := findingOfReason(verified.Reason)
		state, stalled = stateOf(verified), ok && finding.NeedsPerson || heldTooOften(status, verified)
	}
	condition.SetStalled(&status.Conditions, stalled, state, o.service.Generation, o.now)
}

// needsPerson are the reasons that only a person can resolve.
var needsPerson = []string{
	v1alpha1.ReasonNameConflict, v1alpha1.ReasonRefused, v1alpha1.ReasonInvalidSpec,
	v1alpha1.ReasonResourceKindNotFound, v1alpha1.ReasonResourceForbidden, v1alpha1.ReasonContested, v1alpha1.ReasonNotServing,
	v1alpha1.ReasonSourceInUse, v1alpha1.ReasonSourceRefuses, v1alpha1.ReasonSourceTooOld, v1alpha1.ReasonSourceReadOnly,
	v1alpha1.ReasonTargetInUse, v1alpha1.ReasonTargetNotEmpty, v1alpha1.ReasonTargetTooSmall, v1alpha1.ReasonTargetTooOld,
	v1alpha1.ReasonTargetRefuses, v1alpha1.ReasonSeedTimeout, v1alpha1.ReasonTargetReadOnly, v1alpha1.ReasonToolFailed,
	v1alpha1.ReasonDataDiffers, v1alpha1.ReasonAppsNotStopped,
}

// setProvisioned writes the conditions of a service that Bindery provisions.
func (o *observation) setProvisioned(status *v1alpha1.BackingServiceStatus, state condition.State) {
	condition.Set(&status.Conditions, v1alpha1.ConditionProvisioned, state, o.service.Generation, o.now)
	if state.Status == metav1.ConditionTrue {
		state = condition.True(v1alpha1.ReasonReady, state.Message)
	}
	o.setReady(status, state)
}

// setHandle writes the handle. A change of the Secret, of the key, or of how it is used, is a new revision.
func (o *observation) setHandle(status *v1alpha1.BackingServiceStatus, secretName, key string, keys []string) {
	next := v1alpha1.Handle{SecretName: secretName, Key: key, Keys: keys, Revision: 1}
	if external := o.service.Spec.External; external != nil {
		next.Authority = external.CARef.DeepCopy()
		if ref := external.SecretRef; ref != nil {
			next.Compose = ref.Compose
			if ref.ComposeFor == v1alpha1.ComposeForProbe {
				next.ComposeFor = ref.ComposeFor
			}
		}
	}
	if was := o.service.Status.Handle; was != nil {
		before := *was
		before.Keys, next.Revision = keys, was.Revision
		before.Followed, before.Content = nil, "" // planFollowed looks at these
		if !equality.Semantic.DeepEqual(before, next) {
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
			Binding: b.Name, Workload: b.Spec.WorkloadRef.Kind + "/" + b.Spec.WorkloadRef.Name,
			Env: compose.WithoutParts(b.Status.Current.Env),
		})
	}
	slices.SortFunc(attachments, func(a, b v1alpha1.ServiceAttachment) int { return strings.Compare(a.Binding, b.Binding) })
	status.AttachmentCount = int32(len(attachments)) //nolint:gosec // fewer than 2^31 objects fit into a cluster
	status.Attachments = attachments[:min(len(attachments), attachmentLimit)]
}

// conflict returns the condition for an object of somebody else that has the name of a child.
func (o *observation) conflict() (condition.State, bool) {
	if len(o.children.foreign) == 0 {
		return condition.State{}, false
	}
	return condition.False(v1alpha1.ReasonNameConflict, fmt.Sprintf("%s exists and does not belong to this BackingService: "+
		"delete or rename it, or create the BackingService under another name", strings.Join(o.children.foreign, ", "))), true
}

// differs says whether the part of an object that Bindery owns is different from what is desired.
func differs[T any](desired *T, extract func() (*T, error)) bool {
	have, err := extract()
	// managedFields that cannot be read were written by somebody else: an apply repairs them.
	return err != nil || !equality.Semantic.DeepEqual(desired, have)
}

// keysOf are the keys for apps in a Secret that Bindery makes.
func keysOf(content map[string]string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(content)), engine.Internal)
}
