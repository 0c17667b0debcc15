package controllers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

const operatorUser = "system:serviceaccount:" + operatorNamespace + ":bindery-operator"

// born is a Binding as the operator leaves it before its workload exists: its spec, and status.injection.
type born struct{ spec, injection string }

// parts is an injection of a handle that is composed, and of two authorities.
const parts = `{secretName: rds, env: [{name: BINDERY_URL_1, key: user}, {name: BINDERY_URL_2, key: host}, {name: CA, configMapName: ca, key: pem},
  {name: CA2, secretName: vendor, key: pem}, {name: URL, value: "db://$(BINDERY_URL_1)@$(BINDERY_URL_2)/x"}]}`

const carriesParts = "BINDERY_URL_1=rds/user BINDERY_URL_2=rds/host CA=ConfigMap:ca/pem CA2=vendor/pem URL=db://$(BINDERY_URL_1)@$(BINDERY_URL_2)/x"

const (
	ofApp   = `{workloadRef: {name: app}, serviceRef: {name: visits}}`
	visits1 = `{secretName: visits-1, env: [{name: URL, key: uri}]}`
)

// bear creates Bindings with their status.
func (s *policedScene) bear(bindings ...born) {
	s.Helper()
	for i, b := range bindings {
		binding := s.bindingOf(fmt.Sprintf("b%d", i), b.spec)
		ok(s, s.Create(s.ctx, binding))
		s.inject(binding, b.injection)
	}
	s.settle()
}

// inject writes status.injection of a Binding; "" = none.
func (s *policedScene) inject(binding *v1alpha1.Binding, injection string) {
	s.Helper()
	binding.Status.Injection = nil
	if injection != "" {
		binding.Status.Injection = &v1alpha1.Injection{}
		ok(s, yaml.UnmarshalStrict([]byte(injection), binding.Status.Injection))
	}
	ok(s, s.Status().Update(s.ctx, binding))
}

// settle waits until the policy knows every Binding in its current state. The API server sends the Bindings to the policy
// through a watch, in the order of their writes: when the policy knows one more Binding, it knows all of them.
func (s *policedScene) settle() {
	s.Helper()
	s.markers++
	marker := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("marker-%d", s.markers)}}
	marker.Spec.WorkloadRef.Name, marker.Spec.ServiceRef.Name = marker.Name, "visits"
	ok(s, s.Create(s.ctx, marker))
	s.inject(marker, visits1)
	s.await("the policy to know the Bindings", func() string {
		d := deploymentOf("default", marker.Name)
		ok(s, s.Create(s.ctx, d, client.DryRunAll))
		if refersTo(d, "URL") == "" {
			return "it does not know " + marker.Name
		}
		return ""
	})
	ok(s, s.Delete(s.ctx, marker))
}

// workloadOf makes a workload without Pods.
func workloadOf(namespace, kind, name string, containers []corev1.Container) client.Object {
	deployment := deploymentOf(namespace, name, containers...)
	switch kind {
	case "StatefulSet":
		return &appsv1.StatefulSet{ObjectMeta: deployment.ObjectMeta, Spec: appsv1.StatefulSetSpec{
			Replicas: new(int32(0)), Selector: deployment.Spec.Selector, Template: deployment.Spec.Template,
		}}
	case "DaemonSet":
		return &appsv1.DaemonSet{ObjectMeta: deployment.ObjectMeta, Spec: appsv1.DaemonSetSpec{
			Selector: deployment.Spec.Selector, Template: deployment.Spec.Template,
		}}
	}
	return deployment
}

// inConfigMap begins what refers to a key of a ConfigMap, and not of a Secret.
const inConfigMap = "ConfigMap:"

// carried writes down the variables of a Pod template, in order: "app[OWN=mine URL=visits-1/uri] side[]".
func carried(template corev1.PodTemplateSpec) string {
	var texts []string
	for _, c := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		var env []string
		for _, e := range c.Env {
			value := e.Value
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				value = e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
			}
			if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
				value = inConfigMap + e.ValueFrom.ConfigMapKeyRef.Name + "/" + e.ValueFrom.ConfigMapKeyRef.Key
			}
			env = append(env, e.Name+"="+value)
		}
		texts = append(texts, c.Name+"["+strings.Join(env, " ")+"]")
	}
	return strings.Join(texts, " ")
}

// containersOf reads "app[OWN=mine] side[]": the containers of a workload as its owner writes them.
func containersOf(text string) []corev1.Container {
	var containers []corev1.Container
	for c := range strings.SplitSeq(strings.TrimSuffix(text, "]"), "] ") {
		name, env, _ := strings.Cut(c, "[")
		container := corev1.Container{Name: name, Image: "app:1"}
		for e := range strings.FieldsSeq(env) {
			variable, value, _ := strings.Cut(e, "=")
			container.Env = append(container.Env, corev1.EnvVar{Name: variable, Value: value})
			name, key, refers := strings.Cut(value, "/")
			object, file := strings.CutPrefix(name, inConfigMap)
			switch {
			case !refers || strings.Contains(value, "$("):
			case file:
				container.Env[len(container.Env)-1] = corev1.EnvVar{Name: variable, ValueFrom: &corev1.EnvVarSource{
					ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: object}, Key: key},
				}}
			default:
				container.Env[len(container.Env)-1] = corev1.EnvVar{Name: variable, ValueFrom: &corev1.EnvVarSource{
					SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: object}, Key: key},
				}}
			}
		}
		containers = append(containers, container)
	}
	return containers
}

