package backingservice

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
)

// seeded is a service "visits" that gets its data from "old", whose own Redis serves.
func seeded(change ...func(*observation)) observation {
	spec := *redisSpec.DeepCopy()
	spec.SeedFrom = &v1alpha1.SeedFrom{Name: "old", Timeout: &metav1.Duration{Duration: time.Hour}}
	o := observed(spec, redisChildren(1, ""), withHandle("visits-01234567890123456789", "uri", 1))
	o.children.service = relayService("visits")
	source := &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "old", UID: "uid-old", Generation: 1}, Spec: redisSpec}
	source.Status.Handle = &v1alpha1.Handle{SecretName: "old-1", Key: "uri", Revision: 1}
	source.Status.Endpoint = "bindery-old.shop.svc:6379"
	condition.Set(&source.Status.Conditions, v1alpha1.ConditionReady, condition.True(v1alpha1.ReasonReady, ""), 1, noon)
	o.moving.source = source
	for _, f := range change {
		f(&o)
	}
	return o
}

func relayService(name string) *corev1.Service {
	return &corev1.Service{Spec: corev1.ServiceSpec{Selector: map[string]string{v1alpha1.RelayLabel: name}}}
}

func ownService(annotation string) *corev1.Service {
	s := &corev1.Service{Spec: corev1.ServiceSpec{Selector: map[string]string{v1alpha1.ServiceLabel: "visits"}}}
	if annotation != "" {
		s.Annotations = map[string]string{v1alpha1.SeededFromAnnotation: annotation}
	}
	return s
}

// moveAt is a status.
func moveAt(step v1alpha1.MoveStep, job string) func(*observation) {
	return func(o *observation) {
		o.service.Status.Move = &v1alpha1.Move{ID: "1", Source: "old", SourceUID: "uid-old", Step: step, Since: metav1.NewTime(noon)}
		if job != "" {
			o.service.Status.Move.Job = &v1alpha1.JobReference{Name: job, UID: string(uidOf(job))}
		}
	}
}

func moveJob(step string, job batchv1.Job) func(*observation) {
	return func(o *observation) {
		job.Annotations = map[string]string{v1alpha1.MoveStepAnnotation: step, v1alpha1.MoveIDAnnotation: "1",
			v1alpha1.MoveHandlesAnnotation: "old-db/1 db/1"}
		o.moving.jobs.present = append(o.moving.jobs.present, job)
	}
}

// withRelay has a relay with so many ready Pods.
func withRelay(ready int32) func(*observation) {
	job := runningJob("relay")
	job.Status.Ready = new(ready)
	return moveJob(engine.MoveRelay, job)
}

// bindingOn is a Binding whose app is on a service, rolled out or not.
func bindingOn(name, spec, current string, rolledOut bool) v1alpha1.Binding {
	b := v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}}
	b.Spec.ServiceRef.Name = spec
	if current != "" {
		b.Status.Current = &v1alpha1.Attachment{Service: current}
	}
	state := condition.True(v1alpha1.ReasonRolledOut, "")
	if !rolledOut {
		state = condition.False(v1alpha1.ReasonRollingOut, "")
	}
	condition.Set(&b.Status.Conditions, v1alpha1.ConditionRolledOut, state, 1, noon)
	return b
}

func bindings(list ...v1alpha1.Binding) func(*observation) {
	return func(o *observation) {
		o.attached, o.named = usersOf("visits", list)
		o.moving.attached, o.moving.named = usersOf("old", list)
	}
}

// told is what a plan comes to, in short: the step, the reason of Seeded, whether apps may be attached, where the Service
// leads, and which Job is started.
func told(p plan) string {
	parts := [...]string{"-", condition.Find(p.status.Conditions, v1alpha1.ConditionSeeded).Reason,
		condition.Find(p.status.Conditions, v1alpha1.ConditionReady).Reason, "stays", "-"}
	if p.status.Move != nil {
		parts[0] = string(p.status.Move.Step)
	}
	for _, c := range p.apply {
		service, ok := c.desired.(*acorev1.ServiceApplyConfiguration)
		if !ok || *service.Name == engine.DirectName(&v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Name: "visits"}, Spec: redisSpec}) {
			continue
		}
		parts[3] = "to its Pods"
		if service.Spec.Selector[v1alpha1.RelayLabel] != "" {
			parts[3] = "to the relay"
		}
	}
	if p.step.start != nil {
		parts[4] = p.step.start.Annotations[v1alpha1.MoveStepAnnotation]
	}
	return fmt.Sprintf("%s: %s/%s, %s, %s", parts[0], parts[1], parts[2], parts[3], parts[4])
}

