package backingservice

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
)

// copied is a database "visits" of somebody else's, to which the data of "old" is to be copied. Both were verified.
func copied(change ...func(*observation)) observation {
	spec := v1alpha1.BackingServiceSpec{
		Type:     v1alpha1.TypePostgreSQL,
		External: &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{Name: "db", Key: "uri"}},
		SeedFrom: &v1alpha1.SeedFrom{Name: "old", Method: v1alpha1.SeedCopy, Timeout: &metav1.Duration{Duration: time.Hour}},
	}
	o := observed(spec, withHandle("db", "uri", 1))
	o.secret = existence{known: true, exists: true}
	isVerified(&o.service)
	source := &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "old", UID: "uid-old", Generation: 1}, Spec: spec}
	source.Spec.SeedFrom = nil
	source.Status.Handle = &v1alpha1.Handle{SecretName: "old-db", Key: "uri", Revision: 1}
	isVerified(source)
	o.moving.source = source
	for _, f := range change {
		f(&o)
	}
	return o
}

func isVerified(s *v1alpha1.BackingService) {
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionReady, condition.True(v1alpha1.ReasonReady, ""), s.Generation, noon)
	condition.Set(&s.Status.Conditions, v1alpha1.ConditionVerified, condition.True(v1alpha1.ReasonVerified, ""), s.Generation, noon)
	h := s.Status.Handle
	s.Status.Verification = &v1alpha1.Verification{SecretName: h.SecretName, Key: h.Key, Revision: h.Revision,
		StartedAt: metav1.NewTime(noon), EndedAt: new(metav1.NewTime(noon)), PassedAt: new(metav1.NewTime(noon))}
}

// waiting is a Binding whose app is on "old", is to move here, and says this about it.
func waiting(name, reason string, stop ...v1alpha1.Stop) v1alpha1.Binding {
	b := bindingOn(name, "visits", "old", true)
	condition.Set(&b.Status.Conditions, v1alpha1.ConditionInjected, condition.False(reason, ""), 1, noon)
	if len(stop) > 0 {
		b.Status.Stopped = &stop[0]
	}
	return b
}

func stopped(ended bool) v1alpha1.Stop {
	s := v1alpha1.Stop{Move: "1", Replicas: 2}
	if ended {
		s.EndedAt = new(metav1.NewTime(noon))
	}
	return s
}

// toldCopy is what a plan comes to, in short: the step, the reason of Seeded, and which Job is started.
func toldCopy(p plan) string {
	step, job := "-", "-"
	if p.status.Move != nil {
		step = string(p.status.Move.Step)
	}
	if p.step.start != nil {
		job = p.step.start.Annotations[v1alpha1.MoveStepAnnotation]
	}
	return fmt.Sprintf("%s: %s, %s", step, condition.Find(p.status.Conditions, v1alpha1.ConditionSeeded).Reason, job)
}