func bornAttached(s *policedScene) {
	side := `{workloadRef: {name: app}, serviceRef: {name: visits}, containers: [side]}`
	both := `{workloadRef: {name: app}, serviceRef: {name: visits}, containers: [app, side]}`
	two := `{secretName: visits-1, env: [{name: URL, key: uri}, {name: HOST, key: host}]}`
	logs := born{`{workloadRef: {name: app}, serviceRef: {name: logs}}`, `{secretName: logs-1, env: [{name: LOGS, key: uri}]}`}
	for name, test := range map[string]struct {
		bindings []born
		kind     string
		owner    string
		want     string
	}{
		"a container without env":                     {[]born{{ofApp, visits1}}, "", "app[]", "app[URL=visits-1/uri]"},
		"a container with env":                        {[]born{{ofApp, visits1}}, "", "app[OWN=mine]", "app[OWN=mine URL=visits-1/uri]"},
		"two variables":                               {[]born{{ofApp, two}}, "", "app[OWN=mine]", "app[OWN=mine URL=visits-1/uri HOST=visits-1/host]"},
		"every container":                             {[]born{{ofApp, visits1}}, "", "app[] side[A=b]", "app[URL=visits-1/uri] side[A=b URL=visits-1/uri]"},
		"the container that is asked for":             {[]born{{side, visits1}}, "", "app[] side[]", "app[] side[URL=visits-1/uri]"},
		"a container that is not there":               {[]born{{both, visits1}}, "", "app[]", "app[]"},
		"two Bindings":                                {[]born{{ofApp, visits1}, logs}, "", "app[] side[]", "app[LOGS=logs-1/uri URL=visits-1/uri] side[LOGS=logs-1/uri URL=visits-1/uri]"},
		"a variable that the owner sets":              {[]born{{ofApp, visits1}}, "", "app[URL=mine]", "app[URL=mine]"},
		"a variable that the owner leaves empty":      {[]born{{ofApp, visits1}}, "", "app[URL=]", "app[URL=]"},
		"a variable that the owner sets in one place": {[]born{{ofApp, visits1}}, "", "app[] side[URL=mine]", "app[] side[URL=mine]"},
		"where the owner sets it is not asked for":    {[]born{{side, visits1}}, "", "app[URL=mine] side[]", "app[URL=mine] side[URL=visits-1/uri]"},
		"one of two variables is the owner's":         {[]born{{ofApp, two}}, "", "app[HOST=mine]", "app[HOST=mine]"},
		"what is there from an export":                {[]born{{ofApp, visits1}}, "", "app[URL=visits-1/uri OWN=mine]", "app[URL=visits-1/uri OWN=mine]"},
		"half of it is there":                         {[]born{{ofApp, two}}, "", "app[HOST=visits-1/host]", "app[HOST=visits-1/host URL=visits-1/uri]"},
		"what is there from another revision":         {[]born{{ofApp, visits1}}, "", "app[URL=visits-0/uri]", "app[URL=visits-0/uri]"},
		"a handle of parts":                           {[]born{{ofApp, parts}}, "", "app[OWN=mine]", "app[OWN=mine " + carriesParts + "]"},
		"a part that the owner sets":                  {[]born{{ofApp, parts}}, "", "app[BINDERY_URL_1=mine]", "app[BINDERY_URL_1=mine]"},
		"parts from an export":                        {[]born{{ofApp, parts}}, "", "app[" + carriesParts + " OWN=mine]", "app[" + carriesParts + " OWN=mine]"},
		"a StatefulSet": {[]born{{`{workloadRef: {kind: StatefulSet, name: app}, serviceRef: {name: visits}}`, visits1}},
			"StatefulSet", "app[]", "app[URL=visits-1/uri]"},
		"a DaemonSet": {[]born{{`{workloadRef: {kind: DaemonSet, name: app}, serviceRef: {name: visits}}`, visits1}},
			"DaemonSet", "app[]", "app[URL=visits-1/uri]"},
		"another kind":      {[]born{{ofApp, visits1}}, "StatefulSet", "app[]", "app[]"},
		"another name":      {[]born{{`{workloadRef: {name: other}, serviceRef: {name: visits}}`, visits1}}, "", "app[]", "app[]"},
		"nothing to inject": {[]born{{ofApp, ""}}, "", "app[]", "app[]"},
	} {
		s.run(name, func(s *policedScene) {
			s.bear(test.bindings...)
			w := workloadOf(s.namespace, test.kind, "app", containersOf(test.owner))
			ok(s, s.Create(s.ctx, w))
			template := *templateOf(w)
			if len(test.bindings) > 1 { // the API server may process the Bindings in any order
				for _, c := range template.Spec.Containers {
					slices.SortFunc(c.Env, func(a, b corev1.EnvVar) int { return strings.Compare(a.Name, b.Name) })
				}
			}
			if got := carried(template); got != test.want {
				s.Errorf("it is born with %s, want %s", got, test.want)
			}
		})
	}
}

