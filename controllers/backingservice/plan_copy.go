package backingservice

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
)

// A copy (spec.seedFrom.method: Copy) moves the data of a database that no other one can follow. It has these steps. The apps
// are stopped and started by the planner of Bindings, which reads the step from the status of this service.
//
//	step      precondition                     action                              known to be done by             the way back
//	Checking  both services are Ready and      Job `move check`: it logs in at     exit code 0, and every Binding  set the line back: nothing has
//	          verified                         both, this one is empty, and the    of the source names this        happened
//	                                           data fits                           service and waits only for
//	                                                                               the data
//	Stopping  checked a moment ago             each app is scaled to 0             status.stopped of each Binding  set the line back: the apps are
//	                                                                               says that no Pod is left        scaled back
//	Copying   no Pod of an app is left         Job `move copy`: it dumps, loads    exit code 0                     the same: the source is only read
//	                                           and compares
//	Done      what is here is what the source  the Bindings attach, and the same   status.move                     a plain swap, to the data of
//	          has                              patch scales back                                                   before; or a copy in the other
//	                                                                                                               direction
//	GivenUp   a step could not be made         the apps are scaled back, with      another spec, or Bindings that  nothing has happened
//	                                           what they had                       do not name this service
//
// A step that was lost is made again: a check changes nothing, an app that is stopped stays so, and a copy that finds what it
// has copied before only compares.

const (
	// checkedFor is how long a check counts before the apps are stopped.
	checkedFor = time.Minute

	// mostCopies is how often the data is copied, if what could not be done may be otherwise a moment later.
	mostCopies = 5

	// stopsWithin is how long apps may take to stop.
	stopsWithin = 10 * time.Minute
)

// planCopy decides what is done about a copy. It is called after the handle, Ready and Verified of the service are known.
func (o *observation) planCopy(p *plan) {
	if !o.service.Spec.Copies() {
		if o.service.Spec.Redis == nil { // see planMove
			o.leaveMove(p)
		}
		return
	}
	state := o.copyOn(p)
	o.setSeeded(&p.status, state)
	o.abandonCopies(p)
}

// leaveMove forgets a move that spec.seedFrom does not ask for any more.
func (o *observation) leaveMove(p *plan) {
	p.status.Move = nil
	condition.Remove(&p.status.Conditions, v1alpha1.ConditionSeeded)
	o.abandonCopies(p)
}

// abandonCopies ends the Jobs that nobody waits for.
func (o *observation) abandonCopies(p *plan) {
	at := p.status.Move
	p.step.abandon = o.movesOf(func(job *batchv1.Job) bool { return at == nil || at.Job == nil || string(job.UID) != at.Job.UID })
}

// copyOn makes the step that is due, and returns the condition Seeded.
func (o *observation) copyOn(p *plan) condition.State {
	if at := o.service.Status.Move; at != nil && at.Source == o.service.Spec.SeedFrom.Name && at.Step == v1alpha1.MoveDone {
		return o.seeded()
	}
	if state, refused := o.refuseCopy(&p.status); refused {
		return o.stopCopy(p, state)
	}
	o.beginCopy(&p.status)
	o.readCopy(&p.status)
	at := p.status.Move
	switch at.Step {
	case v1alpha1.MoveGivenUp:
		return o.rest(p)
	case v1alpha1.MoveStopping:
		return o.stopApps(p)
	case v1alpha1.MoveCopying:
		return o.copy(p)
	case v1alpha1.MoveDone:
		return o.seeded()
	default:
		return o.check(p)
	}
}

