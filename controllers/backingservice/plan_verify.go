package backingservice

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	abatchv1 "k8s.io/client-go/applyconfigurations/batch/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/proof"
	"github.com/bindery-dev/bindery/controllers/internal/slim"
)

// A handle that did not pass is tried again, and the pause doubles each time. A new service may need only seconds more: a
// Service that no node leads to yet, a user that is being created.
const (
	trialPauseMin = 3 * time.Second
	trialPauseMax = 10 * time.Minute
)

// jobs are what is known about the Jobs that verify the handles of a service.
type jobs struct {
	present []batchv1.Job
	// lost: according to status.verification a trial is running, but its Job does not exist.
	lost bool
}

// of returns the Job of a trial; nil if it does not exist. Another Job of the same name is not the Job of the trial.
func (j *jobs) of(v *v1alpha1.Verification) *batchv1.Job {
	if v == nil || v.Job == nil {
		return nil
	}
	return j.byUID(v.Job.UID)
}

// byUID returns a Job; nil if it does not exist.
func (j *jobs) byUID(uid string) *batchv1.Job {
	for i := range j.present {
		if string(j.present[i].UID) == uid {
			return &j.present[i]
		}
	}
	return nil
}

// trial is what a plan does to verify the handle.
type trial struct {
	// start is the Job that is to be created; nil = none.
	start *abatchv1.JobApplyConfiguration
	// abandon are Jobs that nobody waits for. They are to be deleted.
	abandon []batchv1.Job
}

// planVerification decides whether the handle is tried now, and what is known about it. At most one Job of a service is
// waited for. A handle that passed is tried again only if a Binding waits for a younger proof, if somebody has asked for it, or
// if the spec has the vendor of a token asked who was not asked yet; the status shows the last result in the meantime.
func (o *observation) planVerification(p *plan) {
	status := &p.status
	if status.Handle == nil {
		o.setVerified(status, condition.False(v1alpha1.ReasonServiceNotServing, "there is no handle to try yet: see the condition Ready"))
		return
	}
	o.leaveEarlierHandle(p)
	o.readFinding(status)
	o.watchTrial(p)
	o.abandonJobs(p)
	known := condition.Find(status.Conditions, v1alpha1.ConditionVerified)
	switch {
	case passed(status) && !underWay(status.Verification) && (o.wantsProof(status) || o.asksAnew(status) || o.isRequested(status)):
		o.startTrial(p)
	case underWay(status.Verification), passed(status):
		o.setVerified(status, stateOf(known))
	case !condition.IsTrue(status.Conditions, v1alpha1.ConditionReady, o.service.Generation):
		o.setVerified(status, condition.False(v1alpha1.ReasonServiceNotServing, "the handle is tried when the service is Ready: see the condition Ready"))
	case o.verifyOff():
		o.setVerified(status, condition.State{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonVerifyOff, Message: fmt.Sprintf(
			"the handle is not tried, because every Binding of BackingService %s has spec.swap.verify: Never", o.service.Name)})
	default:
		wait, wanted := o.untilTrial(status)
		if wanted && wait <= 0 {
			o.startTrial(p)
			return
		}
		o.setVerified(status, stateOf(known))
		if wanted {
			p.lookAgain(wait)
		}
	}
}

// leaveEarlierHandle forgets what is known about a handle other than the current one.
func (o *observation) leaveEarlierHandle(p *plan) {
	v, h := p.status.Verification, p.status.Handle
	if v == nil || v.IsOf(h) {
		return
	}
	p.status.Verification = nil
	o.setVerified(&p.status, o.verifying(&p.status))
}

// abandonJobs ends the Jobs that no trial waits for: those of earlier handles, one from a pass that did not reach its
// end, and one whose trial was given up.
func (o *observation) abandonJobs(p *plan) {
	var awaited *batchv1.Job
	if underWay(p.status.Verification) {
		awaited = o.jobs.of(p.status.Verification)
	}
	for i := range o.jobs.present {
		if job := &o.jobs.present[i]; !ended(job) && job.DeletionTimestamp == nil && (awaited == nil || job.UID != awaited.UID) {
			p.trial.abandon = append(p.trial.abandon, *job)
		}
	}
}

// verifying says that nothing is known about the handle yet.
func (o *observation) verifying(status *v1alpha1.BackingServiceStatus) condition.State {
	return condition.False(v1alpha1.ReasonVerifying, fmt.Sprintf("the handle, %s, is being tried", o.handleText(status)))
}