// bornOtherwise are births that do not fit into the table above.
func bornOtherwise(s *policedScene) {
	s.bear(born{ofApp, visits1})
	create := func(as client.Client, change func(*appsv1.Deployment)) string {
		s.Helper()
		d := deploymentOf(s.namespace, "app", containersOf("app[]")...)
		change(d)
		ok(s, as.Create(s.ctx, d, client.DryRunAll))
		return carried(d.Spec.Template)
	}
	expect := func(what, got, want string) {
		s.Helper()
		if got != want {
			s.Errorf("%s: it is born with %s, want %s", what, got, want)
		}
	}
	nothing := func(*appsv1.Deployment) {}
	expect("by the operator", create(s.as(operatorUser, "system:masters"), nothing), "app[URL=visits-1/uri]")
	expect("with an init container", create(s, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.InitContainers = containersOf("setup[]")
	}), "setup[] app[URL=visits-1/uri]")
	expect("with a name that the API server chooses", create(s, func(d *appsv1.Deployment) {
		d.Name, d.GenerateName = "", "app"
	}), "app[]")
	other := s.scene(s.TB)
	d := deploymentOf(other.namespace, "app", containersOf("app[]")...)
	ok(s, s.Create(s.ctx, d))
	expect("in another namespace", carried(d.Spec.Template), "app[]")

	binding := &v1alpha1.Binding{}
	ok(s, s.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "b0"}, binding))
	binding.Finalizers = []string{"example.com/hold"}
	ok(s, s.Update(s.ctx, binding))
	ok(s, s.Delete(s.ctx, binding))
	s.settle()
	expect("of a Binding that is being deleted", create(s, nothing), "app[]")
	ok(s, s.Patch(s.ctx, binding, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
}

// keptByUpdates is about updates of a workload that carries what a Binding injects, or does not.
func keptByUpdates(s *policedScene) {
	two := `{secretName: visits-1, env: [{name: URL, key: uri}, {name: HOST, key: host}]}`
	app := `{workloadRef: {name: app}, serviceRef: {name: visits}, containers: [app]}`
	for name, test := range map[string]struct {
		binding        born
		was, now, want string
	}{
		"what is dropped comes back":             {born{ofApp, visits1}, "app[OWN=mine URL=visits-1/uri]", "app[OWN=mine]", "app[OWN=mine URL=visits-1/uri]"},
		"to its place":                           {born{ofApp, visits1}, "app[OWN=mine URL=visits-1/uri B=c]", "app[OWN=mine B=c]", "app[OWN=mine URL=visits-1/uri B=c]"},
		"to the first place":                     {born{ofApp, visits1}, "app[URL=visits-1/uri B=c]", "app[B=c]", "app[URL=visits-1/uri B=c]"},
		"to the place of those that are left":    {born{ofApp, visits1}, "app[A=b OWN=mine URL=visits-1/uri B=c]", "app[A=b B=c NEW=d]", "app[A=b URL=visits-1/uri B=c NEW=d]"},
		"two to their places":                    {born{ofApp, two}, "app[HOST=visits-1/host OWN=mine URL=visits-1/uri]", "app[OWN=mine]", "app[HOST=visits-1/host OWN=mine URL=visits-1/uri]"},
		"two to one place":                       {born{ofApp, two}, "app[OWN=mine HOST=visits-1/host URL=visits-1/uri]", "app[OWN=mine]", "app[OWN=mine HOST=visits-1/host URL=visits-1/uri]"},
		"two where the owner has turned env":     {born{ofApp, two}, "app[A=a HOST=visits-1/host B=b URL=visits-1/uri]", "app[B=b A=a]", "app[B=b A=a URL=visits-1/uri HOST=visits-1/host]"},
		"one of two comes back":                  {born{ofApp, two}, "app[HOST=visits-1/host URL=visits-1/uri]", "app[HOST=visits-1/host]", "app[HOST=visits-1/host URL=visits-1/uri]"},
		"into an env that is gone":               {born{ofApp, visits1}, "app[OWN=mine URL=visits-1/uri]", "app[]", "app[URL=visits-1/uri]"},
		"into each container":                    {born{ofApp, visits1}, "app[URL=visits-1/uri] side[URL=visits-1/uri]", "app[] side[]", "app[URL=visits-1/uri] side[URL=visits-1/uri]"},
		"into a container that is renamed":       {born{ofApp, visits1}, "app[OWN=mine URL=visits-1/uri]", "web[OWN=mine]", "web[OWN=mine URL=visits-1/uri]"},
		"into a container that is new":           {born{ofApp, visits1}, "app[URL=visits-1/uri]", "side[A=b] app[URL=visits-1/uri]", "side[A=b URL=visits-1/uri] app[URL=visits-1/uri]"},
		"not into one that is not asked for":     {born{app, visits1}, "app[URL=visits-1/uri]", "side[A=b] app[]", "side[A=b] app[URL=visits-1/uri]"},
		"not where one that is asked for is not": {born{app, visits1}, "app[URL=visits-1/uri]", "web[]", "web[]"},
		"what was not there does not come":       {born{ofApp, visits1}, "app[OWN=mine]", "app[OWN=yours]", "app[OWN=yours]"},
		"nor what was there in another form":     {born{ofApp, visits1}, "app[URL=visits-0/uri]", "app[]", "app[]"},
		"nor under another key":                  {born{ofApp, visits1}, "app[URL=visits-1/url]", "app[]", "app[]"},
		"the owner's own value stays":            {born{ofApp, visits1}, "app[URL=visits-1/uri]", "app[URL=mine]", "app[URL=mine]"},
		"an older revision stays":                {born{ofApp, visits1}, "app[URL=visits-1/uri]", "app[URL=visits-0/uri]", "app[URL=visits-0/uri]"},
		"a handle of parts comes back":           {born{ofApp, parts}, "app[OWN=mine " + carriesParts + " B=c]", "app[OWN=mine B=c]", "app[OWN=mine " + carriesParts + " B=c]"},
		"nothing is dropped":                     {born{ofApp, visits1}, "app[URL=visits-1/uri OWN=mine]", "app[URL=visits-1/uri OWN=yours]", "app[URL=visits-1/uri OWN=yours]"},
	} {
		s.run(name, func(s *policedScene) {
			d := deploymentOf(s.namespace, "app", containersOf(test.was)...)
			ok(s, s.Create(s.ctx, d))
			s.bear(test.binding)
			d.Spec.Template.Spec.Containers = containersOf(test.now)
			d.ResourceVersion = "" // the Deployment controller writes too
			ok(s, s.Update(s.ctx, d))
			if got := carried(d.Spec.Template); got != test.want {
				s.Errorf("it carries %s, want %s", got, test.want)
			}
		})
	}
}

// managers returns who owns the entry of a variable, according to managedFields.
func managers(tb testing.TB, d *appsv1.Deployment, variable string) []string {
	tb.Helper()
	var found []string
	for _, m := range d.ManagedFields {
		if strings.Contains(m.FieldsV1.GetRawString(), `k:{\"name\":\"`+variable+`\"}`) {
			found = append(found, m.Manager)
		}
	}
	return found
}

// manifest of a Deployment, as its owner keeps it.
func (s *policedScene) manifest(image, containers string) string {
	s.Helper()
	d := deploymentOf(s.namespace, "app", containersOf(containers)...)
	d.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}
	for i := range d.Spec.Template.Spec.Containers {
		d.Spec.Template.Spec.Containers[i].Image = image
	}
	text, err := json.Marshal(d)
	ok(s, err)
	return string(text)
}