// refuseCopy says why a copy cannot begin, or go on.
func (o *observation) refuseCopy(status *v1alpha1.BackingServiceStatus) (condition.State, bool) {
	source, from := o.moving.source, o.service.Spec.SeedFrom.Name
	no := func(reason, format string, args ...any) (condition.State, bool) {
		return condition.False(reason, "spec.seedFrom: "+fmt.Sprintf(format, args...)), true
	}
	switch {
	case len(o.attached) > 0:
		return no(v1alpha1.ReasonTargetInUse, "apps are attached to this service and use its own data: set spec.serviceRef of their Bindings "+
			"to BackingService %s first; or, if its data is here already, remove spec.seedFrom", from)
	case source == nil:
		return no(v1alpha1.ReasonSourceNotReady, "BackingService %s does not exist: create it, or correct spec.seedFrom.name", from)
	case source.Spec.Type != o.service.Spec.Type:
		return no(v1alpha1.ReasonSourceInUse, "BackingService %s is of type %s, and this one of type %s: name a service of the same type",
			from, source.Spec.Type, o.service.Spec.Type)
	case source.Spec.SeedFrom != nil && !isDone(source):
		return no(v1alpha1.ReasonSourceInUse, "BackingService %s gets its own data from BackingService %s, and has not got it yet: wait for that, "+
			"or name the latter", from, source.Spec.SeedFrom.Name)
	}
	if rival := o.earlierRival(); rival != "" {
		return no(v1alpha1.ReasonSourceInUse, "the data of BackingService %s is on its way to BackingService %s: wait for that, or delete the latter",
			from, rival)
	}
	// While the apps are stopped, a service that is away for a moment ends nothing: the Job tries again.
	if at := o.service.Status.Move; at != nil && stopsApps(at.Step) && source.Status.Handle != nil && status.Handle != nil {
		return condition.State{}, false
	}
	if state, ok := serves(source, &source.Status); !ok {
		return no(v1alpha1.ReasonSourceNotReady, "BackingService %s: %s", from, state)
	}
	if state, ok := serves(&o.service, status); !ok {
		return condition.False(v1alpha1.ReasonSeeding, "the data is copied when this service is Ready, and its handle verified: "+state), true
	}
	return condition.State{}, false
}

// serves says whether a service has a handle that was verified.
func serves(s *v1alpha1.BackingService, status *v1alpha1.BackingServiceStatus) (why string, ok bool) {
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionVerified} {
		c := condition.Find(status.Conditions, name)
		off := name == v1alpha1.ConditionVerified && c.Reason == v1alpha1.ReasonVerifyOff
		if !off && !condition.IsTrue(status.Conditions, name, s.Generation) {
			return fmt.Sprintf("%s is not True yet: %s", name, c.Message), false
		}
	}
	return "", status.Handle != nil
}

// stopCopy is what follows when a copy cannot go on: before an app was stopped it waits, after that it is given up.
func (o *observation) stopCopy(p *plan, state condition.State) condition.State {
	if at := o.service.Status.Move; at != nil && stopsApps(at.Step) {
		p.status.Move = at.DeepCopy()
		return o.giveUp(&p.status, state)
	}
	return state
}

// stopsApps says whether apps are stopped in a step.
func stopsApps(step v1alpha1.MoveStep) bool {
	return step == v1alpha1.MoveStopping || step == v1alpha1.MoveCopying
}

// giveUp ends a copy: the apps are started again, with what they had.
func (o *observation) giveUp(status *v1alpha1.BackingServiceStatus, why condition.State) condition.State {
	at := status.Move
	o.enter(at, v1alpha1.MoveGivenUp)
	at.ObservedGeneration = o.service.Generation
	why.Message += fmt.Sprintf(". The copy was given up, and the apps are on BackingService %s, as before. To try again, edit spec.seedFrom, "+
		"or set spec.serviceRef of the Bindings back, and here again", at.Source)
	return why
}

// rest waits until a person has changed something after a copy was given up.
func (o *observation) rest(p *plan) condition.State {
	at := p.status.Move
	if at.ObservedGeneration == o.service.Generation && len(o.named) > 0 {
		return stateOf(condition.Find(p.status.Conditions, v1alpha1.ConditionSeeded))
	}
	*at = v1alpha1.Move{ID: string(o.nonce), Source: at.Source, SourceUID: at.SourceUID, Step: v1alpha1.MoveChecking, Since: o.second()}
	return o.check(p)
}

// beginCopy begins the copy, or that of another source.
func (o *observation) beginCopy(status *v1alpha1.BackingServiceStatus) {
	source := o.moving.source
	if at := status.Move; at != nil && at.Source == source.Name && at.SourceUID == string(source.UID) && ofCopy(at.Step) {
		status.Move = at.DeepCopy()
		return
	}
	status.Move = &v1alpha1.Move{
		ID: string(o.nonce), Source: source.Name, SourceUID: string(source.UID), Step: v1alpha1.MoveChecking, Since: o.second(),
	}
}

// ofCopy says whether a step is one of a copy.
func ofCopy(step v1alpha1.MoveStep) bool {
	switch step {
	case v1alpha1.MoveChecking, v1alpha1.MoveStopping, v1alpha1.MoveCopying, v1alpha1.MoveGivenUp:
		return true
	case v1alpha1.MoveSeeding, v1alpha1.MoveAttaching, v1alpha1.MoveCuttingOver, v1alpha1.MoveDone:
	}
	return false
}

