package backingservice

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	abatchv1 "k8s.io/client-go/applyconfigurations/batch/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
)

// The data of spec.seedFrom moves in these steps. While it does, the Service of the handle leads to a relay, a Job, behind
// which is the source; from the cut-over on it leads to the Pods of this service. The name and the Service of the source
// are never touched.
//
//	step         precondition                     action                           known to be done by            the way back
//	Seeding      the source is Ready, no app is   Jobs `move seed`: this Redis     exit code 0: it has all that   set the line back, or delete this
//	             attached here                    follows the source               the source has                 service: nothing has happened
//	Attaching    the data is here                 Job `move relay`: this service   no Binding names the source    set the line back: both handles lead
//	                                              is Ready, Bindings attach        any more, all are rolled out   to the source, a rollout is all
//	CuttingOver  all apps are attached here, and  Job `move cut`: the relay holds  exit code 0, or the mark that  none in this moment: it takes some
//	             nobody else uses the source      the commands back, and leads     the relay has left here         milliseconds
//	                                              them to this Redis
//	Done                                          the Service leads to the Pods    its annotation                 spec.seedFrom of the source names
//	                                              of this service                                                 this service; or a plain swap, to
//	                                                                                                              the data of before
//
// Each step can be made again, and is, if it is not known to be done. Which of the two servers is written to is in the
// servers themselves (package replicate), not in a status. The relay stays until no app is connected through it any more.

const (
	// movePauseMin and movePauseMax are how long after a step that could not be made it is tried again: the pause doubles.
	movePauseMin = 2 * time.Second
	movePauseMax = time.Minute

	// moveLasts is when a Job is given up if nothing else ends it.
	moveLasts = 3 * time.Minute

	// namesLimit is how many Bindings a message names.
	namesLimit = 5
)

// moving is what is known about the move of spec.seedFrom, and about moves away from here.
type moving struct {
	// source is the service that spec.seedFrom names; nil if there is none.
	source *v1alpha1.BackingService
	// named and attached are the Bindings of the source, as those of the observation are of the service itself.
	named, attached []v1alpha1.Binding
	// rivals are the other services that get, or are to get, their data from the same source.
	rivals []v1alpha1.BackingService
	// jobs are those of the move. lost: according to the status one runs, but it does not exist.
	jobs jobs
	// away are the services that get their data from this one, and have not got it yet.
	away []string
}

// step is what a plan does about a move.
type step struct {
	// start is the Job that is to be created; nil = none. record: the status names it.
	start  *abatchv1.JobApplyConfiguration
	record bool
	// abandon are Jobs that nobody waits for.
	abandon []batchv1.Job
}

// course is what follows for a service from where its move is.
type course struct {
	// relayed: the Service leads to the relay. over: the data is here.
	relayed, over bool
	// ready: apps may be attached.
	ready bool
	// seeded is the condition.
	seeded condition.State
}

// planMove decides what is done about the move, and returns what follows for the service. It is called where the Secret of
// the handle is known.
func (o *observation) planMove(p *plan) course {
	from := o.service.Spec.SeedFrom
	if o.service.Spec.Copies() { // see planCopy
		return course{over: true, ready: true}
	}
	if from == nil {
		p.status.Move = nil
		p.step.abandon = o.movesOf(func(job *batchv1.Job) bool { return stepOf(job) != engine.MoveRelay })
		return course{over: true, ready: true}
	}
	if o.moveIsOver() {
		o.endMove(p)
		return course{over: true, ready: true, seeded: o.seeded()}
	}
	relayed := o.leadsToRelay()
	refusal, refused := o.refuseMove(relayed)
	if refused && (!relayed || len(o.attached) == 0) {
		return course{relayed: relayed, ready: !relayed, seeded: refusal}
	}
	if at := o.service.Status.Move; at != nil {
		o.relay = o.relayOf(at.ID)
	}
	if !o.redisServes() || refused {
		if !refused {
			refusal = condition.False(v1alpha1.ReasonSeeding, "the data is copied, and cut over, while the Redis of this service serves: "+
				"see the condition Provisioned")
		}
		return course{relayed: relayed, ready: relayed && o.relayIsReady(), seeded: refusal}
	}
	o.beginMove(&p.status)
	o.readStep(&p.status)
	o.relay = o.relayOf(p.status.Move.ID)
	state := o.stepOn(p)
	if p.status.Move.Step == v1alpha1.MoveDone {
		o.endMove(p)
		return course{over: true, ready: true, seeded: o.seeded()}
	}
	o.abandonSteps(p)
	return course{relayed: true, ready: o.relayIsReady(), seeded: state}
}

