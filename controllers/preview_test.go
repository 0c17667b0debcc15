package controllers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
	"github.com/bindery-dev/bindery/controllers/internal/podtemplate"
	"github.com/bindery-dev/bindery/controllers/planner"
	"github.com/bindery-dev/bindery/controllers/preview"
)

// What the preview of an edit says is what then happens, in every scenario of the crash suite in which somebody attaches,
// swaps or detaches something: the variables, how often the spec of the workload is changed, and whether anything prevents it.
// Where a rollout is turned back, or a copy is given up, that is what was tried.
func TestThePreviewIsWhatHappens(t *testing.T) {
	alone(t)
	for name, sc := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, "preview")
			p := &previewed{stage: s}
			s.operator.meddle = p.count
			sc.begin(s)
			s.before = p.announced
			sc.act(s)
			s.before = nil
			s.awaitEnd(sc.end, false)
			for _, e := range p.edits {
				p.check(e)
			}
			if len(p.edits) == 0 {
				t.Skip("nobody attaches, swaps or detaches anything")
			}
		})
	}
}

// previewed is a stage on which each edit is looked at before it is made.
type previewed struct {
	*stage
	edits []*previewedEdit

	mu sync.Mutex
	// patches of the spec of each workload, by its path.
	patches map[string]int
}

// previewedEdit is an edit, what its preview says, and what there was before it.
type previewedEdit struct {
	preview.Edit
	says    preview.Preview
	env     map[podtemplate.Slot]string
	history int
	patches int
	checked bool
}

// count counts the patches that change the spec of a workload.
func (p *previewed) count(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	if req.Method != http.MethodPatch || !strings.Contains(req.URL.Path, "/apis/apps/v1/") || strings.HasSuffix(req.URL.Path, "/status") {
		return next.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	response, err := next.RoundTrip(req)
	if err == nil && response.StatusCode == http.StatusOK && changesSpec(body) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.patches == nil {
			p.patches = map[string]int{}
		}
		p.patches[req.URL.Path]++
	}
	return response, err
}

func changesSpec(body []byte) bool {
	var ops []podtemplate.Op
	if json.Unmarshal(body, &ops) != nil {
		return false // an apply, of what Bindery provisions
	}
	for _, op := range ops {
		if op.Op != "test" && strings.HasPrefix(op.Path, "/spec/") {
			return true
		}
	}
	return false
}

// patched is how often the spec of a workload was patched.
func (p *previewed) patched(key planner.Key) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.patches[fmt.Sprintf("/apis/apps/v1/namespaces/%s/%ss/%s", key.Namespace, strings.ToLower(key.Kind), key.Name)]
}

// announced looks at an edit that is about to be made. What was edited of the same workload before has come to its end.
func (p *previewed) announced(e preview.Edit) {
	p.Helper()
	key := planner.KeyOf(&e.Binding)
	for _, before := range p.edits {
		if planner.KeyOf(&before.Binding) == key {
			p.check(before)
		}
	}
	if e.Action != preview.Detach {
		p.awaitKnown(e.Binding.Spec.ServiceRef.Name)
	}
	situation := p.situation(key)
	p.edits = append(p.edits, &previewedEdit{
		Edit: e, says: preview.Make(situation, e), env: p.env(key), history: len(e.Binding.Status.History), patches: p.patched(key),
	})
}