func (s *policedScene) app() *appsv1.Deployment {
	s.Helper()
	d := &appsv1.Deployment{}
	ok(s, s.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "app"}, d))
	return d
}

// replicaSets waits until the Deployment controller has seen the current generation, and counts the ReplicaSets that it
// has made.
func (s *policedScene) replicaSets() int {
	s.Helper()
	s.await("the Deployment controller", func() string {
		if d := s.app(); d.Status.ObservedGeneration != d.Generation {
			return fmt.Sprintf("it has seen generation %d of %d", d.Status.ObservedGeneration, d.Generation)
		}
		return ""
	})
	var list appsv1.ReplicaSetList
	ok(s, s.List(s.ctx, &list, client.InNamespace(s.namespace), client.MatchingLabels{"app": "app"}))
	return len(list.Items)
}

// owners are the ways in which people send a manifest to the API server.
var owners = map[string]struct{ create, change []string }{
	"kubectl apply":               {[]string{"apply", "-f", "-"}, []string{"apply", "-f", "-"}},
	"kubectl apply --server-side": {[]string{"apply", "--server-side", "-f", "-"}, []string{"apply", "--server-side", "-f", "-"}},
	"kubectl replace":             {[]string{"create", "-f", "-"}, []string{"replace", "-f", "-"}},
}

// keptByOwners does what an owner does to a Deployment that was created after its Bindings.
func keptByOwners(s *policedScene) {
	for name, owner := range owners {
		s.run(name, func(s *policedScene) {
			s.bear(threeOfApp...)
			s.kubectl(s.manifest("app:1", "app[OWN=mine]"), owner.create...)
			bornWith := carried(s.app().Spec.Template)
			for _, variable := range []string{"app[OWN=mine ", "URL_0=s0-1/uri", "URL_1=s1-1/uri", "URL_2=s2-1/uri"} {
				if strings.Count(bornWith, variable) != 1 {
					s.Errorf("it is born with %s, not once with %s", bornWith, variable)
				}
			}
			s.expectApp("at first", bornWith, 1)
			for range 3 {
				s.kubectl(s.manifest("app:1", "app[OWN=mine]"), owner.change...)
				s.expectApp("the same again", bornWith, 1)
			}
			s.kubectl(s.manifest("app:2", "app[OWN=mine]"), owner.change...)
			s.expectApp("another image", bornWith, 2)
			s.kubectl(s.manifest("app:2", "web[OWN=mine]"), owner.change...)
			if got := carried(s.app().Spec.Template); len(got) != len(bornWith) || !strings.HasPrefix(got, "web[OWN=mine URL_") {
				s.Errorf("another name of the container: it carries %s", got)
			}
			if got := s.replicaSets(); got != 3 {
				s.Errorf("another name of the container: there are %d ReplicaSets", got)
			}
		})
	}
}

var threeOfApp = []born{
	{ofApp, `{secretName: s0-1, env: [{name: URL_0, key: uri}]}`},
	{ofApp, `{secretName: s1-1, env: [{name: URL_1, key: uri}]}`},
	{ofApp, `{secretName: s2-1, env: [{name: URL_2, key: uri}]}`},
}

// expectApp compares the Deployment with what it shall carry. What the policy put in belongs to no field manager: a
// manager that owned it could lose it, or would conflict with the owner.
func (s *policedScene) expectApp(what, want string, replicaSets int) {
	s.Helper()
	d := s.app()
	if got := carried(d.Spec.Template); got != want {
		s.Errorf("%s: it carries %s, want %s", what, got, want)
	}
	if got := s.replicaSets(); got != replicaSets {
		s.Errorf("%s: there are %d ReplicaSets, want %d", what, got, replicaSets)
	}
	if found := managers(s, d, "URL_0"); found != nil {
		s.Errorf("%s: URL_0 belongs to %v", what, found)
	}
	if managers(s, d, "OWN") == nil {
		s.Errorf("%s: the owner's own variable belongs to nobody", what)
	}
}

// keptByUndo rolls back to a revision from before the Deployment was attached.
func keptByUndo(s *policedScene) {
	s.kubectl(s.manifest("app:1", "app[OWN=mine]"), "apply", "-f", "-")
	s.expectApp("at first", "app[OWN=mine]", 1)
	s.bear(born{ofApp, visits1})
	s.patchAsOperator(`[{"op": "add", "path": "/spec/template/spec/containers/0/env/-", ` +
		`"value": {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "visits-1", "key": "uri"}}}}]`)
	s.expectApp("attached", "app[OWN=mine URL=visits-1/uri]", 2)
	s.kubectl("", "set", "image", "deployment/app", "app=app:2")
	s.expectApp("another image", "app[OWN=mine URL=visits-1/uri]", 3)
	s.kubectl("", "rollout", "undo", "deployment/app", "--to-revision=1")
	if image := s.app().Spec.Template.Spec.Containers[0].Image; image != "app:1" {
		s.Errorf("the image is %s", image)
	}
	s.expectApp("undone", "app[OWN=mine URL=visits-1/uri]", 3)
}

func (s *policedScene) patchAsOperator(operations string) {
	s.Helper()
	ok(s, s.as(operatorUser, "system:masters").Patch(s.ctx, s.app(), client.RawPatch(types.JSONPatchType, []byte(operations))))
}