// moveIsOver says whether the data is here. The Service says so if the status was lost, or was not written.
func (o *observation) moveIsOver() bool {
	from := o.service.Spec.SeedFrom.Name
	if at := o.service.Status.Move; at != nil && at.Source == from {
		if at.Step == v1alpha1.MoveDone {
			return true
		}
	}
	live := o.children.service
	if live == nil || engine.LeadsToRelay(&o.service, live) {
		return false
	}
	name, _, _ := strings.Cut(live.Annotations[v1alpha1.SeededFromAnnotation], ".")
	return name == from
}

// endMove says that the data is here.
func (o *observation) endMove(p *plan) {
	at := p.status.Move
	if at == nil || at.Source != o.service.Spec.SeedFrom.Name {
		uid := ""
		if o.moving.source != nil {
			uid = string(o.moving.source.UID)
		}
		at = &v1alpha1.Move{ID: string(o.nonce), Source: o.service.Spec.SeedFrom.Name, SourceUID: uid}
	}
	at = at.DeepCopy()
	if at.Step != v1alpha1.MoveDone {
		at.Step, at.Since = v1alpha1.MoveDone, o.second()
	}
	at.Job, at.Attempt, at.EndedAt, at.Percent = nil, 0, nil, nil
	p.status.Move = at
	p.step.abandon = o.movesOf(func(job *batchv1.Job) bool { return stepOf(job) != engine.MoveRelay })
}

func (o *observation) seeded() condition.State {
	return condition.True(v1alpha1.ReasonSeeded, fmt.Sprintf("the data of BackingService %s is here, and is written here", o.service.Spec.SeedFrom.Name))
}

// leadsToRelay says whether the Service leads to the relay, or is to. A Service that apps of this service use stays as it is:
// if it is gone, it is made again as it was.
func (o *observation) leadsToRelay() bool {
	live, at := o.children.service, o.service.Status.Move
	began := o.relayOf("") != nil || at != nil && at.Step != v1alpha1.MoveDone
	return live == nil && began || live != nil && engine.LeadsToRelay(&o.service, live) || len(o.attached) == 0
}

// refuseMove says why a move cannot begin, or go on.
func (o *observation) refuseMove(relayed bool) (condition.State, bool) {
	source, from := o.moving.source, o.service.Spec.SeedFrom.Name
	no := func(reason, format string, args ...any) (condition.State, bool) {
		return condition.False(reason, "spec.seedFrom: "+fmt.Sprintf(format, args...)), true
	}
	switch {
	case !relayed:
		return no(v1alpha1.ReasonTargetInUse, "apps are attached to this service and use its own data: set spec.serviceRef of their Bindings "+
			"to BackingService %s first", from)
	case source == nil:
		return no(v1alpha1.ReasonSourceNotReady, "BackingService %s does not exist: create it, or correct spec.seedFrom.name", from)
	case source.Spec.Redis == nil:
		return no(v1alpha1.ReasonSourceInUse, "BackingService %s is not a Redis that Bindery provisions: name one, or set spec.seedFrom.method "+
			"to Copy, which stops the apps while their data is copied", from)
	case source.Spec.SeedFrom != nil && !isDone(source):
		return no(v1alpha1.ReasonSourceInUse, "BackingService %s gets its own data from BackingService %s, and has not got it yet: wait for that, "+
			"or name the latter", from, source.Spec.SeedFrom.Name)
	}
	if rival := o.earlierRival(); rival != "" {
		return no(v1alpha1.ReasonSourceInUse, "the data of BackingService %s is on its way to BackingService %s: wait for that, or delete the latter",
			from, rival)
	}
	if !condition.IsTrue(source.Status.Conditions, v1alpha1.ConditionReady, source.Generation) || source.Status.Handle == nil {
		return no(v1alpha1.ReasonSourceNotReady, "BackingService %s is not Ready: see its conditions", from)
	}
	return condition.State{}, false
}