// readFinding records the result of the running trial, if the trial has ended.
func (o *observation) readFinding(status *v1alpha1.BackingServiceStatus) {
	if !underWay(status.Verification) {
		return
	}
	switch job := o.jobs.of(status.Verification); {
	case job != nil && ended(job):
		o.endTrial(status, o.findingOf(status, job), endOf(job))
	case job == nil && (o.jobs.lost || status.Verification.Job == nil):
		o.endTrial(status, condition.False(v1alpha1.ReasonProbeFailed,
			"the Job that tried the handle is gone before its end was seen: it is tried again"), o.now)
	}
}

// endTrial records what a trial found, and when. If no operator was running, that may be long before it is seen.
func (o *observation) endTrial(status *v1alpha1.BackingServiceStatus, finding condition.State, at time.Time) {
	v := status.Verification
	if at.Before(v.StartedAt.Time) || at.After(o.now) {
		at = o.now // the clock of the component that wrote this is a different one
	}
	v.EndedAt = new(metav1.NewTime(at.Truncate(time.Second)))
	if finding.Status == metav1.ConditionTrue {
		v.PassedAt = v.EndedAt.DeepCopy()
	}
	o.setVerified(status, finding)
}

// wantsProof says whether a Binding waits only for a younger proof of a handle that has passed. A Binding that something
// else blocks does not count: it must not cause trials for ever.
func (o *observation) wantsProof(status *v1alpha1.BackingServiceStatus) bool {
	return !proof.IsYoung(status, o.now) && condition.IsTrue(status.Conditions, v1alpha1.ConditionReady, o.service.Generation) &&
		slices.ContainsFunc(o.named, func(b v1alpha1.Binding) bool { return o.isAwaitedBy(&b, status.Handle) && proof.Awaits(&b) })
}

// asksAnew says whether the spec has somebody asked about a token that passed, who was not asked then.
func (o *observation) asksAnew(status *v1alpha1.BackingServiceStatus) bool {
	asked := engine.Asked(&o.service.Spec)
	return asked != "" && asked != status.Verification.Asked &&
		condition.IsTrue(status.Conditions, v1alpha1.ConditionReady, o.service.Generation)
}

// isRequested says whether somebody has asked for a trial that no trial has answered yet.
func (o *observation) isRequested(status *v1alpha1.BackingServiceStatus) bool {
	request := slim.Request(&o.service)
	return request != "" && request != status.Verification.Requested && !o.verifyOff() &&
		condition.IsTrue(status.Conditions, v1alpha1.ConditionReady, o.service.Generation)
}

// untilTrial says whether, and in how long, a handle that has not passed is to be tried. It is called after it is decided
// that the handle may be tried at all.
func (o *observation) untilTrial(status *v1alpha1.BackingServiceStatus) (wait time.Duration, wanted bool) {
	v, known := status.Verification, condition.Find(o.service.Status.Conditions, v1alpha1.ConditionVerified)
	if v == nil {
		return 0, true
	}
	// The trial ended in this pass: what happened before does not count.
	justEnded := underWay(o.service.Status.Verification)
	if o.isRequested(status) {
		return 0, true
	}
	changed := known.ObservedGeneration != o.service.Generation || !isFinding(known.Reason) || o.happened.named
	if changed && !justEnded {
		return 0, true
	}
	pause := trialPause(v.Attempt)
	if !o.awaited(status.Handle) && o.leavesAlone(status, pause) {
		return 0, false
	}
	return v.EndedAt.Add(pause).Sub(o.now), true
}

// leavesAlone says whether a handle that nobody waits for is not tried again. A handle that passed once is not tried
// again. A handle that did not pass is not tried again after the pause has reached its maximum, a quarter of an hour; the
// first Binding that names the service then causes a trial at once. If the trials found nothing out, they go on.
func (o *observation) leavesAlone(status *v1alpha1.BackingServiceStatus, pause time.Duration) bool {
	found := !foundNothing(condition.Find(status.Conditions, v1alpha1.ConditionVerified).Reason)
	return found && (status.Verification.PassedAt != nil || pause == trialPauseMax)
}

// trialPause after the end of a trial that did not pass.
func trialPause(attempt int32) time.Duration {
	pause := trialPauseMin
	for range attempt - 1 {
		if pause *= 2; pause >= trialPauseMax {
			return trialPauseMax
		}
	}
	return pause
}