func TestWhereACopyIs(t *testing.T) {
	done := batchv1.JobCondition{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}
	complete := func(step string) func(*observation) {
		job := runningJob("j")
		job.Status = batchv1.JobStatus{Conditions: []batchv1.JobCondition{done}}
		return moveJob(step, job)
	}
	said := func(reason string) func(*observation) {
		return func(o *observation) {
			condition.Set(&o.service.Status.Conditions, v1alpha1.ConditionSeeded, condition.False(reason, ""), o.service.Generation, noon)
		}
	}
	ended := func(attempt int32, ago time.Duration) func(*observation) {
		return func(o *observation) {
			at := o.service.Status.Move
			at.Attempt, at.EndedAt, at.Job = attempt, new(metav1.NewTime(noon.Add(-ago))), &v1alpha1.JobReference{Name: "j", UID: string(uidOf("j"))}
		}
	}
	ready := bindings(waiting("a", v1alpha1.ReasonDataMoving), waiting("b", v1alpha1.ReasonDataMoving))
	halted := bindings(waiting("a", v1alpha1.ReasonDataMoving, stopped(true)), waiting("b", v1alpha1.ReasonDataMoving, stopped(true)))
	checking, stopping, copying := moveAt(v1alpha1.MoveChecking, ""), moveAt(v1alpha1.MoveStopping, ""), moveAt(v1alpha1.MoveCopying, "j")
	type changes []func(*observation)
	for name, tt := range map[string]struct {
		change changes
		want   string
	}{
		"a new service":        {nil, "Checking: Seeding, check"},
		"the check runs":       {changes{moveAt(v1alpha1.MoveChecking, "j"), moveJob("check", runningJob("j"))}, "Checking: Seeding, -"},
		"the check is done":    {changes{moveAt(v1alpha1.MoveChecking, "j"), complete("check")}, "Checking: WaitingForOthers, -"},
		"no Binding yet":       {changes{checking, ended(0, time.Hour)}, "Checking: WaitingForOthers, -"},
		"it is not empty":      {changes{moveAt(v1alpha1.MoveChecking, "j"), moveJob("check", endedJob("j", outcome.TargetNotEmpty))}, "Checking: TargetNotEmpty, -"},
		"it was not empty":     {changes{checking, ended(1, time.Hour), said(v1alpha1.ReasonTargetNotEmpty)}, "Checking: TargetNotEmpty, check"},
		"one app is elsewhere": {changes{checking, ended(0, 0), bindings(waiting("a", v1alpha1.ReasonDataMoving), bindingOn("b", "old", "old", true))}, "Checking: WaitingForOthers, -"},
		"one app cannot move":  {changes{checking, ended(0, 0), bindings(waiting("a", v1alpha1.ReasonDataMoving), waiting("b", v1alpha1.ReasonConflict))}, "Checking: WaitingForOthers, -"},
		"one must not stop":    {changes{checking, ended(0, 0), bindings(waiting("a", v1alpha1.ReasonMaintenanceRefused))}, "Checking: WaitingForOthers, -"},
		"all are to move":      {changes{checking, ended(0, 0), ready}, "Stopping: Copying, -"},
		"the check is old":     {changes{checking, ended(0, 2*time.Minute), ready}, "Checking: Seeding, check"},
		"none was checked yet": {changes{ready}, "Checking: Seeding, check"},

		"apps stop":                {changes{stopping, ready}, "Stopping: Copying, -"},
		"one has stopped":          {changes{stopping, bindings(waiting("a", v1alpha1.ReasonDataMoving, stopped(true)), waiting("b", v1alpha1.ReasonDataMoving, stopped(false)))}, "Stopping: Copying, -"},
		"one was stopped before":   {changes{stopping, bindings(waiting("a", v1alpha1.ReasonDataMoving, v1alpha1.Stop{Move: "0", EndedAt: &metav1.Time{Time: noon}}))}, "Stopping: Copying, -"},
		"all have stopped":         {changes{stopping, halted}, "Copying: Copying, copy"},
		"one does not stop":        {changes{stopping, ready, after(stopsWithin)}, "GivenUp: AppsNotStopped, -"},
		"one is scaled up":         {changes{stopping, bindings(waiting("a", v1alpha1.ReasonScaledUp))}, "GivenUp: AppsNotStopped, -"},
		"one goes back":            {changes{stopping, bindings(waiting("a", v1alpha1.ReasonDataMoving), bindingOn("b", "old", "old", true))}, "GivenUp: WaitingForOthers, -"},
		"one comes to the source":  {changes{stopping, bindings(waiting("a", v1alpha1.ReasonDataMoving), bindingOn("b", "old", "", true))}, "GivenUp: WaitingForOthers, -"},
		"the source is gone":       {changes{stopping, halted, func(o *observation) { o.moving.source = nil }}, "GivenUp: SourceNotReady, -"},
		"the source is away":       {changes{stopping, halted, func(o *observation) { o.moving.source.Status.Conditions = nil }}, "Copying: Copying, copy"},
		"an app without data":      {changes{checking, ended(0, 0), bindings(bindingOn("a", "visits", "", true))}, "Copying: Copying, copy"},
		"an app without data runs": {changes{stopping, bindings(bindingOn("a", "visits", "", true))}, "Copying: Copying, copy"},

		"the copy runs":        {changes{copying, halted, moveJob("copy", runningJob("j"))}, "Copying: Copying, -"},
		"it could not be made": {changes{copying, halted, moveJob("copy", endedJob("j", outcome.SourceUnreachable))}, "Copying: SourceUnreachable, -"},
		"it is made again":     {changes{moveAt(v1alpha1.MoveCopying, ""), halted, ended(1, time.Minute), said(v1alpha1.ReasonSourceUnreachable)}, "Copying: SourceUnreachable, copy"},
		"its Job is gone":      {changes{copying, halted, func(o *observation) { o.moving.jobs.lost = true }}, "Copying: Seeding, -"},
		"it does not fit":      {changes{copying, halted, moveJob("copy", endedJob("j", outcome.TargetTooSmall))}, "GivenUp: TargetTooSmall, -"},
		"it was tried enough":  {changes{copying, halted, func(o *observation) { o.service.Status.Move.Attempt = mostCopies - 1 }, moveJob("copy", endedJob("j", outcome.SourceUnreachable))}, "GivenUp: SourceUnreachable, -"},
		"it takes too long":    {changes{copying, halted, moveJob("copy", runningJob("j")), after(2 * time.Hour)}, "GivenUp: SeedTimeout, -"},
		"an app starts":        {changes{copying, bindings(waiting("a", v1alpha1.ReasonScaledUp)), moveJob("copy", runningJob("j"))}, "GivenUp: AppsNotStopped, -"},
		"an app had started":   {changes{copying, ready, complete("copy")}, "GivenUp: AppsNotStopped, -"},
		"an app goes back":     {changes{copying, bindings(bindingOn("a", "old", "old", true)), moveJob("copy", runningJob("j"))}, "GivenUp: WaitingForOthers, -"},
		"the source restarts": {changes{copying, halted, moveJob("copy", runningJob("j")),
			func(o *observation) { o.moving.source.Status.Conditions = nil }}, "Copying: Copying, -"},
		"the source is gone now": {changes{copying, halted, moveJob("copy", runningJob("j")),
			func(o *observation) { o.moving.source = nil }}, "GivenUp: SourceNotReady, -"},
		"all data is here": {changes{copying, halted, complete("copy")}, "Done: Seeded, -"},
		"it was copied to another handle": {changes{copying, halted, complete("copy"), func(o *observation) {
			o.moving.jobs.present[0].Annotations[v1alpha1.MoveHandlesAnnotation] = "old-db/1 another/1"
		}}, "Copying: Seeding, -"},
		"it was copied from another handle": {changes{copying, halted, complete("copy"), func(o *observation) {
			o.moving.source.Status.Handle.Revision = 2
		}}, "Copying: Seeding, -"},
		"all is over":            {changes{moveAt(v1alpha1.MoveDone, ""), bindings(bindingOn("a", "visits", "visits", true))}, "Done: Seeded, -"},
		"and its source is gone": {changes{moveAt(v1alpha1.MoveDone, ""), func(o *observation) { o.moving.source = nil }}, "Done: Seeded, -"},

		"given up": {changes{moveAt(v1alpha1.MoveGivenUp, ""), said(v1alpha1.ReasonTargetTooSmall), ready,
			func(o *observation) { o.service.Status.Move.ObservedGeneration = o.service.Generation }}, "GivenUp: TargetTooSmall, -"},
		"edited after that": {changes{moveAt(v1alpha1.MoveGivenUp, ""), ready}, "Checking: Seeding, check"},
		"all have gone back": {changes{moveAt(v1alpha1.MoveGivenUp, ""), bindings(bindingOn("a", "old", "old", true)),
			func(o *observation) { o.service.Status.Move.ObservedGeneration = o.service.Generation }}, "Checking: Seeding, check"},

		"no source":       {changes{func(o *observation) { o.moving.source = nil }}, "-: SourceNotReady, -"},
		"another type":    {changes{func(o *observation) { o.moving.source.Spec.Type = v1alpha1.TypeMySQL }}, "-: SourceInUse, -"},
		"a chain":         {changes{func(o *observation) { o.moving.source.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: "older"} }}, "-: SourceInUse, -"},
		"not verified":    {changes{func(o *observation) { o.moving.source.Status.Conditions = nil }}, "-: SourceNotReady, -"},
		"it has data":     {changes{bindings(bindingOn("a", "visits", "visits", true))}, "-: TargetInUse, -"},
		"another source":  {changes{stopping, halted, func(o *observation) { o.moving.source.UID = "uid-another" }}, "Checking: Seeding, check"},
		"it was followed": {changes{moveAt(v1alpha1.MoveAttaching, "")}, "Checking: Seeding, check"},
	} {
		t.Run(name, func(t *testing.T) {
			p := makePlan(copied(tt.change...))
			if got := toldCopy(p); got != tt.want {
				t.Errorf("%s\nwant %s\n%s", got, tt.want, condition.Find(p.status.Conditions, v1alpha1.ConditionSeeded).Message)
			}
			if !condition.IsTrue(p.status.Conditions, v1alpha1.ConditionReady, 2) {
				t.Error("it is not Ready, so its handle is not tried")
			}
			if at := p.status.Move; at != nil && at.Step == v1alpha1.MoveGivenUp && at.Job != nil {
				t.Error("it goes on to wait for the Job")
			}
		})
	}
}