// awaitKnown waits until the operator has found out about a service what it can find out without an app.
func (p *previewed) awaitKnown(service string) {
	p.Helper()
	p.await("a look at BackingService "+service, func() string {
		var s v1alpha1.BackingService
		err := admin.Get(p.ctx, types.NamespacedName{Namespace: p.namespace, Name: service}, &s)
		switch {
		case apierrors.IsNotFound(err), err == nil && condition.IsTrue(s.Status.Conditions, v1alpha1.ConditionStalled, s.Generation):
			return ""
		case err != nil:
			return err.Error()
		case !condition.IsTrue(s.Status.Conditions, v1alpha1.ConditionReady, s.Generation):
			return "it is not Ready"
		case condition.Find(s.Status.Conditions, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonVerifying:
			return "it is being verified"
		}
		return ""
	})
}

// situation is what somebody sees who may read the namespace.
func (p *previewed) situation(key planner.Key) preview.Situation {
	p.Helper()
	var (
		bindings   v1alpha1.BindingList
		services   v1alpha1.BackingServiceList
		definition = &unstructured.Unstructured{}
	)
	p.must(admin.List(p.ctx, &bindings, client.InNamespace(p.namespace)))
	p.must(admin.List(p.ctx, &services, client.InNamespace(p.namespace)))
	definition.SetGroupVersionKind(schema.GroupVersionKind{
		Group: apiextensionsv1.GroupName, Version: "v1", Kind: "CustomResourceDefinition",
	})
	p.must(admin.Get(p.ctx, types.NamespacedName{Name: "bindings.bindery.dev"}, definition))
	s := preview.Situation{
		Now: time.Now(), Bindings: bindings.Items, Services: services.Items,
		Definition: planner.Definition{UID: string(definition.GetUID()), Live: true},
	}
	if object := p.live(key); object != nil {
		s.Workload = object
	}
	return s
}

// live is a workload; nil = there is none.
func (p *previewed) live(key planner.Key) client.Object {
	p.Helper()
	object := map[string]client.Object{
		planner.KindDeployment: &appsv1.Deployment{}, planner.KindStatefulSet: &appsv1.StatefulSet{}, planner.KindDaemonSet: &appsv1.DaemonSet{},
	}[key.Kind]
	err := admin.Get(p.ctx, types.NamespacedName{Namespace: key.Namespace, Name: key.Name}, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	p.must(err)
	return object
}

func (p *previewed) env(key planner.Key) map[podtemplate.Slot]string {
	p.Helper()
	object := p.live(key)
	if object == nil {
		return nil
	}
	env, _ := envOf(templateOf(object).Spec)
	return env
}

// check compares what has become of an edit with what its preview says.
func (p *previewed) check(e *previewedEdit) {
	p.Helper()
	if e.checked {
		return
	}
	e.checked = true
	key := planner.KeyOf(&e.Binding)
	happened, patches := p.env(key), p.patched(key)-e.patches
	text := e.says.Text(time.Now())
	b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: e.Binding.Name}}
	if err := admin.Get(p.ctx, client.ObjectKeyFromObject(b), b); client.IgnoreNotFound(err) != nil {
		p.Fatal(err)
	}
	planned, want, wantPatches := e.planned(), e.env, len(e.says.Patches)
	turnedBack := e.turnedBack(b)
	switch {
	case e.says.Prevented != nil:
		wantPatches = 0
		if ready := condition.Find(b.Status.Conditions, v1alpha1.ConditionReady); ready.Reason != e.says.Prevented.Reason {
			p.Errorf("it is prevented by %s, and the preview says:\n%s", ready.Reason, text)
		}
	case turnedBack > 0:
		for _, tried := range b.Status.History[:len(b.Status.History)-e.history] {
			if tried.Outcome == v1alpha1.SwapRolledBack && !e.puts(tried.SecretName) {
				p.Errorf("Secret %s was tried, and the preview says:\n%s", tried.SecretName, text)
			}
		}
		attempts := turnedBack
		if condition.IsTrue(b.Status.Conditions, v1alpha1.ConditionInjected, b.Generation) {
			attempts, want = attempts+1, planned
		}
		wantPatches = attempts*wantPatches + turnedBack
	case e.Action != preview.Detach && p.givenUp(e.says.To):
		wantPatches = 2 // the app is stopped, and started again with what it had
	default:
		want = planned
	}
	if diff := cmp.Diff(want, happened); diff != "" {
		p.Errorf("the variables are others than expected: %s\nThe preview says:\n%s", diff, text)
	}
	if patches != wantPatches {
		p.Errorf("the spec of the workload was patched %d times, want %d. The preview says:\n%s", patches, wantPatches, text)
	}
}

// planned are the variables after the changes of the preview.
func (e *previewedEdit) planned() map[podtemplate.Slot]string {
	env := maps.Clone(e.env)
	for _, c := range e.says.Changes {
		slot := podtemplate.Slot{Container: c.Container, Env: c.Variable}
		if c.To == nil {
			delete(env, slot)
		} else {
			env[slot] = c.To.Secret + "/" + c.To.Key
		}
	}
	return env
}

// turnedBack is how many rollouts of the edit were turned back.
func (e *previewedEdit) turnedBack(b *v1alpha1.Binding) int {
	n := 0
	for _, swap := range b.Status.History[:max(0, len(b.Status.History)-e.history)] {
		if swap.Outcome == v1alpha1.SwapRolledBack {
			n++
		}
	}
	return n
}

// puts says whether the preview puts a Secret into a variable.
func (e *previewedEdit) puts(secret string) bool {
	for _, c := range e.says.Changes {
		if c.To != nil && c.To.Secret == secret {
			return true
		}
	}
	return false
}

func (p *previewed) givenUp(service string) bool {
	p.Helper()
	var s v1alpha1.BackingService
	err := admin.Get(p.ctx, types.NamespacedName{Namespace: p.namespace, Name: service}, &s)
	if client.IgnoreNotFound(err) != nil {
		p.Fatal(err)
	}
	return s.Status.Move != nil && s.Status.Move.Step == v1alpha1.MoveGivenUp
}