// leftByTheOperator: what the operator removes stays removed, even at the owner's next write.
func leftByTheOperator(s *policedScene) {
	s.bear(born{ofApp, visits1})
	s.kubectl(s.manifest("app:1", "app[OWN=mine]"), "create", "-f", "-")
	s.expectApp("at first", "app[OWN=mine URL=visits-1/uri]", 1)
	s.patchAsOperator(`[{"op": "remove", "path": "/spec/template/spec/containers/0/env/1"}]`)
	s.expectApp("detached", "app[OWN=mine]", 2)
	s.kubectl(s.manifest("app:2", "app[OWN=mine]"), "replace", "-f", "-")
	s.expectApp("another image", "app[OWN=mine]", 3)
}

// leftWithTheBinding: without its Binding, the owner may remove a variable.
func leftWithTheBinding(s *policedScene) {
	s.bear(born{ofApp, visits1})
	s.kubectl(s.manifest("app:1", "app[OWN=mine]"), "create", "-f", "-")
	s.expectApp("at first", "app[OWN=mine URL=visits-1/uri]", 1)
	s.kubectl("", "delete", "bnd", "b0")
	s.settle()
	s.kubectl(s.manifest("app:1", "app[OWN=mine]"), "replace", "-f", "-")
	s.expectApp("replaced", "app[OWN=mine]", 2)
}

// leftWhileDeleted: a workload that is being deleted is not changed.
func leftWhileDeleted(s *policedScene) {
	s.bear(born{ofApp, visits1})
	d := deploymentOf(s.namespace, "app", containersOf("app[]")...)
	d.Finalizers = []string{"example.com/hold"}
	ok(s, s.Create(s.ctx, d))
	ok(s, s.Delete(s.ctx, d))
	d.ResourceVersion = ""
	d.Spec.Template.Spec.Containers = containersOf("app[]")
	ok(s, s.Update(s.ctx, d))
	if got := carried(d.Spec.Template); got != "app[]" {
		s.Errorf("it carries %s", got)
	}
	ok(s, s.Patch(s.ctx, d, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))
}

// keptWithoutThePolicy removes the policy when there are Deployments that were born attached.
func keptWithoutThePolicy(s *policedScene) {
	scenes := map[string]*policedScene{}
	for name, owner := range owners {
		s := s.scene(s.TB)
		s.bear(threeOfApp[0])
		s.kubectl(s.manifest("app:1", "app[OWN=mine]"), owner.create...)
		s.expectApp(name+", at first", "app[OWN=mine URL_0=s0-1/uri]", 1)
		scenes[name] = s
	}
	await := s.awaitPolicy(true)
	binding := &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "bindery-born-attached"}}
	ok(s, s.Get(s.ctx, client.ObjectKeyFromObject(binding), binding))
	ok(s, s.Delete(s.ctx, binding))
	await(false)
	for name, s := range scenes {
		s.kubectl(s.manifest("app:1", "app[OWN=mine]"), owners[name].change...)
		if name == "kubectl replace" { // only the operator puts it back
			s.expectApp(name, "app[OWN=mine]", 2)
			continue
		}
		s.expectApp(name, "app[OWN=mine URL_0=s0-1/uri]", 1)
		s.kubectl(s.manifest("app:2", "app[OWN=mine]"), owners[name].change...)
		s.expectApp(name+", another image", "app[OWN=mine URL_0=s0-1/uri]", 2)
		s.kubectl(s.manifest("app:2", "web[OWN=mine]"), owners[name].change...)
		s.expectApp(name+", another name of the container", "web[OWN=mine]", 3)
	}
	binding.ResourceVersion = ""
	ok(s, s.Create(s.ctx, binding))
	s.awaitPolicy(true)
}

// awaitPolicy waits until workloads are born attached, or are not. It returns a function that waits for either state with
// the same Binding: with a new Binding, it would not be clear whether the policy is gone, or has not seen the Binding
// yet.
func (s *policedScene) awaitPolicy(attaches bool) (again func(attaches bool)) {
	s.Helper()
	trial := s.scene(s.TB)
	binding := trial.bindingOf("b", ofApp)
	ok(s, s.Create(s.ctx, binding))
	trial.inject(binding, visits1)
	again = func(attaches bool) {
		s.Helper()
		s.await("the policy", func() string {
			d := deploymentOf(trial.namespace, "app", containersOf("app[]")...)
			ok(s, s.Create(s.ctx, d, client.DryRunAll))
			if (refersTo(d, "URL") != "") != attaches {
				return "a new workload would carry " + carried(d.Spec.Template)
			}
			return ""
		})
	}
	again(attaches)
	return again
}

// withAnotherPolicy adds a container after the policy has run.
func withAnotherPolicy(s *policedScene) {
	meta := metav1.ObjectMeta{Name: "zz-" + s.namespace}
	policy := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicySpec{
		ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		MatchConstraints: &admissionv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}},
			ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
			}}},
		},
		Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{
			Expression: `[JSONPatch{op: 'add', path: '/spec/template/spec/containers/-', value: {'name': 'side', 'image': 'side:1'}}]`,
		}}},
	}}
	ok(s, s.Create(s.ctx, policy))
	ok(s, s.Create(s.ctx, &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: policy.Name},
	}))
	s.bear(born{ofApp, visits1})
	s.await("the other policy", func() string {
		d := deploymentOf(s.namespace, "app", containersOf("app[]")...)
		ok(s, s.Create(s.ctx, d, client.DryRunAll))
		if got, want := carried(d.Spec.Template), "app[URL=visits-1/uri] side[URL=visits-1/uri]"; got != want {
			return fmt.Sprintf("it is born with %s, want %s", got, want)
		}
		return ""
	})
}