func TestWhereAMoveIs(t *testing.T) {
	here := bindings(bindingOn("a", "visits", "visits", true), bindingOn("b", "visits", "visits", true))
	done := batchv1.JobCondition{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}
	complete := func(name string) batchv1.Job {
		job := runningJob(name)
		job.Status = batchv1.JobStatus{Conditions: []batchv1.JobCondition{done}}
		return job
	}
	attempted := func(n int32, ago time.Duration) func(*observation) {
		return func(o *observation) {
			o.service.Status.Move.Attempt, o.service.Status.Move.EndedAt = n, new(metav1.NewTime(noon.Add(-ago)))
		}
	}
	for name, tt := range map[string]struct {
		change []func(*observation)
		want   string
	}{
		"a new service": {[]func(*observation){func(o *observation) { o.children.service, o.children.statefulSet = nil, nil }},
			"-: Seeding/Provisioning, to the relay, -"},
		"its Redis serves":            {nil, "Seeding: Seeding/Seeding, to the relay, seed"},
		"the Job runs":                {[]func(*observation){moveAt(v1alpha1.MoveSeeding, "s"), moveJob("seed", runningJob("s"))}, "Seeding: Seeding/Seeding, to the relay, -"},
		"the Job is not in the cache": {[]func(*observation){moveAt(v1alpha1.MoveSeeding, "s")}, "Seeding: Seeding/Seeding, to the relay, -"},
		"the Job is gone": {[]func(*observation){moveAt(v1alpha1.MoveSeeding, "s"), func(o *observation) { o.moving.jobs.lost = true }},
			"Seeding: Seeding/Seeding, to the relay, -"},
		"the Job was gone a while ago": {[]func(*observation){moveAt(v1alpha1.MoveSeeding, "s"), attempted(1, 3*time.Second)},
			"Seeding: Seeding/Seeding, to the relay, seed"},
		"the data is on its way": {[]func(*observation){moveAt(v1alpha1.MoveSeeding, "s"), moveJob("seed", endedJob("s", outcome.Seeding+4))},
			"Seeding: Seeding/Seeding, to the relay, -"},
		"the data does not fit": {[]func(*observation){moveAt(v1alpha1.MoveSeeding, "s"), moveJob("seed", endedJob("s", outcome.TargetTooSmall))},
			"Seeding: TargetTooSmall/TargetTooSmall, to the relay, -"},
		"the data takes too long": {[]func(*observation){moveAt(v1alpha1.MoveSeeding, "s"), moveJob("seed", endedJob("s", outcome.Seeding)), after(2 * time.Hour)},
			"Seeding: SeedTimeout/SeedTimeout, to the relay, -"},
		"all data is here": {[]func(*observation){moveAt(v1alpha1.MoveSeeding, "s"), moveJob("seed", complete("s"))},
			"Attaching: Seeding/Seeding, to the relay, relay"},
		"the relay starts": {[]func(*observation){moveAt(v1alpha1.MoveAttaching, ""), withRelay(0)},
			"Attaching: Seeding/Seeding, to the relay, -"},
		"the relay is ready": {[]func(*observation){moveAt(v1alpha1.MoveAttaching, ""), withRelay(1)},
			"Attaching: WaitingForOthers/Provisioned, to the relay, -"},
		"the status was lost": {[]func(*observation){withRelay(1), here}, "CuttingOver: WaitingForClients/Provisioned, to the relay, cut"},
		"one app is on the source": {[]func(*observation){moveAt(v1alpha1.MoveAttaching, ""), withRelay(1),
			bindings(bindingOn("a", "visits", "visits", true), bindingOn("b", "old", "old", true))},
			"Attaching: WaitingForOthers/Provisioned, to the relay, -"},
		"one app rolls out": {[]func(*observation){moveAt(v1alpha1.MoveAttaching, ""), withRelay(1),
			bindings(bindingOn("a", "visits", "visits", true), bindingOn("b", "visits", "visits", false))},
			"Attaching: WaitingForOthers/Provisioned, to the relay, -"},
		"one app was rolled back": {[]func(*observation){moveAt(v1alpha1.MoveAttaching, ""), withRelay(1),
			bindings(bindingOn("a", "visits", "visits", true), bindingOn("b", "visits", "old", true))},
			"Attaching: WaitingForOthers/Provisioned, to the relay, -"},
		"all apps are here": {[]func(*observation){moveAt(v1alpha1.MoveAttaching, ""), withRelay(1), here},
			"CuttingOver: WaitingForClients/Provisioned, to the relay, cut"},
		"the relay is gone in the middle": {[]func(*observation){moveAt(v1alpha1.MoveCuttingOver, ""), here},
			"CuttingOver: Seeding/Seeding, to the relay, relay"},
		"the relay is not ready": {[]func(*observation){moveAt(v1alpha1.MoveCuttingOver, ""), withRelay(0), here},
			"CuttingOver: Seeding/Seeding, to the relay, -"},
		"another source, and the relay of the first": {[]func(*observation){moveAt(v1alpha1.MoveAttaching, ""), withRelay(1),
			func(o *observation) { o.moving.source.UID = "uid-another" }}, "Seeding: Seeding/Seeding, to the relay, seed"},
		"an app goes back": {[]func(*observation){moveAt(v1alpha1.MoveCuttingOver, ""), withRelay(1), bindings(bindingOn("a", "old", "visits", true))},
			"Attaching: WaitingForOthers/Provisioned, to the relay, -"},
		"somebody else is on the source": {[]func(*observation){moveAt(v1alpha1.MoveCuttingOver, "c"), withRelay(1), here,
			moveJob("cut", endedJob("c", outcome.OthersConnected))}, "CuttingOver: WaitingForClients/Provisioned, to the relay, -"},
		"the source is away, all are attached": {[]func(*observation){moveAt(v1alpha1.MoveAttaching, ""), withRelay(1), here,
			func(o *observation) { o.moving.source = nil }}, "Attaching: SourceNotReady/Provisioned, to the relay, -"},
		"the two have lost each other": {[]func(*observation){moveAt(v1alpha1.MoveCuttingOver, "c"), withRelay(1), here,
			moveJob("cut", endedJob("c", outcome.OutOfSync))}, "Seeding: Seeding/Provisioned, to the relay, seed"},
		"the relay is gone while the data is copied once more": {[]func(*observation){moveAt(v1alpha1.MoveSeeding, ""), here},
			"Seeding: Seeding/Seeding, to the relay, relay"},
		"the cut is done": {[]func(*observation){moveAt(v1alpha1.MoveCuttingOver, "c"), withRelay(1), here, moveJob("cut", complete("c"))},
			"Done: Seeded/Provisioned, to its Pods, -"},
		"the cut is done, and the status was not written": {[]func(*observation){moveAt(v1alpha1.MoveCuttingOver, "c"), withRelay(1), here,
			func(o *observation) { o.children.service = ownService("old.uid-old") }}, "Done: Seeded/Provisioned, to its Pods, -"},
		"the move is over, and the status was lost": {[]func(*observation){here, func(o *observation) { o.children.service = ownService("old.uid-old") }},
			"Done: Seeded/Provisioned, to its Pods, -"},
		"the move is over, and its source is gone": {[]func(*observation){moveAt(v1alpha1.MoveDone, ""), here, func(o *observation) {
			o.children.service, o.moving.source = ownService("old.uid-old"), nil
		}}, "Done: Seeded/Provisioned, to its Pods, -"},

		"no source":                   {[]func(*observation){func(o *observation) { o.moving.source = nil }}, "-: SourceNotReady/SourceNotReady, to the relay, -"},
		"a source of somebody else's": {[]func(*observation){func(o *observation) { o.moving.source.Spec = secretSpec }}, "-: SourceInUse/SourceInUse, to the relay, -"},
		"a source that is not ready": {[]func(*observation){func(o *observation) { o.moving.source.Status.Conditions = nil }},
			"-: SourceNotReady/SourceNotReady, to the relay, -"},
		"a chain": {[]func(*observation){func(o *observation) {
			o.moving.source.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: "older"}
		}}, "-: SourceInUse/SourceInUse, to the relay, -"},
		"a circle": {[]func(*observation){func(o *observation) {
			o.moving.source.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: "visits"}
		}}, "-: SourceInUse/SourceInUse, to the relay, -"},
		"the way back of a move that is over": {[]func(*observation){func(o *observation) {
			o.moving.source.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: "visits"}
			o.moving.source.Status.Move = &v1alpha1.Move{Source: "visits", Step: v1alpha1.MoveDone}
		}}, "Seeding: Seeding/Seeding, to the relay, seed"},
		"a second move from there": {[]func(*observation){func(o *observation) {
			rival := v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Name: "another"}}
			rival.Spec.SeedFrom, rival.Status.Move = &v1alpha1.SeedFrom{Name: "old"}, &v1alpha1.Move{Source: "old", Step: v1alpha1.MoveSeeding}
			o.moving.rivals = append(o.moving.rivals, rival)
		}}, "-: SourceInUse/SourceInUse, to the relay, -"},
		"the Service is gone in the middle": {[]func(*observation){moveAt(v1alpha1.MoveAttaching, ""), withRelay(1), here,
			func(o *observation) { o.children.service = nil }}, "Attaching: Seeding/Provisioning, to the relay, -"},
		"apps use its own data, and its Service is gone": {[]func(*observation){here, func(o *observation) { o.children.service = nil }},
			"-: TargetInUse/Provisioning, to its Pods, -"},
		"apps use its own data": {[]func(*observation){here, func(o *observation) { o.children.service = ownService("") }},
			"-: TargetInUse/Provisioned, to its Pods, -"},
	} {
		t.Run(name, func(t *testing.T) {
			p := makePlan(seeded(tt.change...))
			if got := strings.Replace(told(p), "/Ready, ", "/Provisioned, ", 1); got != tt.want {
				t.Errorf("%s\nwant %s\n%s", got, tt.want, condition.Find(p.status.Conditions, v1alpha1.ConditionSeeded).Message)
			}
		})
	}
}