// The Job of a copy that was given up is ended: an app writes to its source again.
func TestACopyThatIsGivenUpIsEnded(t *testing.T) {
	p := makePlan(copied(moveAt(v1alpha1.MoveCopying, "j"), moveJob("copy", runningJob("j")), bindings(waiting("a", v1alpha1.ReasonScaledUp))))
	if len(p.step.abandon) != 1 || p.step.abandon[0].Name != "j" {
		t.Errorf("ended: %v", p.step.abandon)
	}
}

// Whoever reads why a copy was given up also reads what to do, and that the apps are as before.
func TestACopyThatIsGivenUpSaysHowToTryAgain(t *testing.T) {
	for _, known := range outcome.Outcomes() {
		p := makePlan(copied(moveAt(v1alpha1.MoveCopying, "j"), moveJob("copy", endedJob("j", known.Code)),
			bindings(waiting("a", v1alpha1.ReasonDataMoving, stopped(true)))))
		says := condition.Find(p.status.Conditions, v1alpha1.ConditionSeeded).Message
		if known.NeedsPerson != strings.Contains(says, "as before. To try again") || !strings.Contains(says, known.Sentence) {
			t.Errorf("%s: %s", known.Reason, says)
		}
	}
}

// What a Job of a copy gets: both handles, each with its authority, and no word of them in an argument.
func TestTheJobOfACopyHasBothHandles(t *testing.T) {
	p := makePlan(copied(func(o *observation) {
		o.moving.source.Status.Handle.Authority = &v1alpha1.AuthorityReference{Kind: v1alpha1.AuthoritySecret, Name: "ca", Key: "ca.crt"}
		o.service.Spec.SeedFrom.ReplaceData = v1alpha1.ReplaceDataAlways
		o.images.Probe, o.images.PostgreSQLTools = "job:1", "postgres:18"
	}))
	pod := p.step.start.Spec.Template.Spec
	container, program := pod.Containers[0], pod.InitContainers[0]
	if *container.Image != "postgres:18" || *program.Image != "job:1" || container.Command[0] != program.Args[1] {
		t.Errorf("%s runs %v, which %s has made as %v", *container.Image, container.Command, *program.Image, program.Args)
	}
	variables := map[string]string{}
	for _, e := range container.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			variables[*e.Name] = *e.ValueFrom.SecretKeyRef.Name + "/" + *e.ValueFrom.SecretKeyRef.Key
		}
	}
	if variables[engine.CopyFromVariable] != "old-db/uri" || variables[engine.CopyToVariable] != "db/uri" {
		t.Errorf("it gets %v", variables)
	}
	// Who creates it anew, from Git or from a backup, does not ask for the loss of what it has.
	created := makePlan(copied(func(o *observation) {
		o.service.Generation = 1
		o.service.Spec.SeedFrom.ReplaceData = v1alpha1.ReplaceDataAlways
		isVerified(&o.service)
	}))
	if args := strings.Join(created.step.start.Spec.Template.Spec.Containers[0].Args, " "); strings.Contains(args, "--replace-data") {
		t.Errorf("data of a service that was just created may be lost: %s", args)
	}
	args := strings.Join(container.Args, " ")
	for _, part := range []string{"move check", "--id=" + string(nonce), "--type=postgresql", "--replace-data", "--from-ca-file=/etc/bindery/from-authority/ca.crt"} {
		if !strings.Contains(args, part) {
			t.Errorf("the arguments have no %s: %s", part, args)
		}
	}
	if strings.Contains(args, "to-ca-file") {
		t.Errorf("the arguments name an authority that is not there: %s", args)
	}
}