// readCopy reads what the Job of the step has come to.
func (o *observation) readCopy(status *v1alpha1.BackingServiceStatus) {
	at := status.Move
	code, has := o.codeOf(at, o.copyLasts())
	if !has {
		return
	}
	at.EndedAt = new(o.second())
	if job := o.moving.jobs.byUID(at.Job.UID); job != nil && code == outcome.Done &&
		job.Annotations[v1alpha1.MoveHandlesAnnotation] != engine.HandlesOf(o.moving.source.Status.Handle, status.Handle) {
		code = -1 // a handle was edited meanwhile: the data may be anywhere
	}
	known, _ := outcome.Lookup(code)
	switch {
	case code == outcome.Done && at.Step == v1alpha1.MoveCopying && len(o.unstopped()) == 0:
		o.enter(at, v1alpha1.MoveDone)
		o.proveBy(status)
	case code == outcome.Done && at.Step == v1alpha1.MoveCopying:
		// copy says what has happened
	case code == outcome.Done:
		at.Attempt = 0
	default:
		at.Attempt++
		state := o.failedStep(code)
		if at.Step == v1alpha1.MoveCopying && (known.NeedsPerson || at.Attempt >= mostCopies) {
			state = o.giveUp(status, state)
		}
		o.setSeeded(status, state)
	}
}

// proveBy counts a copy that has just ended as a proof of the handle that it was written with: the apps need not wait for
// another one.
func (o *observation) proveBy(status *v1alpha1.BackingServiceStatus) {
	if v := status.Verification; v != nil && v.IsOf(status.Handle) && v.PassedAt != nil && !underWay(v) {
		v.PassedAt = new(o.second())
	}
}

// copyLasts is how long a Job may be without an end.
func (o *observation) copyLasts() time.Duration { return o.copyLimit() + moveLasts + 2*time.Minute }

// copyLimit is how long the apps may be stopped.
func (o *observation) copyLimit() time.Duration {
	if limit := o.service.Spec.SeedFrom.Timeout; limit != nil {
		return limit.Duration
	}
	return time.Hour
}

// check finds out whether the data can be copied, and whether all apps are to move.
func (o *observation) check(p *plan) condition.State {
	at := p.status.Move
	checked := at.EndedAt != nil && at.Attempt == 0
	waits := o.copyAwaits()
	switch {
	case checked && waits != "":
		return condition.False(v1alpha1.ReasonWaitingForOthers, waits)
	case checked && o.now.Sub(at.EndedAt.Time) < checkedFor:
		o.enter(at, v1alpha1.MoveStopping)
		return o.stopApps(p)
	case checked:
		at.Job, at.EndedAt = nil, nil
	}
	o.startCopy(p, engine.MoveCheck)
	return saidBefore(p, condition.False(v1alpha1.ReasonSeeding, fmt.Sprintf(
		"whether the data of BackingService %s can be copied is being checked; no app was touched", at.Source)))
}

// stopApps waits until no Pod of an app is left.
func (o *observation) stopApps(p *plan) condition.State {
	at := p.status.Move
	if state, ended := o.stopEnds(&p.status); ended {
		return state
	}
	if waits := o.copyAwaits(); waits != "" {
		return o.giveUp(&p.status, condition.False(v1alpha1.ReasonWaitingForOthers, waits))
	}
	left := o.unstopped()
	if len(left) == 0 {
		o.enter(at, v1alpha1.MoveCopying)
		return o.copy(p)
	}
	if limit := min(stopsWithin, o.copyLimit()); o.now.Sub(at.Since.Time) >= limit {
		return o.giveUp(&p.status, condition.False(v1alpha1.ReasonAppsNotStopped, fmt.Sprintf(
			"the apps of these Bindings did not stop within %s: %s", limit, someOf(left))))
	}
	p.lookAgain(at.Since.Add(min(stopsWithin, o.copyLimit())).Sub(o.now))
	return condition.False(v1alpha1.ReasonCopying, fmt.Sprintf("the apps of BackingService %s are being stopped: %s", at.Source, someOf(left)))
}