// A service is Stalled where only a person can help, and says what to do.
func TestAMoveThatNeedsAPerson(t *testing.T) {
	for _, o := range outcome.Outcomes() {
		p := makePlan(seeded(moveAt(v1alpha1.MoveSeeding, "s"), moveJob("seed", endedJob("s", o.Code))))
		stalled := condition.Find(p.status.Conditions, v1alpha1.ConditionStalled)
		if (stalled.Status == metav1.ConditionTrue) != o.NeedsPerson || o.NeedsPerson && !strings.Contains(stalled.Message, o.Sentence) {
			t.Errorf("%s: Stalled is %s: %s", o.Reason, stalled.Status, stalled.Message)
		}
		if p.retryAfter <= 0 || p.retryAfter > movePauseMax {
			t.Errorf("%s: tried again after %s", o.Reason, p.retryAfter)
		}
	}
}

// What it says about the apps is true also where the data has to be copied once more after they were attached.
func TestATimeoutSaysWhatApps(t *testing.T) {
	late := []func(*observation){moveAt(v1alpha1.MoveSeeding, "s"), moveJob("seed", endedJob("s", outcome.Seeding)), after(2 * time.Hour)}
	for want, attached := range map[string][]func(*observation){
		"No app was touched.": late,
		"Apps that are attached here go on to use the data of the source.": append(late, withRelay(1), bindings(bindingOn("a", "visits", "visits", true))),
	} {
		p := makePlan(seeded(attached...))
		if got := condition.Find(p.status.Conditions, v1alpha1.ConditionSeeded); got.Reason != v1alpha1.ReasonSeedTimeout || !strings.Contains(got.Message, want) {
			t.Errorf("%s: %s; want %s", got.Reason, got.Message, want)
		}
	}
}

// The source is kept until its data is elsewhere.
func TestASourceIsKept(t *testing.T) {
	o := observed(redisSpec, redisChildren(1, ""), withHandle("visits-1", "uri", 1), keptFor(time.Hour), func(o *observation) {
		o.service.Status.DetachedAt = new(metav1.NewTime(noon.Add(-24 * time.Hour)))
		o.moving.away = []string{"visits-big"}
	})
	if p := makePlan(o); p.status.DeprovisionAt != nil || p.ending.now {
		t.Errorf("it is deleted at %s", p.status.DeprovisionAt)
	}
	o.moving.away = nil
	if p := makePlan(o); p.status.DeprovisionAt == nil {
		t.Error("it is kept for ever")
	}
}
