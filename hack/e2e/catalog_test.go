//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// An app is attached to a service of each type, swapped to another one in one rollout, and left alone by every handle that
// does not work, which is told what is wrong with it. What it is attached to are real servers; stand-ins where none can be
// run.
func TestCatalog(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("a service of each type").
		Assess("is in the table", in(func(s *scene) {
			var have []string
			for kind := range subjects {
				have = append(have, string(kind))
			}
			slices.Sort(have)
			types := strings.Fields(s.kubectl("get", "crd", "backingservices.bindery.dev", "-o",
				"jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.type.enum[*]}"))
			if slices.Sort(types); !slices.Equal(have, types) {
				s.Errorf("the table has %q, and the catalog %q", have, types)
			}
		})).
		Setup(in(func(s *scene) {
			// What several types are tried with, of which some speak what the others do not.
			s.kubectl("create", "service", "clusterip", "nobody", "--tcp=80")
			s.each("common", map[string]func(s *scene){
				"web":     func(s *scene) { remember(s, s.runServer(v1alpha1.TypeHTTP, "web")) },
				"mail":    func(s *scene) { remember(s, s.runServer(v1alpha1.TypeSMTP, "mail")) },
				"queue":   func(s *scene) { remember(s, s.runServer(v1alpha1.TypeBeanstalkd, "queue")) },
				"vendors": func(s *scene) { remember(s, s.runVendors("vendors")) },
			})
		})).
		Assess("is attached, swapped and refused", in(func(s *scene) {
			each := map[string]func(s *scene){}
			for kind, subject := range subjects {
				each[string(kind)] = func(s *scene) { s.try(kind, subject) }
			}
			s.each("type", each)
		})).
		Assess("has no credential anywhere but in its Secret", in((*scene).requireNoCanary)).
		Assess("of a vendor was asked nothing that would change it", in(func(s *scene) {
			asked := s.vendorCounts()
			s.Logf("the vendors were asked %d times: %d writes", len(asked.Requests), asked.Writes)
			if asked.Writes != 0 || len(asked.Requests) == 0 {
				s.Errorf("requests %q, %d writes", asked.Requests, asked.Writes)
			}
		})).
		Feature())
}

// each runs parts of a test, several at once, and returns when all have ended.
func (s *scene) each(what string, parts map[string]func(s *scene)) {
	s.Helper()
	s.Run(what, func(t *testing.T) {
		for _, name := range slices.Sorted(maps.Keys(parts)) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				parts[name](&scene{T: t, ctx: s.ctx, namespace: s.namespace})
			})
		}
	})
	if s.Failed() {
		s.FailNow()
	}
}

// neighbours are servers that several parts of a test use, by namespace and name.
var neighbours sync.Map

func remember(s *scene, running server) { neighbours.Store(s.namespace+"/"+running.name, running) }

func (s *scene) neighbour(name string) server {
	s.Helper()
	found, ok := neighbours.Load(s.namespace + "/" + name)
	if !ok {
		s.Fatalf("%s does not run", name)
	}
	return found.(server)
}

// attachment is a handle, and what else a BackingService says that has it.
type attachment struct {
	handle string
	// authority is the ConfigMap with that of its certificate; "" = there is none.
	authority string
	// probe is spec.probe.
	probe *v1alpha1.ProbeSpec
	// passes is the reason of Verified for a handle that passes.
	passes string
}

// finding is a handle that is not to pass.
type finding struct {
	attachment
	reason string
}

// try tries a type: the app of the test is attached to a service, swapped to every one that works, and refused the rest.
func (s *scene) try(kind v1alpha1.ServiceType, subject subject) {
	began := time.Now()
	app := "app-" + string(kind)
	good, bad := subject.prepare(s, string(kind))
	s.requireListed(kind, good, bad)
	if !isLong() {
		bad = bad[:min(len(bad), someFindings)]
	}
	s.runAttached(app)
	verdicts := s.attachAndSwap(kind, app, good, subject.env...)
	last := s.attached(app)
	// Those that are tried again and again for a while before they are refused are tried meanwhile.
	for i, f := range bad {
		if f.isSlow() {
			s.attach(kind, f.name(kind, i), f.attachment)
		}
	}
	since := s.untouchedSince(app)
	before := ""
	for i, f := range bad {
		name := f.name(kind, i)
		if !f.isSlow() {
			s.attach(kind, name, f.attachment)
		}
		verdict := s.refused(app, name, f.reason)
		s.Logf("%s: refused in %.1f s with Verified=False, %s; the app was not touched", kind, verdict.Seconds(), f.reason)
		if !f.isSlow() {
			verdicts = append(verdicts, verdict)
		}
		since.require(s)
		s.leave(before)
		before = name
	}
	quick := slices.DeleteFunc(slices.Clone(bad), finding.isSlow)
	for i := 0; isLong() && len(verdicts) < enoughVerdicts; i++ {
		f := quick[i%len(quick)]
		name := fmt.Sprintf("%s-again%d", f.name(kind, i), i)
		s.attach(kind, name, f.attachment)
		verdicts = append(verdicts, s.refused(app, name, f.reason))
		s.leave(before)
		before = name
	}
	s.swap(app, last)
	s.awaitBinding(app)
	since.require(s)
	s.leave(before)
	s.Logf("%s: %d refused; all in %s", kind, len(bad), time.Since(began).Round(time.Second))
	slices.Sort(verdicts)
	if len(verdicts) > 0 {
		s.Logf("%s: verdict after %.1f s (median of %d: %s)", kind, verdicts[len(verdicts)/2].Seconds(), len(verdicts), inSeconds(verdicts))
	}
}