// bornOwned: a Binding that Bindery made for a workload that it provisions is only for that workload, not for what
// somebody else creates under the same name.
func bornOwned(s *policedScene) {
	for name, test := range map[string]struct{ binding, workload, want string }{
		"its own workload":                         {"controlled by otel", "controlled by otel", "app[URL=visits-1/uri]"},
		"a workload of somebody else":              {"controlled by otel", "", "app[]"},
		"a workload of another service":            {"controlled by otel", "controlled by other", "app[]"},
		"a workload of another kind of owner":      {"controlled by otel", "controlled by a ConfigMap", "app[]"},
		"a workload that it does not control":      {"controlled by otel", "owned by otel", "app[]"},
		"a Binding that no service controls":       {"owned by otel", "", "app[URL=visits-1/uri]"},
		"a Binding of another kind of owner":       {"controlled by a ConfigMap", "", "app[URL=visits-1/uri]"},
		"a Binding of a kind with the same name":   {"controlled by a stranger's BackingService", "", "app[URL=visits-1/uri]"},
		"a Binding of nobody, in an owned one":     {"", "controlled by otel", "app[URL=visits-1/uri]"},
		"a Binding of nobody, in a stranger's":     {"", "controlled by a ConfigMap", "app[URL=visits-1/uri]"},
		"a Binding and a workload of one stranger": {"controlled by a ConfigMap", "controlled by a ConfigMap", "app[URL=visits-1/uri]"},
	} {
		s.run(name, func(s *policedScene) {
			owners := s.ownersFor()
			binding := s.bindingOf("b0", ofApp)
			binding.OwnerReferences = owners[test.binding]
			ok(s, s.Create(s.ctx, binding))
			s.inject(binding, visits1)
			s.settle()

			d := deploymentOf(s.namespace, "app", containersOf("app[]")...)
			d.OwnerReferences = owners[test.workload]
			ok(s, s.Create(s.ctx, d))
			if got := carried(d.Spec.Template); got != test.want {
				s.Errorf("it is born with %s, want %s", got, test.want)
			}
			for _, containers := range []string{"app[URL=visits-1/uri]", "app[]"} {
				d.Spec.Template.Spec.Containers, d.ResourceVersion = containersOf(containers), ""
				ok(s, s.Update(s.ctx, d))
			}
			if got := carried(d.Spec.Template); got != test.want {
				s.Errorf("it carries %s when it was replaced, want %s", got, test.want)
			}
		})
	}
}

// ownersFor makes owners in the namespace, and returns references to them. They exist: the garbage collector runs.
func (s *policedScene) ownersFor() map[string][]metav1.OwnerReference {
	s.Helper()
	owners := map[string][]metav1.OwnerReference{}
	own := func(name, apiVersion, kind string, object client.Object) {
		s.Helper()
		ok(s, s.Create(s.ctx, object))
		ref := metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: object.GetName(), UID: object.GetUID()}
		owners["owned by "+name] = []metav1.OwnerReference{ref}
		ref.Controller = new(true)
		owners["controlled by "+name] = []metav1.OwnerReference{ref}
	}
	for _, name := range []string{"otel", "other"} {
		own(name, v1alpha1.GroupVersion.String(), "BackingService", s.serviceOf(name, `{type: redis, external: {url: "redis://a"}}`))
	}
	own("a ConfigMap", "v1", "ConfigMap", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "owner"}})
	owners["controlled by a stranger's BackingService"] = []metav1.OwnerReference{{
		APIVersion: "example.com/v1", Kind: "BackingService", Name: "otel", UID: "b7f0a3c2-stranger", Controller: new(true),
	}}
	return owners
}

// bornWithMany lets the operator say which Bindings are too many. Then a workload is born with all of them or with none,
// and what it was not born with is added in one rollout.
func bornWithMany(s *policedScene) {
	for name, test := range map[string]struct {
		vars []int // of each Binding
		born bool
	}{
		"as many variables as may be": {[]int{32, 32}, true},
		"as many Bindings as may be":  {slices.Repeat([]int{4}, 16), true},
		"a variable more":             {[]int{32, 32, 1}, false},
		"a Binding more":              {slices.Repeat([]int{1}, 17), false},
		"many more":                   {slices.Repeat([]int{32}, 20), false},
	} {
		s.run(name, func(s *policedScene) {
			s.operate()
			ok(s, s.Create(s.ctx, s.serviceOf("visits", `{type: redis, external: {url: "redis://visits.example.com:6379"}}`)))
			all := 0
			for i, vars := range test.vars {
				b := s.bindingOf(fmt.Sprintf("b%d", i), `{workloadRef: {name: app}, serviceRef: {name: visits}, swap: {verify: Never, settlingTime: 0s}}`)
				for v := range vars {
					b.Spec.Env = append(b.Spec.Env, v1alpha1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d_%d", i, v)})
				}
				ok(s, s.Create(s.ctx, b))
				all += vars
			}
			s.awaitInjections(len(test.vars), test.born)
			s.settle()
			atBirth := 0
			if test.born {
				atBirth = all
			}
			expect := func(what string, d *appsv1.Deployment, want int) {
				s.Helper()
				if got := len(d.Spec.Template.Spec.Containers[0].Env); got != want {
					s.Errorf("%s: it has %d variables of %d, want %d", what, got, all, want)
				}
			}
			d := deploymentOf(s.namespace, "app", containersOf("app[]")...)
			ok(s, s.Create(s.ctx, d))
			expect("created", d, atBirth)
			s.awaitAttached(len(test.vars))
			expect("attached", s.app(), all)
			rollouts := 1
			if !test.born {
				rollouts = 2
			}
			if got := s.replicaSets(); got != rollouts {
				s.Errorf("there are %d ReplicaSets, want %d", got, rollouts)
			}
			s.awaitInjections(len(test.vars), test.born)
			s.settle()
			replaced := deploymentOf(s.namespace, "app", containersOf("app[]")...)
			ok(s, s.Update(s.ctx, replaced))
			expect("replaced", replaced, atBirth)
			s.await("what the operator puts back", func() string {
				if got := len(s.app().Spec.Template.Spec.Containers[0].Env); got != all {
					return fmt.Sprintf("it has %d variables of %d", got, all)
				}
				return ""
			})
		})
	}
}

// operate starts an operator that only sees this namespace, until the test ends.
func (s *policedScene) operate(changes ...func(*controllers.Options)) {
	s.Helper()
	config := rest.CopyConfig(s.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: operatorUser, Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return scopedTransport{s.namespace, next} })
	ctx, cancel := context.WithCancel(s.ctx)
	options := controllers.Options{
		RedisImage: "redis:7.4", CollectorImage: "collector:1", ProbeImage: "operator:1", MetricsAddress: "0", HealthAddress: "0",
		BurstWindow: burstWindow, Registry: prometheus.NewRegistry(),
	}
	for _, change := range changes {
		change(&options)
	}
	manager, err := controllers.NewManager(ctx, config, options)
	ok(s, err)
	done := make(chan error, 1)
	go func() { done <- manager.Start(ctx) }()
	s.Cleanup(func() {
		cancel()
		ok(s, <-done)
	})
}

