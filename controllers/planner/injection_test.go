package planner

import (
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// many adds Bindings of the workload with these numbers of variables.
func (w *world) many(vars ...int) *world {
	for i, n := range vars {
		var pairs []string
		for v := range n {
			pairs = append(pairs, fmt.Sprintf("VARIABLE_%d_%d", i, v), v1alpha1.KeyURI)
		}
		w.bind(fmt.Sprintf("b%d", i), "visits", env(pairs...))
	}
	return w
}

// injections counts the Bindings that say what is injected, and those of them that leave it to the controller.
func (w *world) injections() (known, byController int) {
	for _, b := range w.bindings {
		if injection := w.status(b.Name).Injection; injection != nil {
			known++
			if injection.By == v1alpha1.InjectedByController {
				byController++
			}
		}
	}
	return known, byController
}

// Beyond a limit, the API server injects none of the Bindings of a workload; up to the limit, it injects all of them.
// That holds before the workload exists, while it exists, and when it is gone again. What is to be injected is known in
// both cases.
func TestTheAPIServerInjectsAllBindingsOrNone(t *testing.T) {
	for name, test := range map[string]struct {
		vars []int // of each Binding
		none bool
	}{
		"one Binding":                       {[]int{1}, false},
		"as many variables as may be":       {[]int{32, 32}, false},
		"a variable more":                   {[]int{32, 32, 1}, true},
		"as many Bindings as may be":        {slices.Repeat([]int{1}, mostInjected), false},
		"a Binding more":                    {slices.Repeat([]int{1}, mostInjected+1), true},
		"as many Bindings, and variables":   {slices.Repeat([]int{mostInjectedVars / mostInjected}, mostInjected), false},
		"as many Bindings, a variable more": {append(slices.Repeat([]int{4}, mostInjected-1), 5), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).service("visits").many(test.vars...)
			expect := func(what string) {
				t.Helper()
				want := 0
				if test.none {
					want = len(test.vars)
				}
				if known, byController := w.settle().injections(); known != len(test.vars) || byController != want {
					t.Errorf("%s: of %d Bindings, %d say what is injected and %d leave it to the controller, want %d",
						what, len(test.vars), known, byController, want)
				}
			}
			expect("before there is a workload")
			w.deploy()
			expect("while there is one")
			if w.generations != 1 || w.says("b0", v1alpha1.ConditionReady) != "True/Ready" {
				t.Errorf("%d generations, Ready=%s", w.generations, w.says("b0", v1alpha1.ConditionReady))
			}
			w.deployment = nil
			expect("when it is gone")
		})
	}
}

// When a Binding is removed, the others can be below the limit again.
func TestBelowTheBoundAgain(t *testing.T) {
	w := newWorld(t).service("visits").many(32, 32, 1).settle()
	if known, byController := w.unbind("b2").settle().injections(); known != 2 || byController != 0 {
		t.Errorf("%d Bindings say what is injected and %d leave it to the controller, want 2 and 0", known, byController)
	}
}

// A Binding whose variables belong to another Binding is not counted.
func TestABindingInConflictIsNotCounted(t *testing.T) {
	w := newWorld(t).service("visits").many(32, 32)
	w.bind("younger", "visits", env("VARIABLE_0_0", v1alpha1.KeyURI)).settle()
	if known, byController := w.injections(); known != 2 || byController != 0 {
		t.Errorf("%d Bindings say what is injected and %d leave it to the controller, want 2 and 0", known, byController)
	}
}

// The operator of an older version, which had no limit, has left workloads that are beyond it. They keep what they have,
// and get it back like all others.
func TestAnUpgradeChangesNothingBeyondTheBound(t *testing.T) {
	w := newWorld(t).service("visits").many(slices.Repeat([]int{32}, 20)...).deploy().settle()
	for i := range w.bindings {
		w.bindings[i].Status.Injection.By = ""
	}
	generations, before := w.generations, w.variables()
	if w.settle(); w.generations != generations {
		t.Errorf("the upgrade changed the Pod template %d times", w.generations-generations)
	}
	if known, byController := w.injections(); known != 20 || byController != 20 {
		t.Errorf("%d Bindings say what is injected and %d leave it to the controller, want 20 and 20", known, byController)
	}
	w.service("visits", notReady)
	byHand(w, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Env, d.Annotations = nil, nil }).settle()
	if got := w.variables(); len(got) != len(before) {
		t.Errorf("replaced while the service is not Ready: it has %d variables of %d", len(got), len(before))
	}
	w.deployment = nil
	w.settle().deploy().settle()
	if got := w.variables(); len(got) != len(before) {
		t.Errorf("created again while the service is not Ready: it has %d variables of %d", len(got), len(before))
	}
}

// What a workload gets back has worked before, no matter who puts it in. If its Pods fail now, that is not because of the
// handle.
func TestWhatIsGotBackBeyondTheBoundIsNotRolledBack(t *testing.T) {
	w := newWorld(t).service("visits").many(32, 32, 1).deploy().settle().rollOut().later(time.Minute).settle()
	before := w.variables()
	w.deployment = nil
	w.settle().deploy().reconcile()
	if w.stuck().later(time.Minute).settle(); !slices.Equal(w.variables(), before) {
		t.Errorf("it has %d variables of %d; Ready=%s", len(w.variables()), len(before), w.says("b0", v1alpha1.ConditionReady))
	}
}
