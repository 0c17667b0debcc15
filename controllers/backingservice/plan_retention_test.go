package backingservice

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
)

func keptFor(d time.Duration) func(*observation) {
	return func(o *observation) {
		o.service.Spec.Retention = nil
		if d > 0 {
			o.service.Spec.Retention = &v1alpha1.Retention{DeprovisionAfter: metav1.Duration{Duration: d}}
		}
	}
}

// uses replaces the existing Bindings with these.
func uses(bindings ...v1alpha1.Binding) func(*observation) {
	return func(o *observation) { o.attached, o.named = usersOf(o.service.Name, bindings) }
}

func attachedBinding(service string) v1alpha1.Binding {
	b := namingBinding("b", &v1alpha1.Attachment{Service: service, SecretName: service + "-1"})
	b.Spec.ServiceRef.Name = service
	return b
}

func edited(o *observation) { o.service.Generation++ }

// lived takes a Redis whose handle has passed through these steps. After each step, it makes a pass and writes the
// status. It returns the last plan.
func lived(steps ...func(*observation)) (observation, plan) {
	o := observed(redisSpec, redisChildren(1, ""))
	var p plan
	begins, passes := func(*observation) {}, withJobs(endedJob(theJob, 0))
	for _, step := range append([]func(*observation){begins, passes}, steps...) {
		step(&o)
		p = begun(planOf(o))
		was := o
		was.service.Status = *p.status.DeepCopy()
		if again := makePlan(was); !equality.Semantic.DeepEqual(again.status, p.status) {
			panic("a second pass writes the status again")
		}
		o.service.Status = *p.status.DeepCopy()
	}
	return o, p
}

func TestTheClockOfAServiceThatNobodyUses(t *testing.T) {
	const days = 72 * time.Hour
	attached, free := uses(attachedBinding("visits")), uses()
	for name, test := range map[string]struct {
		steps    []func(*observation)
		detached time.Duration // after noon; -1 = not detached
		ends     time.Duration // after noon; -1 = never
		again    time.Duration // 0 = never
		announce bool
		now      bool
	}{
		"never attached":       {steps: []func(*observation){keptFor(days)}, detached: -1, ends: -1},
		"attached":             {steps: []func(*observation){keptFor(days), attached}, detached: -1, ends: -1},
		"without retention":    {steps: []func(*observation){attached, after(time.Minute), free}, detached: time.Minute, ends: -1},
		"detached":             {steps: []func(*observation){keptFor(days), attached, after(time.Minute), free}, detached: time.Minute, ends: days + time.Minute, again: 71 * time.Hour},
		"attached again":       {steps: []func(*observation){keptFor(days), attached, free, after(time.Hour), attached}, detached: -1, ends: -1},
		"detached once more":   {steps: []func(*observation){keptFor(days), attached, free, attached, after(time.Hour), free}, detached: time.Hour, ends: days + time.Hour, again: 71 * time.Hour},
		"an hour before":       {steps: []func(*observation){keptFor(days), attached, free, after(71 * time.Hour)}, ends: days, again: time.Hour, announce: true},
		"a short period":       {steps: []func(*observation){keptFor(10 * time.Second), attached, free}, ends: 10 * time.Second, again: 10 * time.Second, announce: true},
		"the end":              {steps: []func(*observation){keptFor(days), attached, free, after(days)}, ends: days, now: true},
		"long after the end":   {steps: []func(*observation){keptFor(days), attached, free, after(10 * days)}, ends: days, now: true},
		"named, not attached":  {steps: []func(*observation){keptFor(days), attached, free, after(time.Hour), uses(namingBinding("b", nil))}, ends: -1},
		"named past its end":   {steps: []func(*observation){keptFor(days), attached, free, uses(namingBinding("b", nil)), after(days)}, ends: -1},
		"let go after its end": {steps: []func(*observation){keptFor(days), attached, free, uses(namingBinding("b", nil)), after(days), free}, ends: days + time.Hour, again: time.Hour, announce: true},
		"retention set late":   {steps: []func(*observation){attached, free, after(2 * days), keptFor(days), edited}, ends: 2*days + time.Hour, again: time.Hour, announce: true},
		"a short period, from the middle of a second": {
			steps: []func(*observation){keptFor(10 * time.Second), attached, after(300 * time.Millisecond), free}, detached: time.Second, ends: 11 * time.Second,
			again: 10700 * time.Millisecond, announce: true,
		},
		"retention made shorter": {
			steps: []func(*observation){keptFor(days), attached, free, after(time.Hour), keptFor(4 * time.Hour), edited}, ends: 4 * time.Hour, again: 2 * time.Hour,
		},
		"retention made shorter than the time that is over": {
			steps: []func(*observation){keptFor(days), attached, free, after(4 * time.Hour), keptFor(2 * time.Hour), edited}, ends: 5 * time.Hour, again: time.Hour, announce: true,
		},
		"retention made longer": {
			steps: []func(*observation){keptFor(days), attached, free, after(days - time.Minute), keptFor(2 * days), edited}, ends: 2 * days, again: days + time.Minute - time.Hour,
		},
		"retention removed": {steps: []func(*observation){keptFor(days), attached, free, after(time.Hour), keptFor(0), edited}, ends: -1},
		"another edit":      {steps: []func(*observation){keptFor(days), attached, free, after(time.Hour), edited}, ends: days, again: 70 * time.Hour},
		"an edit at the very end is written first": {
			steps: []func(*observation){keptFor(days), attached, free, func(o *observation) { after(days)(o); edited(o) }}, ends: days, again: storedRetry,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, p := lived(test.steps...)
			since := func(at *metav1.Time) time.Duration {
				if at == nil {
					return -1
				}
				return at.Sub(noon)
			}
			if got := since(p.status.DetachedAt); got != test.detached {
				t.Errorf("detached %s after noon, want %s", got, test.detached)
			}
			if got := since(p.status.DeprovisionAt); got != test.ends {
				t.Errorf("ends %s after noon, want %s", got, test.ends)
			}
			if p.retryAfter != test.again {
				t.Errorf("again after %s, want %s", p.retryAfter, test.again)
			}
			if (p.ending.announce != "") != test.announce || test.announce && !strings.Contains(p.ending.announce, "BackingService visits is deleted at 2026-05-") {
				t.Errorf("announced: %q", p.ending.announce)
			}
			if p.ending.now != test.now {
				t.Errorf("ends now: %v", p.ending.now)
			}
		})
	}
}