// scopedTransport turns the lists and watches of an operator into those of one namespace.
type scopedTransport struct {
	namespace string
	next      http.RoundTripper
}

func (t scopedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Path = scopedTo(t.namespace, req.URL.Path)
	return t.next.RoundTrip(req)
}

// awaitInjections waits until the status of each Binding says what is injected, and whether the API server injects it.
func (s *policedScene) awaitInjections(bindings int, byPolicy bool) {
	s.Helper()
	s.eachBinding(bindings, func(b *v1alpha1.Binding) string {
		if b.Status.Injection == nil || (b.Status.Injection.By == "") != byPolicy {
			return fmt.Sprintf("status.injection of Binding %s is %v", b.Name, b.Status.Injection)
		}
		return ""
	})
}

func (s *policedScene) awaitAttached(bindings int) {
	s.Helper()
	s.eachBinding(bindings, func(b *v1alpha1.Binding) string {
		if !condition.IsTrue(b.Status.Conditions, v1alpha1.ConditionReady, b.Generation) {
			return fmt.Sprintf("Binding %s: %v", b.Name, b.Status.Conditions)
		}
		return ""
	})
}

// eachBinding waits until check returns "" for each Binding.
func (s *policedScene) eachBinding(bindings int, check func(*v1alpha1.Binding) string) {
	s.Helper()
	s.await("the Bindings", func() string {
		var list v1alpha1.BindingList
		ok(s, s.List(s.ctx, &list, client.InNamespace(s.namespace)))
		if len(list.Items) != bindings {
			return fmt.Sprintf("there are %d of %d", len(list.Items), bindings)
		}
		for i := range list.Items {
			if answer := check(&list.Items[i]); answer != "" {
				return answer
			}
		}
		return ""
	})
}

// bornLarge: the API server has a budget for the rules of each Binding, and skips a Binding that exceeds it. The largest
// workloads that are born attached stay within the budget with all of their Bindings, and larger ones get none of them.
func bornLarge(s *policedScene) {
	for name, test := range map[string]struct {
		bindings, vars   int
		containers, owns int
		born             bool
	}{
		"some Bindings":                      {11, 4, 3, 100, true},
		"few and large Bindings":             {2, 32, 1, 500, true},
		"many Bindings":                      {16, 4, 1, 500, true},
		"as many containers as may be":       {16, 4, 16, 31, true},
		"and large Bindings":                 {2, 32, 16, 31, true},
		"a variable of its own too many":     {2, 32, 1, 501, false},
		"as many, in all of its containers":  {2, 32, 3, 167, false},
		"a container too many":               {2, 32, 17, 1, false},
		"as large as the API server takes":   {16, 4, 3, 3000, false},
		"with as many containers as it does": {16, 4, 1000, 0, false},
	} {
		s.run(name, func(s *policedScene) {
			s.bear(manyOfApp(test.bindings, test.vars)...)
			containers := containersOf(manyContainers(test.containers, test.owns))
			all := test.owns + test.bindings*test.vars
			expect := func(what string, d *appsv1.Deployment, want int) {
				s.Helper()
				for _, c := range d.Spec.Template.Spec.Containers {
					if len(c.Env) != want {
						s.Fatalf("%s: container %s has %d variables, want %d", what, c.Name, len(c.Env), want)
					}
				}
			}
			atBirth := test.owns
			if test.born {
				atBirth = all
			}
			d := deploymentOf(s.namespace, "app", containers...)
			began := time.Now()
			ok(s, s.Create(s.ctx, d))
			s.Logf("created in %s", time.Since(began))
			expect("created", d, atBirth)
			bornWith := carried(d.Spec.Template)
			d.Spec.Template.Spec.Containers, d.ResourceVersion = containers, ""
			began = time.Now()
			ok(s, s.Update(s.ctx, d))
			s.Logf("replaced in %s", time.Since(began))
			expect("replaced", d, atBirth)
			if carried(d.Spec.Template) != bornWith {
				s.Error("it is not as it was after it was replaced")
			}
		})
	}
}