const (
	// someFindings is how many handles of each type are refused where time matters. make test-long refuses all.
	someFindings = 3
	// enoughVerdicts is how many make a median.
	enoughVerdicts = 5
)

func inSeconds(all []time.Duration) string {
	var text []string
	for _, d := range all {
		text = append(text, fmt.Sprintf("%.1f", d.Seconds()))
	}
	return strings.Join(text, " ")
}

// isSlow: a service that may still come is waited for.
func (f finding) isSlow() bool {
	return f.reason == v1alpha1.ReasonUnreachable || f.reason == v1alpha1.ReasonNameNotFound
}

func (f finding) name(kind v1alpha1.ServiceType, i int) string {
	return fmt.Sprintf("%s-bad%d", kind, i)
}

// attachAndSwap attaches the app to the first, and swaps it to each of the others, in one rollout each. It returns how long
// the verdicts took.
func (s *scene) attachAndSwap(kind v1alpha1.ServiceType, app string, good []attachment, env ...string) (verdicts []time.Duration) {
	s.Helper()
	for i, a := range good {
		name := fmt.Sprintf("%s-good%d", kind, i)
		s.attach(kind, name, a)
		if i == 0 {
			s.bind(app, app, name, env...)
			s.awaitBinding(app)
			s.requireVerified(name, a.passes)
			continue
		}
		since, edited := s.rollouts(app), time.Now()
		s.swap(app, name)
		s.retry("the handle of "+name+" is verified", patience, func() string { return s.notVerified(name, metav1.ConditionTrue, a.passes) })
		verdicts = append(verdicts, time.Since(edited))
		s.awaitBinding(app)
		s.requireRollouts(since, 1)
		s.Logf("%s: swapped with Verified=True, %s, and one rollout", kind, a.passes)
	}
	return verdicts
}

// attach makes a BackingService of a type.
func (s *scene) attach(kind v1alpha1.ServiceType, name string, a attachment) {
	s.Helper()
	s.external(name, kind, a.handle, a.authority, func(spec *v1alpha1.BackingServiceSpec) { spec.Probe = a.probe })
}

func (s *scene) attached(binding string) string {
	s.Helper()
	return get[v1alpha1.Binding](s, binding).Spec.ServiceRef.Name
}

func (s *scene) notVerified(service string, status metav1.ConditionStatus, reason string) string {
	s.Helper()
	b := get[v1alpha1.BackingService](s, service)
	return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionVerified, status, reason)
}

func (s *scene) requireVerified(service, reason string) {
	s.Helper()
	if missing := s.notVerified(service, metav1.ConditionTrue, reason); missing != "" {
		s.Errorf("BackingService %s: %s; want %s", service, missing, reason)
	}
}

// refused swaps the app to a service that does not pass, and returns how long the verdict took since the edit.
func (s *scene) refused(app, service, reason string) time.Duration {
	s.Helper()
	edited := time.Now()
	s.swap(app, service)
	s.retry(fmt.Sprintf("BackingService %s says %s", service, reason), patience, func() string {
		return s.notVerified(service, metav1.ConditionFalse, reason)
	})
	took := time.Since(edited)
	s.retry("Binding "+app+" says that it waits for another", soon, func() string {
		b := get[v1alpha1.Binding](s, app)
		return unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonServiceNotVerified)
	})
	return took
}

// leave deletes a service that was refused, which would be tried again and again; "" = none. It looks at its Pods before.
func (s *scene) leave(service string) {
	s.Helper()
	if service == "" {
		return
	}
	s.requireUnsaid(service)
	s.no(client.IgnoreNotFound(cluster.client.Delete(s.ctx, get[v1alpha1.BackingService](s, service))))
}