func TestOnlyWhatTheStatusHasSaidIsCarriedOut(t *testing.T) {
	o, _ := lived(keptFor(72*time.Hour), uses(attachedBinding("visits")), uses(), after(72*time.Hour))
	if p := makePlan(o); !p.ending.now {
		t.Fatal("it does not end")
	}
	for name, change := range map[string]func(*observation){
		"an edit that nobody has looked at": edited,
		"the status says nothing of an end": func(o *observation) { o.service.Status.DeprovisionAt = nil },
		"it was attached until now":         func(o *observation) { o.service.Status.AttachmentCount = 1 },
		"a Binding names it":                uses(namingBinding("b", nil)),
		"an app is attached":                uses(attachedBinding("visits")),
	} {
		t.Run(name, func(t *testing.T) {
			changed := o
			changed.service = *o.service.DeepCopy()
			change(&changed)
			if p := makePlan(changed); p.ending.now {
				t.Error("it ends")
			}
		})
	}
}

func TestARefusedWriteDoesNotStopTheClock(t *testing.T) {
	o, _ := lived(keptFor(time.Hour), uses(attachedBinding("visits")))
	uses()(&o)
	if status := o.refused("exceeded quota"); status.AttachmentCount != 0 || status.DetachedAt == nil || status.DeprovisionAt == nil {
		t.Errorf("detached at %v, ends at %v", status.DetachedAt, status.DeprovisionAt)
	}
}

// When a collector is deleted, its Binding is deleted too. That detaches its Redis, whose own clock starts then.
func TestTheStoreOfACollectorIsDetachedWithIt(t *testing.T) {
	logs := observed(collectorSpec)
	logs.service.Name = "logs"
	logs.service.Spec.Collector = &v1alpha1.CollectorSource{StoreRef: v1alpha1.LocalReference{Name: "visits"}}
	binding := *engine.CollectorBinding(&logs.service)
	binding.Status.Current = &v1alpha1.Attachment{Service: "visits", SecretName: "visits-1"}
	o, p := lived(keptFor(time.Hour), uses(binding))
	if p.status.AttachmentCount != 1 || p.status.DeprovisionAt != nil {
		t.Fatalf("%d attachments, ends at %v", p.status.AttachmentCount, p.status.DeprovisionAt)
	}
	o.now = o.now.Add(time.Minute)
	uses()(&o)
	p = makePlan(o)
	if p.status.DetachedAt == nil || !p.status.DeprovisionAt.Time.Equal(noon.Add(time.Hour+time.Minute)) {
		t.Errorf("detached at %v, ends at %v", p.status.DetachedAt, p.status.DeprovisionAt)
	}
}

// No matter what happens, a service does not end if it is used, if it was used less than the period ago, or if the status
// did not name its end for the time of the notice.
func TestNothingEndsEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := observed(redisSpec, redisChildren(1, ""))
		period := time.Duration(rapid.Int64Range(int64(time.Second), int64(100*time.Hour)).Draw(t, "period"))
		keptFor(period)(&o)
		var lastUse, announced time.Time
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"time", "time", "attach", "name", "leave", "leave", "edit", "period"}).Draw(t, "step") {
			case "time":
				o.now = o.now.Add(time.Duration(rapid.Int64Range(1, int64(period)).Draw(t, "passes")))
			case "attach":
				uses(attachedBinding("visits"))(&o)
			case "name":
				uses(namingBinding("b", nil))(&o)
			case "leave":
				uses()(&o)
			case "edit":
				edited(&o)
			case "period":
				period = time.Duration(rapid.Int64Range(int64(time.Second), int64(100*time.Hour)).Draw(t, "period"))
				keptFor(period)(&o)
				edited(&o)
			}
			used := len(o.attached) > 0
			p := makePlan(o)
			if p.ending.now {
				if used || len(o.named) > 0 || lastUse.IsZero() {
					t.Fatal("it ends while it is used, or was never used")
				}
				if o.now.Sub(lastUse) < period || o.now.Sub(announced) < min(period, notice) {
					t.Fatalf("it ends %s after its last use, %s after it was said, with a period of %s", o.now.Sub(lastUse), o.now.Sub(announced), period)
				}
				return
			}
			switch was, is := o.service.Status.DeprovisionAt, p.status.DeprovisionAt; {
			case is == nil:
				announced = time.Time{}
			case !is.Equal(was):
				announced = o.now
			}
			if used || o.service.Status.AttachmentCount > 0 {
				lastUse = o.now
			}
			// The API server keeps times in whole seconds.
			status := p.status.DeepCopy()
			for _, at := range []*metav1.Time{status.DetachedAt, status.DeprovisionAt} {
				if at != nil && !at.Time.Equal(at.Truncate(time.Second)) {
					t.Fatalf("%s loses its fraction", at.Time)
				}
			}
			o.service.Status = *status
		}
	})
}