// bornWhereDisabled: with a label, a namespace is excluded.
func bornWhereDisabled(s *policedScene) {
	s.bear(born{ofApp, visits1})
	ok(s, s.Patch(s.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}},
		client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"bindery.dev/born-attached":"disabled"}}}`))))
	s.await("the label", func() string {
		d := deploymentOf(s.namespace, "app", containersOf("app[]")...)
		ok(s, s.Create(s.ctx, d, client.DryRunAll))
		if got := carried(d.Spec.Template); got != "app[]" {
			return "it is born with " + got
		}
		return ""
	})
}

// BenchmarkBornAttached measures the cost of the Bindings of a namespace for those who create and replace Deployments in
// it. The writes are dry runs, which are not stored. Each is compared with the same write in a namespace without
// Bindings, in the same run: the ratio does not depend on how busy the machine is.
func BenchmarkBornAttached(b *testing.B) {
	p := startPoliced(b)
	small := "app[A=a B=b C=c D=d E=e F=f G=g H=h] side[A=a B=b C=c D=d]"
	large := manyContainers(3, 100)
	for _, test := range []struct {
		name       string
		others     int // Bindings of other workloads
		own, vars  int // Bindings of the workload that is written, and the variables of each
		containers string
	}{
		{"others=100", 100, 0, 0, small},
		{"others=1000", 1000, 0, 0, small},
		{"others=2000", 2000, 0, 0, small},
		{"others=2000/large", 2000, 0, 0, large},
		{"own=1x1", 0, 1, 1, small},
		{"own=10x1", 0, 10, 1, small},
		{"own=16x4", 0, 16, 4, small},
		{"own=16x4/large", 0, 16, 4, large},
		{"own=2x32", 0, 2, 32, small},
		{"own=2x32/large", 0, 2, 32, large},
		{"own=20x32", 0, 20, 32, small},
		{"own=20x32/large", 0, 20, 32, large},
		{"own=100x32", 0, 100, 32, small},
	} {
		crowded, empty := p.scene(b), p.scene(b)
		crowded.crowd(test.others)
		crowded.bear(manyOfApp(test.own, test.vars)...)
		d := deploymentOf(crowded.namespace, "app", containersOf(test.containers)...)
		bare := deploymentOf(empty.namespace, "app", containersOf(test.containers)...)
		b.Run(test.name+"/create", func(b *testing.B) {
			measure(b, empty, bare, crowded, d, func(s *policedScene, d *appsv1.Deployment) error {
				return s.Create(s.ctx, d, client.DryRunAll)
			})
		})
		ok(b, crowded.Create(crowded.ctx, d.DeepCopy()))
		ok(b, empty.Create(empty.ctx, bare.DeepCopy()))
		b.Run(test.name+"/replace", func(b *testing.B) {
			measure(b, empty, bare, crowded, d, func(s *policedScene, d *appsv1.Deployment) error {
				return s.Update(s.ctx, d, client.DryRunAll)
			})
		})
	}
}

// manyOfApp are Bindings of one workload, each with this many variables, as the operator leaves them: if they are too
// many, the status says so.
func manyOfApp(bindings, vars int) []born {
	by := ""
	if bindings > 16 || bindings*vars > 64 {
		by = ", by: Controller"
	}
	var many []born
	for i := range bindings {
		var env []string
		for v := range vars {
			env = append(env, fmt.Sprintf("{name: VARIABLE_%d_%d, key: key-%d}", i, v, v))
		}
		many = append(many, born{ofApp, fmt.Sprintf("{secretName: service-%d, env: [%s]%s}", i, strings.Join(env, ", "), by)})
	}
	return many
}

// manyContainers are containers of a workload, each with this many variables of its owner.
func manyContainers(containers, vars int) string {
	var env, texts []string
	for v := range vars {
		env = append(env, fmt.Sprintf("OWN_%d=mine", v))
	}
	for i := range containers {
		texts = append(texts, fmt.Sprintf("app-%d[%s]", i, strings.Join(env, " ")))
	}
	return strings.Join(texts, " ")
}

// crowd creates Bindings of other workloads.
func (s *policedScene) crowd(bindings int) {
	s.Helper()
	for i := range bindings {
		b := s.bindingOf(fmt.Sprintf("other-%d", i), strings.ReplaceAll(ofApp, "app", fmt.Sprintf("other-%d", i)))
		ok(s, s.Create(s.ctx, b))
		s.inject(b, visits1)
	}
	s.settle()
}

// enough: calls of one kind are measured until this time is over, but at least three: some cost a thousand times as much
// as others.
const enough = time.Second

// measure reports the cost of a call in a namespace with Bindings: the processor time that the API server needs for it,
// the ratio to the same call in a namespace without Bindings, the median time until the answer, and how many variables
// the Bindings have put in.
func measure(b *testing.B, empty *policedScene, bare *appsv1.Deployment, crowded *policedScene, d *appsv1.Deployment,
	call func(*policedScene, *appsv1.Deployment) error,
) {
	b.Helper()
	for b.Loop() {
		before, _, without := empty.cost(bare, call)
		cost, median, with := crowded.cost(d, call)
		b.ReportMetric(cost/before, "x-empty")
		b.ReportMetric(cost*1000, "cpu-ms/request")
		b.ReportMetric(float64(median.Microseconds())/1000, "ms/request")
		b.ReportMetric(float64(with-without), "vars")
	}
	b.ReportMetric(0, "ns/op")
}

// cost is what a call costs the API server, in seconds of processor time, and how long it takes. It also counts the
// variables in the answer.
func (s *policedScene) cost(d *appsv1.Deployment, call func(*policedScene, *appsv1.Deployment) error) (processor float64, median time.Duration, vars int) {
	s.Helper()
	var times []time.Duration
	used, start := -s.processorTime(), time.Now()
	for time.Since(start) < enough || len(times) < 3 {
		trial := d.DeepCopy()
		began := time.Now()
		ok(s, call(s, trial))
		times = append(times, time.Since(began))
		vars = 0
		for _, c := range trial.Spec.Template.Spec.Containers {
			vars += len(c.Env)
		}
	}
	used += s.processorTime()
	slices.Sort(times)
	return used / float64(len(times)), times[len(times)/2], vars
}

// processorTime is the processor time that the API server has used until now, in seconds.
func (s *policedScene) processorTime() float64 {
	s.Helper()
	httpClient, err := rest.HTTPClientFor(s.config)
	ok(s, err)
	response, err := httpClient.Get(strings.TrimSuffix(s.config.Host, "/") + "/metrics")
	ok(s, err)
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); found {
			seconds, err := strconv.ParseFloat(text, 64)
			ok(s, err)
			return seconds
		}
	}
	s.Fatal("the API server does not say how much of the processor it has used")
	return 0
}