// isDone says whether a service has got the data of its spec.seedFrom.
func isDone(s *v1alpha1.BackingService) bool {
	at := s.Status.Move
	return s.Spec.SeedFrom == nil || at != nil && at.Step == v1alpha1.MoveDone && at.Source == s.Spec.SeedFrom.Name
}

// earlierRival is the other service that gets the data of the same source and was there first; "" = none.
func (o *observation) earlierRival() string {
	s := &o.service
	for i := range o.moving.rivals {
		rival := &o.moving.rivals[i]
		older := rival.CreationTimestamp.Before(&s.CreationTimestamp) ||
			rival.CreationTimestamp.Equal(&s.CreationTimestamp) && rival.Name < s.Name
		// One that has begun goes on.
		if begun, here := rival.Status.Move != nil, s.Status.Move != nil; !isDone(rival) && (begun && !here || begun == here && older) {
			return rival.Name
		}
	}
	return ""
}

// redisServes says whether the Pod of this service answers.
func (o *observation) redisServes() bool {
	return o.redisState().Status == metav1.ConditionTrue
}

// beginMove begins the move, or the move from another source. A relay is only there when the data is.
func (o *observation) beginMove(status *v1alpha1.BackingServiceStatus) {
	source := o.moving.source
	if at := status.Move; at != nil && at.Source == source.Name && at.SourceUID == string(source.UID) && !ofCopy(at.Step) {
		status.Move = at.DeepCopy()
		return
	}
	lost := status.Move == nil
	status.Move = &v1alpha1.Move{
		ID: string(o.nonce), Source: source.Name, SourceUID: string(source.UID), Step: v1alpha1.MoveSeeding, Since: o.second(),
	}
	if relay := o.relayOf(""); lost && relay != nil {
		status.Move.ID, status.Move.Step = relay.Annotations[v1alpha1.MoveIDAnnotation], v1alpha1.MoveAttaching
	}
}

// readStep reads what the Job of the step has come to.
func (o *observation) readStep(status *v1alpha1.BackingServiceStatus) {
	if code, has := o.codeOf(status.Move, moveLasts); has {
		status.Move.EndedAt = new(o.second())
		o.conclude(status, code)
	}
}

// codeOf is the exit code of the Job of a step: -1 if it is lost, or has none, or has not ended in time. It is false if there
// is no Job, or it is under way.
func (o *observation) codeOf(at *v1alpha1.Move, lasts time.Duration) (int32, bool) {
	if at.Job == nil || at.EndedAt != nil {
		return 0, false
	}
	job := o.moving.jobs.byUID(at.Job.UID)
	switch {
	case job == nil:
		return -1, o.moving.jobs.lost // or it is too new for the cache
	case jobCondition(job, batchv1.JobComplete) != nil:
		return outcome.Done, true
	case ended(job):
		if code, ok := exitCode(jobCondition(job, batchv1.JobFailed)); ok {
			return code, true
		}
		return -1, true
	default:
		return -1, o.now.Sub(job.CreationTimestamp.Time) >= lasts
	}
}