// stopEnds gives a copy up if something has given an app Pods again, or its owner has set the line back.
func (o *observation) stopEnds(status *v1alpha1.BackingServiceStatus) (condition.State, bool) {
	var up, back []string
	for _, b := range o.moving.attached {
		switch injected := condition.Find(b.Status.Conditions, v1alpha1.ConditionInjected); {
		case b.Spec.ServiceRef.Name != o.service.Name:
			back = append(back, b.Name)
		case injected.Reason == v1alpha1.ReasonScaledUp && injected.ObservedGeneration == b.Generation:
			up = append(up, b.Name)
		}
	}
	switch {
	case len(back) > 0:
		return o.giveUp(status, condition.False(v1alpha1.ReasonWaitingForOthers, "these Bindings do not name this service any more: "+someOf(back))), true
	case len(up) > 0:
		return o.giveUp(status, condition.False(v1alpha1.ReasonAppsNotStopped, "something has scaled up the apps of these Bindings: "+someOf(up)+
			". Make what manages their replicas (GitOps, KEDA) leave spec.replicas alone until the copy is done")), true
	}
	return condition.State{}, false
}

// copy copies the data.
func (o *observation) copy(p *plan) condition.State {
	at := p.status.Move
	if state, ended := o.stopEnds(&p.status); ended {
		return state
	}
	if left := o.unstopped(); len(left) > 0 {
		return o.giveUp(&p.status, condition.False(v1alpha1.ReasonAppsNotStopped, "the apps of these Bindings are not stopped any more: "+someOf(left)))
	}
	left := at.Since.Add(o.copyLimit()).Sub(o.now)
	if left <= 0 {
		return o.giveUp(&p.status, condition.False(v1alpha1.ReasonSeedTimeout, fmt.Sprintf(
			"spec.seedFrom.timeout: after %s not all data of BackingService %s was here: set it higher", o.copyLimit(), at.Source)))
	}
	p.lookAgain(left)
	o.startCopy(p, engine.MoveCopy)
	return saidBefore(p, condition.False(v1alpha1.ReasonCopying, fmt.Sprintf(
		"the data of BackingService %s is being copied; its apps are stopped", at.Source)))
}

// startCopy starts the Job of a step, if none runs, and the pause after the last one is over.
func (o *observation) startCopy(p *plan, what string) {
	at := p.status.Move
	if !o.mayStart(p, o.copyLasts()) {
		return
	}
	limit := max(at.Since.Add(o.copyLimit()).Sub(o.now), time.Second)
	job := engine.Copy{
		Move: engine.Move{ID: at.ID, Service: &o.service, Source: o.moving.source, Images: o.images},
		From: o.moving.source.Status.Handle, To: p.status.Handle, Limit: limit,
	}
	p.step.start, p.step.record = job.Job(what, handle.JobName(o.service.Name, o.nonce)), true
}

// copyAwaits says which Bindings the copy waits for before it stops an app; "" = none.
func (o *observation) copyAwaits() string {
	from := o.service.Spec.SeedFrom.Name
	var others, here []string
	for _, b := range slices.Concat(o.moving.named, o.moving.attached) {
		injected := condition.Find(b.Status.Conditions, v1alpha1.ConditionInjected)
		current := injected.ObservedGeneration == b.Generation
		switch {
		case b.Spec.ServiceRef.Name != o.service.Name:
			others = append(others, b.Name)
		case current && injected.Reason == v1alpha1.ReasonDataMoving:
		case current:
			here = append(here, fmt.Sprintf("%s (%s)", b.Name, injected.Reason))
		default:
			here = append(here, b.Name)
		}
	}
	switch {
	case len(others) > 0:
		return fmt.Sprintf("the data can be copied. The apps are stopped, and it is, when each Binding of BackingService %s has "+
			"spec.serviceRef.name: %s: %s", from, o.service.Name, someOf(others))
	case len(here) > 0:
		return "the data can be copied. The apps are stopped, and it is, when each Binding waits for nothing but the data: " +
			"see the condition Injected of " + someOf(here)
	case len(o.named) == 0:
		return fmt.Sprintf("the data can be copied. That is done when a Binding has spec.serviceRef.name: %s", o.service.Name)
	}
	return ""
}

// unstopped are the Bindings of the source whose app is not known to be stopped for this move.
func (o *observation) unstopped() []string {
	var names []string
	for _, b := range o.moving.attached {
		if at := b.Status.Stopped; at == nil || at.Move != o.moveID() || at.EndedAt == nil || b.Spec.ServiceRef.Name != o.service.Name {
			names = append(names, b.Name)
		}
	}
	return names
}

func (o *observation) moveID() string {
	if at := o.service.Status.Move; at != nil {
		return at.ID
	}
	return ""
}