// runAttached runs an app that does nothing.
func (s *scene) runAttached(name string) {
	s.Helper()
	text, err := os.ReadFile("testdata/attached.yaml")
	s.no(err)
	s.kubectlReads(strings.NewReplacer("name: app\nspec", "name: "+name+"\nspec", "{app: app}", "{app: "+name+"}").Replace(string(text)), "apply", "-f", "-")
	s.awaitDeployment(name)
}

// untouched is an app as it was.
type untouchedApp struct {
	rollouts
	pods []string
}

func (s *scene) untouchedSince(app string) untouchedApp {
	s.Helper()
	s.awaitDeployment(app) // no Pod of an earlier rollout is left
	return untouchedApp{s.rollouts(app), s.podsOf(app)}
}

// require requires that the app has the generation and the Pods of before.
func (u untouchedApp) require(s *scene) {
	s.Helper()
	if generation := get[appsv1.Deployment](s, u.deployment).Generation; generation != u.generation {
		s.Errorf("Deployment %s has generation %d, and had %d", u.deployment, generation, u.generation)
	}
	if pods := s.podsOf(u.deployment); !slices.Equal(pods, u.pods) {
		s.Errorf("Deployment %s has the Pods %q, and had %q", u.deployment, pods, u.pods)
	}
}

func (s *scene) podsOf(app string) []string {
	s.Helper()
	var all []string
	for _, pod := range s.pods(get[appsv1.Deployment](s, app).Spec.Selector.MatchLabels) {
		all = append(all, fmt.Sprintf("%s %s, %d restarts", pod.Name, pod.UID, pod.Status.ContainerStatuses[0].RestartCount))
	}
	slices.Sort(all)
	return all
}

// canary is what every credential of a server begins with. A text with any of them has it in one of the same forms.
var canary = map[string]string{"of a server": "c4n4ry"}

// requireUnsaid requires that no Job that tried the handle of a service has said a credential.
func (s *scene) requireUnsaid(service string) {
	s.Helper()
	for _, pod := range s.pods(map[string]string{v1alpha1.VerifyLabel: service}) {
		text, err := cluster.clientset.CoreV1().Pods(s.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(s.ctx)
		if err != nil {
			continue // it has not started, or is gone
		}
		s.requireNone(canary, "the log of Pod "+pod.Name, string(text))
		s.requireNone(canary, "Pod "+pod.Name, s.asJSON(pod))
	}
}

// requireNoCanary requires that no credential of this namespace is in a log of the operator or of its Jobs, in an object of
// the namespace but Secrets, or in a metric.
func (s *scene) requireNoCanary() {
	s.Helper()
	if secrets := s.kubectl("get", "secrets", "-o", "json"); found(secrets, canary["of a server"]) == "" {
		s.Error("no credential is found in any Secret")
	}
	for source, text := range s.logs(operatorNamespace) {
		s.requireNone(canary, source, text)
	}
	jobs := 0
	for _, service := range s.services() {
		s.requireUnsaid(service)
		jobs += len(s.pods(map[string]string{v1alpha1.VerifyLabel: service}))
	}
	count, size := 0, 0
	for kind, objects := range s.objects() {
		if kind == "secrets.v1" {
			continue
		}
		for i := range objects {
			text := s.asJSON(&objects[i])
			s.requireNone(canary, kind+" "+objects[i].GetName(), text)
			count, size = count+1, size+len(text)
		}
	}
	pod := s.awaitOperator()
	metrics := s.operatorMetrics(&pod)
	s.requireNone(canary, "the operator's metrics", metrics)
	s.Logf("searched the operator's logs, %d Pods of Jobs and those before them, %d objects of %d bytes, %d bytes of metrics", jobs, count, size, len(metrics))
	if count == 0 || jobs == 0 {
		s.Error("there was nothing to search")
	}
}

func (s *scene) services() (names []string) {
	s.Helper()
	var list v1alpha1.BackingServiceList
	s.no(cluster.client.List(s.ctx, &list, client.InNamespace(s.namespace)))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

// vendorCounts is what the vendors of tokens were asked.
func (s *scene) vendorCounts() (counts struct {
	Requests []string `json:"requests"`
	Writes   int      `json:"writes"`
}) {
	s.Helper()
	s.retry("the vendors answer", soon, func() string {
		body, err := s.request(http.MethodGet, "services", "vendors:8080", "/-/counts").DoRaw(s.ctx)
		if err != nil {
			return err.Error()
		}
		return errorText(json.Unmarshal(body, &counts))
	})
	return counts
}