// conclude takes in what a Job has come to.
func (o *observation) conclude(status *v1alpha1.BackingServiceStatus, code int32) {
	at := status.Move
	percent, underWay := outcome.Percent(code)
	switch {
	case code == outcome.Done && at.Step == v1alpha1.MoveSeeding:
		o.enter(at, v1alpha1.MoveAttaching)
		at.Percent = new(int32(100))
	case code == outcome.Done && at.Step == v1alpha1.MoveCuttingOver:
		o.enter(at, v1alpha1.MoveDone)
	case code == outcome.OutOfSync && at.Step == v1alpha1.MoveCuttingOver:
		o.enter(at, v1alpha1.MoveSeeding)
		at.Percent = nil
	case underWay:
		at.Attempt, at.Percent = 0, new(percent)
		o.setSeeded(status, o.seedingState(at))
	default:
		at.Attempt++
		o.setSeeded(status, o.failedStep(code))
	}
}

// enter begins a step.
func (o *observation) enter(at *v1alpha1.Move, next v1alpha1.MoveStep) {
	if at.Step != next {
		at.Step, at.Since = next, o.second()
	}
	at.Job, at.Attempt, at.EndedAt = nil, 0, nil
}

// failedStep is what the service says when a step could not be made.
func (o *observation) failedStep(code int32) condition.State {
	from := o.service.Spec.SeedFrom.Name
	if known, ok := outcome.Lookup(code); ok {
		return condition.False(known.Reason, fmt.Sprintf("spec.seedFrom: BackingService %s: %s", from, known.Sentence))
	}
	return condition.False(v1alpha1.ReasonSeeding, fmt.Sprintf("the Job that moves the data of BackingService %s did not end as it should: "+
		"see `kubectl describe jobs -l %s=%s`; it is tried again", from, v1alpha1.MoveLabel, o.service.Name))
}

// stepRefused is what the status says if the API server rejects the Job of a step. The rest of the plan is carried out. A copy
// for which apps are stopped is given up when the Job was refused a few times.
func (o *observation) stepRefused(p *plan, why string) {
	state := condition.False(v1alpha1.ReasonRefused, fmt.Sprintf(
		"the API server refused the Job that moves the data of BackingService %s: %s: allow it", o.service.Spec.SeedFrom.Name, why))
	at := p.status.Move
	if p.step.record {
		at.Job, at.EndedAt = nil, new(o.second())
		at.Attempt++
		p.lookAgain(movePause(at.Attempt))
		if at.Step == v1alpha1.MoveCopying && at.Attempt >= mostCopies {
			state = o.giveUp(&p.status, state)
		}
	} else {
		p.lookAgain(movePauseMax)
	}
	p.step.start = nil
	o.setSeeded(&p.status, state)
	o.setStalled(&p.status)
}

func (o *observation) seedingState(at *v1alpha1.Move) condition.State {
	text := fmt.Sprintf("the data of BackingService %s is on its way", at.Source)
	if at.Percent != nil {
		text += fmt.Sprintf(": about %d %% is here", *at.Percent)
	}
	return condition.False(v1alpha1.ReasonSeeding, text)
}

// stepOn makes the step that is due, and returns the condition Seeded.
func (o *observation) stepOn(p *plan) condition.State {
	at := p.status.Move
	if at.Step == v1alpha1.MoveSeeding {
		return o.seedOn(p)
	}
	if at.Step == v1alpha1.MoveDone {
		return o.seeded()
	}
	if o.relay == nil {
		p.step.start = o.move(at).RelayJob(handle.JobName(o.service.Name, o.nonce))
	}
	if !o.relayIsReady() {
		return condition.False(v1alpha1.ReasonSeeding, fmt.Sprintf("all data is here; the relay to BackingService %s does not run yet: "+
			"see `kubectl describe jobs -l %s=%s` if it takes long", at.Source, v1alpha1.MoveLabel, o.service.Name))
	}
	waits := o.awaitsOthers()
	switch {
	case waits != "":
		o.enter(at, v1alpha1.MoveAttaching)
		return condition.False(v1alpha1.ReasonWaitingForOthers, waits)
	case at.Step == v1alpha1.MoveAttaching:
		o.enter(at, v1alpha1.MoveCuttingOver)
	}
	o.startStep(p, engine.MoveCut)
	return saidBefore(p, condition.False(v1alpha1.ReasonWaitingForClients, fmt.Sprintf(
		"all apps are attached: the data is cut over from BackingService %s", at.Source)))
}

