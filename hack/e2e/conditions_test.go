//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// conditionWatch is all that the conditions of the BackingServices and Bindings of a namespace said for a while.
type conditionWatch struct {
	watches []watch.Interface
	done    sync.WaitGroup
	mu      sync.Mutex
	// said are "status, reason" in their order, by "kind/name condition".
	said map[string][]string
}

// watchConditions begins with what they say now, and misses nothing of what they say later.
func (s *scene) watchConditions() *conditionWatch {
	s.Helper()
	c := &conditionWatch{said: map[string][]string{}}
	for _, list := range []client.ObjectList{&v1alpha1.BackingServiceList{}, &v1alpha1.BindingList{}} {
		s.no(cluster.client.List(s.ctx, list, client.InNamespace(s.namespace)))
		version := list.GetResourceVersion()
		switch list := list.(type) {
		case *v1alpha1.BackingServiceList:
			for i := range list.Items {
				c.see(&list.Items[i])
			}
		case *v1alpha1.BindingList:
			for i := range list.Items {
				c.see(&list.Items[i])
			}
		}
		w, err := cluster.client.Watch(s.ctx, list, client.InNamespace(s.namespace),
			&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}})
		s.no(err)
		c.watches = append(c.watches, w)
		c.done.Go(func() {
			for e := range w.ResultChan() {
				c.see(e.Object)
			}
		})
	}
	return c
}

func (c *conditionWatch) see(object any) {
	var of string
	var conditions []metav1.Condition
	switch o := object.(type) {
	case *v1alpha1.BackingService:
		of, conditions = "BackingService/"+o.Name, o.Status.Conditions
	case *v1alpha1.Binding:
		of, conditions = "Binding/"+o.Name, o.Status.Conditions
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, condition := range conditions {
		key, now := of+" "+condition.Type, string(condition.Status)+", "+condition.Reason
		if said := c.said[key]; len(said) == 0 || said[len(said)-1] != now {
			c.said[key] = append(said, now)
		}
	}
}

// end ends the watch, and returns all that was said.
func (c *conditionWatch) end() map[string][]string {
	for _, w := range c.watches {
		w.Stop()
	}
	c.done.Wait()
	return c.said
}

// requireChanged ends the watch, and requires that none but these conditions changed, and those no more than once and back.
func (c *conditionWatch) requireChanged(s *scene, allowed ...string) {
	s.Helper()
	said := c.end()
	for _, of := range slices.Sorted(maps.Keys(said)) {
		steps := said[of]
		if len(steps) == 1 {
			continue
		}
		text := fmt.Sprintf("%s said %s", of, strings.Join(steps, "; then "))
		if !slices.Contains(allowed, of) || len(steps) != 3 || steps[0] != steps[2] {
			s.Errorf("%s; want it calm, or for %q once and back", text, allowed)
			continue
		}
		s.Log(text)
	}
}