// startTrial starts the next trial of the handle.
func (o *observation) startTrial(p *plan) {
	status := &p.status
	known, h := condition.Find(status.Conditions, v1alpha1.ConditionVerified), status.Handle
	next := &v1alpha1.Verification{
		SecretName: h.SecretName, Key: h.Key, Revision: h.Revision, Attempt: 1, StartedAt: metav1.NewTime(o.now.Truncate(time.Second)),
		Asked: engine.Asked(&o.service.Spec), Requested: slim.Request(&o.service),
	}
	if at := proof.At(status); !at.IsZero() {
		next.PassedAt = new(metav1.NewTime(at))
	}
	if last := status.Verification; last != nil {
		next.Requested = cmp.Or(next.Requested, last.Requested)
		if !passed(status) {
			next.Attempt = last.Attempt + 1
		}
	}
	state := o.verifying(status)
	if isFinding(known.Reason) {
		state = stateOf(known) // the status shows the last result while the handle is tried again
	}
	status.Verification = next
	o.setVerified(status, state)
	p.trial.start = engine.VerifyJob(&o.service, h, handle.JobName(o.service.Name, o.nonce), o.images, o.placement(status))
}

// trialRefused is what the status says if the API server rejects the Job.
func (o *observation) trialRefused(p *plan, why string) {
	p.trial.start = nil
	o.endTrial(&p.status, condition.False(v1alpha1.ReasonProbeFailed, fmt.Sprintf(
		"the API server refused the Job that tries the handle: %s: allow it, or set spec.swap.verify of the Binding to Never", why)), o.now)
	o.setStalled(&p.status)
	p.lookAgain(trialPause(p.status.Verification.Attempt))
}

// verifyOff says whether no Binding of the service needs a verified handle. A service that no Binding names is still
// tried, so that its first Binding need not wait.
func (o *observation) verifyOff() bool {
	return len(o.named) > 0 && !slices.ContainsFunc(o.named, func(b v1alpha1.Binding) bool { return b.Spec.Swap.Verifies() })
}

// awaited says whether a Binding waits for the handle to pass.
func (o *observation) awaited(h *v1alpha1.Handle) bool {
	return slices.ContainsFunc(o.named, func(b v1alpha1.Binding) bool { return o.isAwaitedBy(&b, h) })
}

// isAwaitedBy says whether a Binding that names the service wants it verified, and its app is not on the service yet. If
// only the composition of the handle, its key or its authority has changed, the app is on the same Secret, and the Binding
// says that it waits. If only the content of the Secret has changed, the app has the earlier content.
func (o *observation) isAwaitedBy(b *v1alpha1.Binding, h *v1alpha1.Handle) bool {
	at := b.Status.Current
	return b.Spec.Swap.Verifies() && (at == nil || at.Service != o.service.Name || at.SecretName != h.SecretName ||
		h.Content != "" && at.Content != h.Content || proof.SaysItWaits(b))
}

func (o *observation) setVerified(status *v1alpha1.BackingServiceStatus, state condition.State) {
	condition.Set(&status.Conditions, v1alpha1.ConditionVerified, state, o.service.Generation, o.now)
}

func stateOf(c metav1.Condition) condition.State {
	return condition.State{Status: c.Status, Reason: c.Reason, Message: c.Message}
}

func underWay(v *v1alpha1.Verification) bool { return v != nil && v.EndedAt == nil }

func passed(status *v1alpha1.BackingServiceStatus) bool {
	return status.Verification != nil && condition.Find(status.Conditions, v1alpha1.ConditionVerified).Status == metav1.ConditionTrue
}

// isFinding says whether a reason of Verified is the result of a trial.
func isFinding(reason string) bool {
	_, ok := findingOfReason(reason)
	return ok || foundNothing(reason)
}

func findingOfReason(reason string) (exitcode.Finding, bool) {
	all := exitcode.Findings()
	i := slices.IndexFunc(all, func(f exitcode.Finding) bool { return f.Reason == reason })
	if i < 0 {
		return exitcode.Finding{}, false
	}
	return all[i], true
}

// ended says whether a Job runs no Pod any more.
func ended(job *batchv1.Job) bool {
	return jobCondition(job, batchv1.JobComplete) != nil || jobCondition(job, batchv1.JobFailed) != nil
}