// saidBefore is what the last Job has come to, if it could not make the step.
func saidBefore(p *plan, otherwise condition.State) condition.State {
	if known := condition.Find(p.status.Conditions, v1alpha1.ConditionSeeded); p.status.Move.Attempt > 0 && known.Reason != "" {
		return stateOf(known)
	}
	return otherwise
}

// seedOn copies the data.
func (o *observation) seedOn(p *plan) condition.State {
	at := p.status.Move
	state := saidBefore(p, o.seedingState(at))
	if o.relay == nil && len(o.attached) > 0 {
		// The data is copied once more. Until it is here, apps that are attached get to the source through the relay.
		p.step.start = o.move(at).RelayJob(handle.JobName(o.service.Name, o.nonce))
		return state
	}
	if limit := o.service.Spec.SeedFrom.Timeout; limit != nil {
		if left := at.Since.Add(limit.Duration).Sub(o.now); left > 0 {
			p.lookAgain(left)
		} else if at.Attempt == 0 {
			apps := "No app was touched"
			if len(o.attached) > 0 {
				apps = "Apps that are attached here go on to use the data of the source"
			}
			state = condition.False(v1alpha1.ReasonSeedTimeout, fmt.Sprintf("spec.seedFrom.timeout: after %s not all data of BackingService %s is here. "+
				"%s. The source may be written to faster than the data arrives: set spec.seedFrom.timeout higher, or write less",
				limit.Duration, at.Source, apps))
		}
	}
	o.startStep(p, engine.MoveSeed)
	return state
}

// startStep starts a Job, if none runs, and the pause after the last one is over.
func (o *observation) startStep(p *plan, what string) {
	if !o.mayStart(p, moveLasts) {
		return
	}
	at := p.status.Move
	p.step.start, p.step.record = o.move(at).StepJob(what, handle.JobName(o.service.Name, o.nonce)), true
}

// mayStart says whether a Job may be started: none runs, and the pause after the last one is over.
func (o *observation) mayStart(p *plan, lasts time.Duration) bool {
	at := p.status.Move
	if at.Job != nil && at.EndedAt == nil {
		p.lookAgain(lasts)
		return false
	}
	if at.EndedAt != nil {
		if wait := at.EndedAt.Add(movePause(at.Attempt)).Sub(o.now); wait > 0 {
			p.lookAgain(wait)
			return false
		}
	}
	at.Job, at.EndedAt = nil, nil
	return true
}

// movePause after a Job that could not make its step, or has seen that the data is on its way.
func movePause(attempt int32) time.Duration {
	pause := movePauseMin
	for range attempt - 1 {
		if pause *= 2; pause >= movePauseMax {
			return movePauseMax
		}
	}
	return pause
}

func (o *observation) move(at *v1alpha1.Move) *engine.Move {
	return &engine.Move{
		ID: at.ID, Service: &o.service, Source: o.moving.source, Images: o.images,
		Secret: o.secretName(), SourceSecret: o.moving.source.Status.Handle.SecretName,
		Again: o.relay != nil || at.Percent != nil,
	}
}

// planDirect applies the Service that leads to the Pods of this service past the relay. It stays: a relay may be connected
// through it for as long as a Pod of an app lives.
func (o *observation) planDirect(p *plan, c course) {
	if !c.relayed || o.children.direct != nil {
		return
	}
	direct := engine.DirectService(&o.service)
	p.apply = append(p.apply, child{desired: direct, name: "Service " + *direct.Name})
}