// The API server may refuse a Job, for a quota or a policy. Then the Job is tried again, and apps that are stopped for it do not
// wait for ever.
func TestARefusedJobOfAMove(t *testing.T) {
	halted := bindings(waiting("a", v1alpha1.ReasonDataMoving, stopped(true)))
	attempts := func(n int32) func(*observation) {
		return func(o *observation) {
			o.service.Status.Move.Attempt, o.service.Status.Move.EndedAt = n, new(metav1.NewTime(noon.Add(-time.Hour)))
		}
	}
	for name, tt := range map[string]struct {
		change []func(*observation)
		want   string
		again  time.Duration
	}{
		"before an app is stopped":    {nil, "Checking: Refused, -", movePauseMin},
		"while the app is stopped":    {[]func(*observation){moveAt(v1alpha1.MoveCopying, ""), halted}, "Copying: Refused, -", movePauseMin},
		"again and again meanwhile":   {[]func(*observation){moveAt(v1alpha1.MoveCopying, ""), halted, attempts(mostCopies - 1)}, "GivenUp: Refused, -", 0},
		"again and again before that": {[]func(*observation){moveAt(v1alpha1.MoveChecking, ""), attempts(mostCopies)}, "Checking: Refused, -", movePauseMax},
	} {
		t.Run(name, func(t *testing.T) {
			o := copied(tt.change...)
			p := makePlan(o)
			if p.step.start == nil {
				t.Fatal("no Job is started")
			}
			o.stepRefused(&p, "exceeded quota")
			if got := toldCopy(p); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if tt.again > 0 && (p.retryAfter <= 0 || p.retryAfter > tt.again) {
				t.Errorf("it is tried again after %s, want %s", p.retryAfter, tt.again)
			}
			says := condition.Find(p.status.Conditions, v1alpha1.ConditionSeeded).Message
			if !strings.Contains(says, "exceeded quota: allow it") || !condition.IsTrue(p.status.Conditions, v1alpha1.ConditionStalled, o.service.Generation) {
				t.Errorf("it is not said: %s", says)
			}
			if !condition.IsTrue(p.status.Conditions, v1alpha1.ConditionReady, o.service.Generation) {
				t.Error("the service is not Ready any more")
			}
		})
	}
}