// endOf is when a Job ended.
func endOf(job *batchv1.Job) time.Time {
	for _, conditionType := range []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed} {
		if c := jobCondition(job, conditionType); c != nil {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func jobCondition(job *batchv1.Job, conditionType batchv1.JobConditionType) *batchv1.JobCondition {
	for i, c := range job.Status.Conditions {
		if c.Type == conditionType && c.Status == corev1.ConditionTrue {
			return &job.Status.Conditions[i]
		}
	}
	return nil
}

// exitCodeText is the Job controller's wording of the exit code in the condition of a Job that its podFailurePolicy
// ended. The names of containers and Pods, which are in the same sentence, have no spaces.
var exitCodeText = regexp.MustCompile(`\bexit code (\d+)\b`)

// exitCode reads the exit code of the probe from the condition of a Job that failed; false if there is none.
func exitCode(failed *batchv1.JobCondition) (int32, bool) {
	if failed.Reason != batchv1.JobReasonPodFailurePolicy {
		return 0, false
	}
	match := exitCodeText.FindStringSubmatch(failed.Message)
	if match == nil {
		return 0, false
	}
	code, err := strconv.ParseInt(match[1], 10, 32)
	return int32(code), err == nil
}

// findingOf says what a Job that has ended found out.
func (o *observation) findingOf(status *v1alpha1.BackingServiceStatus, job *batchv1.Job) condition.State {
	code := exitcode.Passed
	if jobCondition(job, batchv1.JobComplete) != nil {
		status.ProbePlacement = "" // its Pod has ended by itself
	}
	if failed := jobCondition(job, batchv1.JobFailed); failed != nil && !passedAsInitContainer(failed) {
		var ok bool
		if code, ok = exitCode(failed); !ok {
			return o.unfinished(status, job, failed)
		}
	}
	finding, ok := exitcode.Lookup(o.service.Spec.Type, code)
	if !ok {
		return o.probeFailed(job, fmt.Sprintf("the probe ended with exit code %d, which says nothing about the service", code))
	}
	if code == exitcode.Passed && status.Verification.Asked == v1alpha1.AskVendor {
		finding.Reason = v1alpha1.ReasonVerified // the vendor has taken the token
	}
	state := condition.False(finding.Reason, cmp.Or(o.tokenSentence(status, finding.Reason), o.sentence(status, finding.Reason)))
	if finding.Passed {
		state.Status = metav1.ConditionTrue
		return state
	}
	state.Message += o.changedInPlace(status.Handle)
	return state
}

func (o *observation) probeFailed(job *batchv1.Job, why string) condition.State {
	return condition.False(v1alpha1.ReasonProbeFailed, fmt.Sprintf(
		"the handle could not be tried: %s: see `kubectl describe job %s` and the Events of its Pod", why, job.Name))
}

// sentence says what was found, and how to solve it. It names the endpoint, the Secret and the field, but never their
// content.
func (o *observation) sentence(status *v1alpha1.BackingServiceStatus, reason string) string {
	where := "the service"
	if status.Endpoint != "" {
		where = status.Endpoint
	}
	text, kind := o.handleText(status), o.service.Spec.Type
	switch reason {
	case v1alpha1.ReasonVerified:
		return fmt.Sprintf("%s speaks the protocol of type %s and took the handle, %s", where, kind, text)
	case v1alpha1.ReasonReachable:
		return fmt.Sprintf("%s takes connections; %s", where, o.whyNoMore())
	case v1alpha1.ReasonNotProbed:
		return fmt.Sprintf("the handle, %s, was read; where it names a host and a TCP port, a connection to it was opened; "+
			"%s", text, o.whyNoMore())
	case v1alpha1.ReasonUnreachable:
		return fmt.Sprintf("no connection to %s came about, or it answers that it does not serve: start it, let the Pods of "+
			"namespace %s reach it, or correct %s", where, o.service.Namespace, text)
	case v1alpha1.ReasonNameNotFound:
		return fmt.Sprintf("the name of the host of %s does not resolve: correct %s, or have the name served", where, text)
	case v1alpha1.ReasonNotPermitted:
		return fmt.Sprintf("%s took the credentials, and their user may not use what the handle names: grant it, or correct %s", where, text)
	case v1alpha1.ReasonCredentialsRefused:
		return fmt.Sprintf("%s refused the credentials: correct %s", where, text)
	case v1alpha1.ReasonWrongProtocol:
		return fmt.Sprintf("what answers at %s does not speak the protocol of type %s%s: correct %s, or spec.type", where, kind, orWhere(kind), text)
	case v1alpha1.ReasonReadOnly:
		return fmt.Sprintf("%s takes no writes, as a replica does not, or a server that drains or is short of disk: name one that does in %s", where, text)
	case v1alpha1.ReasonOutOfMemory:
		return fmt.Sprintf("%s takes no writes, because it is full: give it more memory (a Redis: raise its maxmemory, or have it evict keys), "+
			"or name another service in %s", where, text)
	case v1alpha1.ReasonInvalidHandle:
		return fmt.Sprintf("the Secret or its key is missing, or what it holds is no handle of type %s: correct %s", kind, text)
	default:
		return o.secureSentence(reason, where, text)
	}
}

// secureSentence says what is wrong with TLS.
func (o *observation) secureSentence(reason, where, text string) string {
	switch reason {
	case v1alpha1.ReasonTLSRefused:
		return fmt.Sprintf("the TLS handshake with %s failed: have it speak TLS 1.2 or later at that port, or correct the scheme of %s", where, text)
	case v1alpha1.ReasonTLSRequired:
		return fmt.Sprintf("%s takes the handle only over TLS, and the handle asks for none: correct %s", where, text)
	case v1alpha1.ReasonCertificateUntrusted:
		return fmt.Sprintf("the certificate of %s has expired, or is of %s: have it show another one, or %s",
			where, o.whichAuthority(), o.mendAuthority(text))
	case v1alpha1.ReasonCertificateNameMismatch:
		return fmt.Sprintf("the certificate of %s is for another name: name the host as its certificate does in %s", where, text)
	default:
		return o.faultSentence(reason, where, text)
	}
}

// orWhere is what else may be wrong where a service of the type speaks another protocol.
func orWhere(kind v1alpha1.ServiceType) string {
	if kind == v1alpha1.TypeS3 {
		return ", or serves another region than the handle names"
	}
	return ""
}

// faultSentence says what is wrong with the handle itself.
func (o *observation) faultSentence(reason, where, text string) string {
	kind := o.service.Spec.Type
	schemes := strings.Join(catalog.Lookup(kind).Schemes, ":// or ") + "://"
	const encode = "percent-encode / ? # @ % and spaces in the user, the password and the path"
	switch reason {
	case v1alpha1.ReasonHandleMissing:
		return o.missingSentence(text)
	case v1alpha1.ReasonHandleEmpty:
		return fmt.Sprintf("the handle is empty: write one into %s", text)
	case v1alpha1.ReasonHandleNotURL:
		return fmt.Sprintf("the handle is no URL, nor another form that clients of type %s take: it should begin with %s: correct %s", kind, schemes, text)
	case v1alpha1.ReasonSchemeMismatch:
		return fmt.Sprintf("the scheme of the handle is of another type than %s, whose handles begin with %s: correct %s, or spec.type",
			kind, schemes, text)
	case v1alpha1.ReasonHostMissing:
		return fmt.Sprintf("the handle names no host: correct %s", text)
	case v1alpha1.ReasonHostInvalid:
		return fmt.Sprintf("what the handle has for a host is neither a name nor an address (one of IPv6 is in brackets): correct %s: %s", text, encode)
	case v1alpha1.ReasonPortInvalid:
		return fmt.Sprintf("what the handle has for a port is no number from 1 to 65535: correct %s: %s", text, encode)
	case v1alpha1.ReasonHandleNotEncoded:
		return o.notEncodedSentence(text, encode)
	case v1alpha1.ReasonHandleUntrimmed:
		return fmt.Sprintf("the handle passed without the space or the line break at one of its ends, which some clients leave out, and others "+
			"take for a part of it: take it out of %s (echo adds one, echo -n does not)", text)
	case v1alpha1.ReasonDatabaseNotFound:
		return fmt.Sprintf("%s has no database, virtual host or bucket of the name in the handle: create it, or correct %s", where, text)
	case v1alpha1.ReasonTokenMalformed:
		return fmt.Sprintf("what the handle holds is no token: it is in quotes, or has white space, a line break, \"Bearer \" or a URL in it: "+
			"correct %s", text)
	case v1alpha1.ReasonVendorUnavailable:
		return fmt.Sprintf("the token, %s, has the form of one; its vendor was asked and did not say whether it is good", text)
	default:
		return fmt.Sprintf("%s: correct %s", reason, text)
	}
}

// missingSentence says that an object is missing, or a key of it.
func (o *observation) missingSentence(text string) string {
	if authority := o.authorityText(); authority != "" {
		return fmt.Sprintf("one of the objects does not exist, or has no such key: create %s, and %s, or name others", text, authority)
	}
	return fmt.Sprintf("the Secret does not exist, or has no such key: create %s, or name another", text)
}

// notEncodedSentence says that a character in the handle ends something too early.
func (o *observation) notEncodedSentence(text, encode string) string {
	if o.isComposed() {
		return fmt.Sprintf("a part of the handle has white space, or a character that is not allowed there in a URL: percent-encode it in %s "+
			"(echo adds a line break, echo -n does not)", text)
	}
	return fmt.Sprintf("the handle has an @ after its host: correct %s: %s", text, encode)
}

// tokenSentence is what is said differently about a handle that is a token; "" = nothing.
func (o *observation) tokenSentence(status *v1alpha1.BackingServiceStatus, reason string) string {
	kind, text := o.service.Spec.Type, o.handleText(status)
	entry := catalog.Lookup(kind)
	switch {
	case !entry.Token:
		return ""
	case reason == v1alpha1.ReasonVerified:
		return fmt.Sprintf("the vendor was asked about the handle, %s, and took it", text)
	case reason == v1alpha1.ReasonCredentialsRefused:
		return fmt.Sprintf("the vendor refused the handle: correct %s", text)
	case reason == v1alpha1.ReasonNotProbed && entry.Vendor:
		return fmt.Sprintf("the handle, %s, was read, and has the form of one of type %s; its vendor was not asked whether it is good "+
			"(spec.probe.ask: Vendor does that)", text, kind)
	case reason == v1alpha1.ReasonNotProbed:
		return fmt.Sprintf("the handle, %s, was read, and has the form of one of type %s; there is no way to ask whether it is good "+
			"that changes nothing", text, kind)
	default:
		return ""
	}
}

// whyNoMore says why a handle passes although little of it could be tried.
func (o *observation) whyNoMore() string {
	const untried = ", so neither its protocol nor the credentials were tried"
	switch kind := o.service.Spec.Type; {
	case kind == v1alpha1.TypeS3:
		return "the handle has a form that the probe cannot speak with, or its user may not list the bucket, so not all of it was tried"
	case catalog.Lookup(kind).Probed:
		return fmt.Sprintf("the probe of type %s cannot speak with a handle of this form", kind) + untried
	default:
		return fmt.Sprintf("type %s has no probe of its own", kind) + untried
	}
}

// handleText says where the handle is written, so that a reader finds the place to correct it.
func (o *observation) handleText(status *v1alpha1.BackingServiceStatus) string {
	key := fmt.Sprintf("key %s of Secret %s", status.Handle.Key, status.Handle.SecretName)
	switch spec := o.service.Spec; {
	case o.isComposed():
		return keysText(spec.External.SecretRef) + " (spec.external.secretRef.compose)"
	case spec.External != nil && spec.External.SecretRef != nil:
		return key + " (spec.external.secretRef)"
	case spec.External != nil:
		return "spec.external.url"
	case spec.ResourceRef != nil:
		return fmt.Sprintf("%s (published by %s %s)", key, spec.ResourceRef.Kind, spec.ResourceRef.Name)
	default:
		return key
	}
}

func (o *observation) isComposed() bool {
	external := o.service.Spec.External
	return external != nil && external.SecretRef != nil && external.SecretRef.Compose != ""
}

// keysText names the keys that a handle is composed of.
func keysText(ref *v1alpha1.SecretKeyReference) string {
	return fmt.Sprintf("the keys %s of Secret %s", strings.Join(compose.Template(ref.Compose).Keys(), ", "), ref.Name)
}

// authorityText says where the authority of the service is written; "" = there is none.
func (o *observation) authorityText() string {
	external := o.service.Spec.External
	if external == nil || external.CARef == nil {
		return ""
	}
	return fmt.Sprintf("key %s of %s %s (spec.external.caRef)", external.CARef.Key, external.CARef.Kind, external.CARef.Name)
}

// whichAuthority says of which authority a certificate is that is not trusted.
func (o *observation) whichAuthority() string {
	if authority := o.authorityText(); authority != "" {
		return "another authority than the one in " + authority + ", if that holds one in PEM"
	}
	return "an authority that is not trusted"
}

// mendAuthority says what to correct if the certificate of a service is not trusted.
func (o *observation) mendAuthority(handle string) string {
	if o.authorityText() == "" && o.service.Spec.External != nil {
		return fmt.Sprintf("correct %s, or name the authority with spec.external.caRef", handle)
	}
	return "correct " + cmp.Or(o.authorityText(), handle)
}