// awaitsOthers says which Bindings the cut-over waits for; "" = none.
func (o *observation) awaitsOthers() string {
	from := o.service.Spec.SeedFrom.Name
	var others, here []string
	for _, b := range o.moving.named {
		others = append(others, b.Name)
	}
	for _, b := range o.moving.attached {
		if !slices.Contains(others, b.Name) && b.Spec.ServiceRef.Name != o.service.Name {
			others = append(others, b.Name)
		}
	}
	for _, b := range slices.Concat(o.named, o.attached) {
		at := b.Status.Current
		if at == nil || at.Service != o.service.Name || b.Spec.ServiceRef.Name != o.service.Name ||
			!condition.IsTrue(b.Status.Conditions, v1alpha1.ConditionRolledOut, b.Generation) {
			here = append(here, b.Name)
		}
	}
	switch {
	case len(others) > 0:
		return fmt.Sprintf("all data is here, and is still written at BackingService %s, until each of its Bindings has spec.serviceRef.name: %s: %s",
			from, o.service.Name, someOf(others))
	case len(here) > 0:
		return fmt.Sprintf("all data is here, and is still written at BackingService %s, until the rollout of each Binding is over: %s",
			from, someOf(here))
	case len(o.attached) == 0:
		return fmt.Sprintf("all data is here, and is still written at BackingService %s, until a Binding has spec.serviceRef.name: %s",
			from, o.service.Name)
	}
	return ""
}

// someOf are the first of some names.
func someOf(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - namesLimit; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:namesLimit], ", "), more)
	}
	return strings.Join(names, ", ")
}

// relayOf is the Job that is the relay of a move; "" = of any. It is nil if none is there. Of several, the first counts.
func (o *observation) relayOf(id string) *batchv1.Job {
	relays := o.movesOf(func(job *batchv1.Job) bool {
		return stepOf(job) == engine.MoveRelay && (id == "" || job.Annotations[v1alpha1.MoveIDAnnotation] == id)
	})
	if len(relays) == 0 {
		return nil
	}
	first := slices.MinFunc(relays, func(a, b batchv1.Job) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return &first
}

// relayIsReady says whether apps get to the source through the relay.
func (o *observation) relayIsReady() bool {
	job := o.relay
	return job != nil && job.Status.Ready != nil && *job.Status.Ready > 0
}

// movesOf are those Jobs of the move that have not ended.
func (o *observation) movesOf(which func(job *batchv1.Job) bool) []batchv1.Job {
	var found []batchv1.Job
	for i := range o.moving.jobs.present {
		if job := &o.moving.jobs.present[i]; !ended(job) && job.DeletionTimestamp == nil && which(job) {
			found = append(found, *job)
		}
	}
	return found
}

func stepOf(job *batchv1.Job) string { return job.Annotations[v1alpha1.MoveStepAnnotation] }

// abandonSteps ends the Jobs that nobody waits for: of a pass that did not reach its end, or of another source.
func (o *observation) abandonSteps(p *plan) {
	at, relay := p.status.Move, o.relay
	p.step.abandon = o.movesOf(func(job *batchv1.Job) bool {
		if stepOf(job) == engine.MoveRelay {
			return relay == nil || job.UID != relay.UID
		}
		return at.Job == nil || string(job.UID) != at.Job.UID
	})
}

// setSeeded writes the condition. Ready says the same as long as no app may be attached.
func (o *observation) setSeeded(status *v1alpha1.BackingServiceStatus, state condition.State) {
	condition.Set(&status.Conditions, v1alpha1.ConditionSeeded, state, o.service.Generation, o.now)
}

// sayMove writes what the status says about the move. It is called where Ready is set.
func (o *observation) sayMove(status *v1alpha1.BackingServiceStatus, c course) {
	if o.service.Spec.Copies() {
		return
	}
	if o.service.Spec.SeedFrom == nil {
		condition.Remove(&status.Conditions, v1alpha1.ConditionSeeded)
		return
	}
	o.setSeeded(status, c.seeded)
	if ready := condition.Find(status.Conditions, v1alpha1.ConditionReady); ready.Status == metav1.ConditionTrue && !c.ready {
		o.setReady(status, c.seeded)
	}
}

func (o *observation) second() metav1.Time { return metav1.NewTime(o.now.Truncate(time.Second)) }
