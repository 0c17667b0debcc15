package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/progress"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
	"github.com/bindery-dev/bindery/controllers/preview"
)

func app(name string) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Generation: 1, ResourceVersion: "1",
		Annotations: map[string]string{"deployment.kubernetes.io/revision": "1"},
	}}
	d.Spec.Replicas = new(int32(3))
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Env: []corev1.EnvVar{{Name: "OWN", Value: "mine"}}}}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, TerminatingReplicas: new(int32(0))}
	return d
}

// redis is a service that is Ready, and has just passed.
func redis(name string) *v1alpha1.BackingService {
	s := &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Generation: 1}}
	s.Spec.Type = v1alpha1.TypeRedis
	s.Status.Handle = &v1alpha1.Handle{SecretName: name + "-1", Key: "uri", Revision: 1}
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	s.Status.Verification = &v1alpha1.Verification{SecretName: name + "-1", Key: "uri", Revision: 1, Attempt: 1, StartedAt: now, EndedAt: &now, PassedAt: &now}
	for _, c := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionVerified} {
		s.Status.Conditions = append(s.Status.Conditions, metav1.Condition{Type: c, Status: "True", Reason: c, Message: "it serves", ObservedGeneration: 1})
	}
	return s
}

func ofType(s *v1alpha1.BackingService, kind v1alpha1.ServiceType) *v1alpha1.BackingService {
	s.Spec.Type = kind
	return s
}

// bound is a Binding whose app carries its service.
func bound(name, workload, service string) *v1alpha1.Binding {
	b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Generation: 1}}
	b.Spec.WorkloadRef = v1alpha1.WorkloadReference{APIVersion: "apps/v1", Kind: "Deployment", Name: workload}
	b.Spec.ServiceRef.Name = service
	b.Spec.Env = []v1alpha1.EnvVar{{Name: "REDIS_URL", Key: "uri"}}
	b.Status.Current = &v1alpha1.Attachment{
		Service: service, SecretName: service + "-1", Type: v1alpha1.TypeRedis, Env: []string{"REDIS_URL"}, State: v1alpha1.AttachmentSettled,
		WorkloadUID: "uid-" + workload, WorkloadGeneration: 1,
	}
	says(b, "True", v1alpha1.ReasonReady, "all Pods have it")
	return b
}

// says is what the operator writes about the generation of a Binding.
func says(b *v1alpha1.Binding, status metav1.ConditionStatus, reason, message string) {
	b.Status.ObservedGeneration = b.Generation
	b.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message, ObservedGeneration: b.Generation,
	}}
}

// carrying is an app that carries a service.
func carrying(name, service string) *appsv1.Deployment {
	d := app(name)
	d.Spec.Template.Spec.Containers[0].Env = append(d.Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "REDIS_URL", ValueFrom: &corev1.EnvVarSource{
		SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: service + "-1"}, Key: "uri"},
	}})
	d.Annotations[v1alpha1.AttachmentsAnnotation] = `{"workload":"shop/Deployment/` + name + `","attachments":[{"binding":"b","bindingUID":"uid-b",` +
		`"bindingGeneration":1,"definitionUID":"crd","service":"` + service + `","serviceUID":"uid-` + service + `","type":"redis","revision":1,"secret":"` +
		service + `-1","env":[{"container":"web","name":"REDIS_URL","key":"uri"}],"generation":1,"since":"2026-05-04T12:00:00Z"}]}`
	return d
}

// shop is a namespace with pinger, which is attached to visits, and another service.
func shop(t *testing.T) *apiServer {
	t.Helper()
	return newAPIServer(t, carrying("pinger", "visits"), redis("visits"), redis("visits2"), ofType(redis("queue"), v1alpha1.TypeRabbitMQ), bound("b", "pinger", "visits"))
}

// stages has the operator say these one after the other after the Binding was edited, one for each look at the Binding.
func (s *apiServer) stages(binding string, stages ...func(*v1alpha1.Binding)) {
	next := 0
	s.answer = func(r *http.Request) *metav1.Status {
		b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: binding}}
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/bindings/"+binding) || !s.get(b) || b.Generation == 1 && b.UID != "uid-new" {
			return nil
		}
		if next < len(stages) {
			stages[next](b)
			next++
			s.put(b)
		}
		return nil
	}
}

func saying(status metav1.ConditionStatus, reason, message string) func(*v1alpha1.Binding) {
	return func(b *v1alpha1.Binding) { says(b, status, reason, message) }
}

func checkRan(t *testing.T, got ran, code int, out, errOut []string) {
	t.Helper()
	if got.code != code {
		t.Errorf("exit code %d, want %d", got.code, code)
	}
	for _, want := range out {
		if !strings.Contains(got.out, want) {
			t.Errorf("stdout has not %q:\n%s", want, got.out)
		}
	}
	for _, want := range errOut {
		if !strings.Contains(got.err, want) {
			t.Errorf("stderr has not %q:\n%s", want, got.err)
		}
	}
	if len(errOut) == 0 && got.err != "" {
		t.Errorf("stderr: %s", got.err)
	}
}

func TestSwap(t *testing.T) {
	settled := saying("True", v1alpha1.ReasonReady, "3 of 3 Pods have it")
	for name, test := range map[string]struct {
		args     []string
		stages   []func(*v1alpha1.Binding)
		code     int
		out, err []string
		to       string
	}{
		"it settles": {
			[]string{"swap", "deploy/pinger", "--to", "visits2"},
			[]func(*v1alpha1.Binding){
				func(*v1alpha1.Binding) {}, saying("False", v1alpha1.ReasonServiceNotVerified, "it is tried"),
				saying("False", v1alpha1.ReasonRollingOut, "1 of 3"), saying("False", v1alpha1.ReasonRollingOut, "2 of 3"),
				saying("False", v1alpha1.ReasonSettling, "for 10s"), settled,
			},
			0, []string{"binding.bindery.dev/b swapped from visits to visits2, for Deployment/pinger\n", "waiting", "verifying", "rolling-out", "settling", "settled"}, nil, "visits2",
		},
		"it is turned back": {
			[]string{"swap", "bnd/b", "--to", "bsvc/visits2"},
			[]func(*v1alpha1.Binding){saying("False", v1alpha1.ReasonRollingOut, "1 of 3"), saying("False", v1alpha1.ReasonRolledBack, "the app crashes")},
			ExitTurnedBack, []string{"turned-back"}, []string{"error: the app crashes"}, "visits2",
		},
		"it is under way at the timeout": {
			[]string{"swap", "pinger", "--to", "visits2", "--timeout", "50ms"},
			[]func(*v1alpha1.Binding){saying("False", v1alpha1.ReasonRollingOut, "1 of 3")},
			ExitUnderWay, []string{"rolling-out"},
			[]string{"goes on", "`kubectl bindery status bnd/b -w -n shop`", "`kubectl bindery swap bnd/b --to visits -n shop`"}, "visits2",
		},
		"it waits for a person": {
			[]string{"swap", "pinger", "--to", "visits2"},
			[]func(*v1alpha1.Binding){func(b *v1alpha1.Binding) {
				says(b, "False", v1alpha1.ReasonProgressDeadlineExceeded, "no progress")
				b.Status.Conditions = append(b.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionStalled, Status: "True", ObservedGeneration: b.Generation})
			}},
			ExitFailure, nil, []string{"ProgressDeadlineExceeded: no progress", "undo it with"}, "visits2",
		},
		"nobody waits for it": {
			[]string{"swap", "pinger", "--to", "visits2", "--wait=false"}, nil, 0, []string{"swapped from visits to visits2"}, nil, "visits2",
		},
		"somebody else edits it meanwhile": {
			[]string{"swap", "pinger", "--to", "visits2"},
			[]func(*v1alpha1.Binding){func(b *v1alpha1.Binding) { b.Generation++; b.Spec.ServiceRef.Name = "visits" }},
			ExitFailure, nil, []string{"somebody else has edited Binding b, and it names BackingService visits now"}, "visits",
		},
		"to what it has":                 {[]string{"swap", "pinger", "--to", "visits"}, nil, 0, []string{"settled"}, []string{"names BackingService visits already"}, "visits"},
		"to a service that is not there": {[]string{"swap", "pinger", "--to", "nothing"}, nil, 1, nil, []string{"ServiceNotFound", "create it", "nothing was changed"}, "visits"},
		"to a service of another type":   {[]string{"swap", "pinger", "--to", "queue"}, nil, 1, nil, []string{"TypeMismatch", "name a service of type redis"}, "visits"},
		"of what is not there":           {[]string{"swap", "nobody", "--to", "visits2"}, nil, 1, nil, []string{"nobody", "namespace shop"}, "visits"},
		"of a service":                   {[]string{"swap", "bsvc/visits", "--to", "visits2"}, nil, 1, nil, []string{"bsvc/visits is a BackingService"}, "visits"},
		"from a service that it has not": {[]string{"swap", "pinger", "--from", "queue", "--to", "visits2"}, nil, 1, nil, []string{"it has bnd/b (visits)"}, "visits"},
		"without a service":              {[]string{"swap", "pinger"}, nil, 1, nil, []string{`required flag(s) "to" not set`}, "visits"},
		"to a workload":                  {[]string{"swap", "pinger", "--to", "deploy/pinger"}, nil, 1, nil, []string{"deploy/pinger is no BackingService"}, "visits"},
		"as a dry run of the server":     {[]string{"swap", "pinger", "--to", "visits2", "--dry-run=server"}, nil, 0, []string{"(server dry run)"}, nil, "visits"},
		"as a dry run of the client":     {[]string{"swap", "pinger", "--to", "visits2", "--dry-run=client"}, nil, 1, nil, []string{"want none or server"}, "visits"},
	} {
		t.Run(name, func(t *testing.T) {
			s := shop(t)
			s.stages("b", test.stages...)
			checkRan(t, s.run(test.args...), test.code, test.out, test.err)
			s.answer = nil
			b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "b"}}
			if s.get(b); b.Spec.ServiceRef.Name != test.to {
				t.Errorf("the Binding names %s, want %s", b.Spec.ServiceRef.Name, test.to)
			}
		})
	}
}

func TestOneLineForEachTenthOfWhatIsCounted(t *testing.T) {
	for sentence, c := range map[string]struct {
		of    int32
		lines int
	}{
		"each of a few Pods": {3, 4}, "not each of many": {1000, 11}, "nothing is counted": {0, 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			out := &bytes.Buffer{}
			s := &shower{o: &Options{IOStreams: genericiooptions.IOStreams{Out: out}}}
			for done := range c.of + 1 {
				s.show(progress.Stage{Name: "rolling-out", Done: done, Of: c.of, Text: fmt.Sprint(done, " Pods")}, 0)
			}
			if lines := strings.Count(out.String(), "\n"); lines != c.lines {
				t.Errorf("%d lines, want %d:\n%s", lines, c.lines, out)
			}
		})
	}
}

func TestOneLineForEachStage(t *testing.T) {
	s := shop(t)
	s.stages("b", saying("False", v1alpha1.ReasonRollingOut, "1 of 3"), saying("False", v1alpha1.ReasonRollingOut, "2 of 3"),
		saying("True", v1alpha1.ReasonReady, "all have it"))
	want := "binding.bindery.dev/b swapped from visits to visits2, for Deployment/pinger\n" +
		"   0s  rolling-out  1 of 3\n   0s  settled      all have it\n"
	if diff := cmp.Diff(want, s.run("swap", "pinger", "--to", "visits2").out); diff != "" {
		t.Error(diff)
	}
}

func TestOneLineOnATerminalThatIsDrawnAnew(t *testing.T) {
	s := shop(t)
	s.stages("b", saying("False", v1alpha1.ReasonRollingOut, strings.Repeat("long ", 50)), saying("True", v1alpha1.ReasonReady, "all have it"))
	got := runAt(t.Context(), t, s.server.URL, &terminal.Terminal{Width: 40}, "swap", "pinger", "--to", "visits2")
	lines := strings.Split(strings.TrimPrefix(got.out, "binding.bindery.dev/b swapped from visits to visits2, for Deployment/pinger\n"), "\r\x1b[2K")
	if len(lines) != 3 || !strings.HasPrefix(lines[1], "  0s rolling-out [##########] 3/3 long") || lines[2] != "  0s settled all have it\n" {
		t.Errorf("%q", lines)
	}
	for _, line := range lines {
		if terminal.Columns(strings.TrimSuffix(line, "\n")) >= 40 {
			t.Errorf("%q is wider than the terminal", line)
		}
	}
}

func TestCtrlCInTheMiddleOfASwap(t *testing.T) {
	s := shop(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s.stages("b", saying("False", v1alpha1.ReasonRollingOut, "1 of 3"), func(*v1alpha1.Binding) { interrupt() })
	got := runAt(ctx, t, s.server.URL, nil, "swap", "pinger", "--to", "visits2")
	checkRan(t, got, ExitInterrupted, []string{"rolling-out"}, []string{
		"what was begun goes on", "`kubectl bindery status bnd/b -w -n shop`", "`kubectl bindery swap bnd/b --to visits -n shop`",
	})
	b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "b"}}
	if s.get(b); b.Spec.ServiceRef.Name != "visits2" {
		t.Errorf("it was taken back: the Binding names %s", b.Spec.ServiceRef.Name)
	}
}

func TestTheBindingIsDeletedWhileItIsFollowed(t *testing.T) {
	s := shop(t)
	s.stages("b", saying("False", v1alpha1.ReasonRollingOut, "1 of 3"), func(b *v1alpha1.Binding) { b.UID = "another" })
	checkRan(t, s.run("swap", "pinger", "--to", "visits2"), ExitFailure, []string{"deleted"}, []string{"somebody has deleted the Binding"})
}

func TestSomebodyIsFaster(t *testing.T) {
	s := shop(t)
	s.answer = func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodPatch {
			b := bound("b", "pinger", "visits")
			b.Generation = 7
			s.put(b)
		}
		return nil
	}
	checkRan(t, s.run("swap", "pinger", "--to", "visits2"), ExitFailure, nil, []string{"somebody else has edited or deleted Binding b", "nothing was changed"})
}

func TestTheClusterIsAwayForAMoment(t *testing.T) {
	s := shop(t)
	looks := 0
	s.stages("b", saying("False", v1alpha1.ReasonRollingOut, "1 of 3"), saying("True", v1alpha1.ReasonReady, "all have it"))
	inner := s.answer
	s.answer = func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/bindings/b") {
			if looks++; looks == 2 {
				return failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "busy")
			}
		}
		return inner(r)
	}
	checkRan(t, s.run("swap", "pinger", "--to", "visits2"), 0, []string{"settled"}, nil)
}

func TestSeveralBindings(t *testing.T) {
	s := shop(t)
	s.put(redis("sessions"))
	s.put(bound("s", "pinger", "sessions"))
	checkRan(t, s.run("swap", "pinger", "--to", "visits2"), ExitFailure, nil,
		[]string{"bnd/b (visits), bnd/s (sessions)", "choose one with --from SERVICE, or by its name"})
	checkRan(t, s.run("detach", "pinger"), ExitFailure, nil, []string{"bnd/b (visits), bnd/s (sessions)"})
	checkRan(t, s.run("swap", "pinger", "--from", "visits", "--to", "visits2", "--wait=false"), 0, []string{"b swapped from visits to visits2"}, nil)
}

// Where one service of the type of the new one is attached, nobody has to say which.
func TestTheBindingThatFitsIsSwapped(t *testing.T) {
	s := shop(t)
	s.put(bound("q", "pinger", "queue"))
	checkRan(t, s.run("swap", "pinger", "--to", "visits2", "--wait=false"), 0, []string{"b swapped from visits to visits2"}, nil)
	checkRan(t, s.run("detach", "pinger"), ExitFailure, nil, []string{"choose one"})
	checkRan(t, s.run("swap", "pinger", "--to", "nothing"), ExitFailure, nil, []string{"choose one"})
}

func TestABindingOfACollectorIsLeftAlone(t *testing.T) {
	s := shop(t)
	b := bound("c", "col", "visits")
	b.OwnerReferences = []metav1.OwnerReference{{APIVersion: "bindery.dev/v1alpha1", Kind: "BackingService", Name: "col", UID: "x", Controller: new(true)}}
	s.put(b)
	for _, args := range [][]string{{"swap", "bnd/c", "--to", "visits2"}, {"detach", "bnd/c"}} {
		checkRan(t, s.run(args...), ExitFailure, nil, []string{"edit spec.collector.storeRef"})
	}
	if sent := s.sent(); len(sent) > 0 {
		t.Errorf("sent: %v", sent)
	}
}

func TestAttach(t *testing.T) {
	other := func(s *apiServer) { s.put(app("shop")) }
	for name, test := range map[string]struct {
		world    func(*apiServer)
		args     []string
		code     int
		out, err []string
		sent     int
	}{
		"a service":              {other, []string{"attach", "deploy/shop", "visits"}, 0, []string{"binding.bindery.dev/shop-visits created"}, nil, 1},
		"by a bare name":         {other, []string{"attach", "shop", "bsvc/visits", "--name", "n"}, 0, []string{"binding.bindery.dev/n created"}, nil, 1},
		"only its name":          {other, []string{"attach", "shop", "visits", "-o", "name"}, 0, []string{"binding.bindery.dev/shop-visits\n"}, nil, 1},
		"as a dry run":           {other, []string{"attach", "shop", "visits", "--dry-run=server"}, 0, []string{"created (server dry run)"}, nil, 1},
		"with a wrong flag":      {other, []string{"attach", "shop", "visits", "--dry-run=maybe"}, 1, nil, []string{"want none, client or server"}, 0},
		"a variable without one": {other, []string{"attach", "shop", "visits", "--as", "=uri"}, 1, nil, []string{"want VAR, or VAR=KEY"}, 0},
		"a variable that the app sets itself": {
			other, []string{"attach", "shop", "visits", "--as", "OWN"}, 1, nil, []string{"Conflict", "remove it there", "nothing was changed"}, 0,
		},
		"a container that is not there":  {other, []string{"attach", "shop", "visits", "--container", "db"}, 1, nil, []string{"ContainerNotFound", "it has web"}, 0},
		"a service that is not there":    {other, []string{"attach", "shop", "nothing"}, 1, nil, []string{"ServiceNotFound", "create it"}, 0},
		"a workload that is not there":   {other, []string{"attach", "nobody", "visits"}, 1, nil, []string{"there is no workload nobody in namespace shop: create it first"}, 0},
		"a Deployment that is not there": {other, []string{"attach", "deploy/nobody", "visits"}, 1, nil, []string{"there is no Deployment/nobody"}, 0},
		"to a service":                   {other, []string{"attach", "bsvc/visits", "visits"}, 1, nil, []string{"bsvc/visits is no workload"}, 0},
		"to one of two of the name": {
			func(s *apiServer) {
				other(s)
				s.put(&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}})
			}, []string{"attach", "shop", "visits"}, 1, nil, []string{"deploy/shop or sts/shop"}, 0,
		},
		"what is attached already": {
			func(s *apiServer) { s.put(bound("pinger-visits", "pinger", "visits")) },
			[]string{"attach", "pinger", "visits"}, 0, nil, []string{"attaches BackingService visits to Deployment/pinger already"}, 0,
		},
		"what is attached already, in another way": {
			func(s *apiServer) { s.put(bound("pinger-visits", "pinger", "visits")) },
			[]string{"attach", "pinger", "visits", "--as", "CACHE_URL"}, 1, nil, []string{"another name with --name"}, 0,
		},
		"under the name of another one": {
			other, []string{"attach", "shop", "visits", "--name", "b"}, 1, nil, []string{"it is of Deployment/pinger", "--name"}, 0,
		},
		"a policy refuses it": {
			func(s *apiServer) {
				other(s)
				s.answer = func(r *http.Request) *metav1.Status {
					if r.Method != http.MethodPost {
						return nil
					}
					return failure(http.StatusForbidden, metav1.StatusReasonForbidden,
						"ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ann may not patch deployments.apps shop: ask for the right to")
				}
			},
			[]string{"attach", "shop", "visits"}, 1, nil, []string{"denied request: ann may not patch deployments.apps shop: ask for the right to\n"}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := shop(t)
			test.world(s)
			checkRan(t, s.run(test.args...), test.code, test.out, test.err)
			if sent := s.sent(); len(sent) != test.sent {
				t.Errorf("sent: %v", sent)
			}
		})
	}
}

func TestAttachAndWait(t *testing.T) {
	s := shop(t)
	s.put(app("shop"))
	s.stages("shop-visits", saying("False", v1alpha1.ReasonRollingOut, "1 of 3"), saying("True", v1alpha1.ReasonReady, "all have it"))
	checkRan(t, s.run("attach", "shop", "visits", "--wait"), 0, []string{"created", "rolling-out", "settled"}, nil)
}

// A dry run of the client asks no cluster, and what it prints can be put into git as it is.
func TestAttachForGit(t *testing.T) {
	got := runAt(t.Context(), t, "http://127.0.0.1:1", nil, "attach", "sts/db", "visits", "--as", "A_URL", "--as", "A_HOST=host", "--container", "web",
		"--dry-run=client", "-o", "yaml")
	want := `apiVersion: bindery.dev/v1alpha1
kind: Binding
metadata:
  name: db-visits
  namespace: shop
spec:
  containers:
  - web
  env:
  - name: A_URL
  - key: host
    name: A_HOST
  serviceRef:
    name: visits
  workloadRef:
    kind: StatefulSet
    name: db
`
	if diff := cmp.Diff(want, got.out); diff != "" || got.code != 0 || got.err != "" {
		t.Errorf("%s\n%d %s", diff, got.code, got.err)
	}
	if got := runAt(t.Context(), t, "http://127.0.0.1:1", nil, "attach", "db", "visits", "--dry-run=client"); got.out != "binding.bindery.dev/db-visits created (dry run)\n" {
		t.Errorf("%+v", got)
	}
}

func TestDefaultName(t *testing.T) {
	if got := defaultName("pinger", "visits"); got != "pinger-visits" {
		t.Error(got)
	}
	long := strings.Repeat("a", 250)
	got, neighbour := defaultName(long, "visits"), defaultName(long, "visitz")
	if len(got) != mostName || len(neighbour) != mostName || got == neighbour {
		t.Errorf("%q and %q", got, neighbour)
	}
}

func TestDetach(t *testing.T) {
	s := shop(t)
	s.changed = func(method, _ string) {
		if method != http.MethodDelete {
			return
		}
		d := app("pinger")
		d.Generation, d.Status.ObservedGeneration, d.Status.UpdatedReplicas = 2, 2, 1
		s.put(d)
		looks := 0
		s.mu.Lock()
		defer s.mu.Unlock()
		s.answer = func(r *http.Request) *metav1.Status {
			if strings.HasSuffix(r.URL.Path, "/deployments/pinger") {
				if looks++; looks == 2 {
					d.Status.UpdatedReplicas = 3
					s.put(d)
				}
			}
			return nil
		}
	}
	checkRan(t, s.run("detach", "pinger", "visits"), 0, []string{
		"binding.bindery.dev/b deleted: visits is detached from Deployment/pinger\n", "rolling-out", "detached", "carries nothing of it any more",
	}, nil)
	if s.get(&v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "b"}}) {
		t.Error("the Binding is still there")
	}
}

func TestDetachThatNobodyAnswers(t *testing.T) {
	s := shop(t)
	checkRan(t, s.run("detach", "pinger", "--timeout", "30ms"), ExitUnderWay, []string{"for the operator to take the variables out"},
		[]string{"goes on", "`kubectl bindery attach deployment/pinger visits --name b --as REDIS_URL -n shop`"})
}

func TestDetachAsADryRun(t *testing.T) {
	s := shop(t)
	checkRan(t, s.run("detach", "pinger", "--dry-run=server"), 0, []string{"(server dry run)"}, nil)
	if !s.get(&v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "b"}}) {
		t.Error("the Binding is gone")
	}
}

func TestUndo(t *testing.T) {
	swapped := func(change ...func(*v1alpha1.Binding)) *v1alpha1.Binding {
		b := bound("b", "pinger", "visits2")
		b.Status.Previous = &v1alpha1.Attachment{Service: "visits", SecretName: "visits-1"}
		b.Status.History = []v1alpha1.Swap{
			{From: "visits", To: "visits2", SecretName: "visits2-1", Outcome: v1alpha1.SwapSucceeded, StartedAt: metav1.NewTime(time.Unix(1_780_000_000, 0))},
			{From: "oldest", To: "visits", SecretName: "visits-1", Outcome: v1alpha1.SwapSucceeded},
			{To: "oldest", SecretName: "oldest-1", Outcome: v1alpha1.SwapSucceeded},
		}
		for _, f := range change {
			f(b)
		}
		return b
	}
	turnedBack := func(b *v1alpha1.Binding) { b.Spec.ServiceRef.Name = "bad" }
	first := func(b *v1alpha1.Binding) { b.Status.Previous, b.Status.History = nil, b.Status.History[:0] }
	renewed := func(b *v1alpha1.Binding) { b.Status.Previous.Service = "visits2" }
	for name, test := range map[string]struct {
		binding *v1alpha1.Binding
		args    []string
		code    int
		err     []string
		to      string
	}{
		"to the service before": {swapped(), nil, 0, []string{
			"the data in BackingService visits is that of 2026-05-28T20:26:40Z, when the app left it", "what was written since is in visits2",
		}, "visits"},
		"to an entry of the history":           {swapped(), []string{"--to", "3"}, 0, nil, "oldest"},
		"to the newest entry":                  {swapped(), []string{"--to", "1"}, 0, []string{"names BackingService visits2 already"}, "visits2"},
		"to an entry that is not there":        {swapped(), []string{"--to", "4"}, 1, []string{"has 3 entries"}, "visits2"},
		"of what was turned back":              {swapped(turnedBack), nil, 0, nil, "visits2"},
		"of what got another handle meanwhile": {swapped(renewed), nil, 0, []string{"that of 2026"}, "visits"},
		"of a first attachment":                {swapped(first), nil, 1, []string{"no other service than visits2 has worked", "kubectl bindery detach bnd/b"}, "visits2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newAPIServer(t, carrying("pinger", "visits2"), redis("visits"), redis("visits2"), redis("oldest"), redis("bad"), test.binding)
			checkRan(t, s.run(append([]string{"undo", "deploy/pinger", "--wait=false"}, test.args...)...), test.code, nil, test.err)
			b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "b"}}
			if s.get(b); b.Spec.ServiceRef.Name != test.to {
				t.Errorf("the Binding names %s, want %s", b.Spec.ServiceRef.Name, test.to)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	// answers is an operator that tries the handle, and finds this.
	answers := func(status metav1.ConditionStatus, reason string) func(*v1alpha1.BackingService) {
		return func(s *v1alpha1.BackingService) {
			s.Status.Verification.Requested = s.Annotations[v1alpha1.VerifyRequestedAtAnnotation]
			s.Status.Conditions[1] = metav1.Condition{Type: v1alpha1.ConditionVerified, Status: status, Reason: reason, Message: "it was tried", ObservedGeneration: 1}
		}
	}
	off := func(s *apiServer) {
		b := bound("b", "pinger", "visits")
		b.Spec.Swap = &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever}
		s.put(b)
	}
	for name, test := range map[string]struct {
		operator func(*v1alpha1.BackingService)
		world    func(*apiServer)
		service  string
		code     int
		out, err []string
	}{
		"it passes":     {answers("True", v1alpha1.ReasonVerified), nil, "visits", 0, []string{"verified", "Verified: it was tried"}, nil},
		"it is refused": {answers("False", v1alpha1.ReasonCredentialsRefused), nil, "visits", 1, nil, []string{"error: CredentialsRefused: it was tried"}},
		"it does not serve": {func(s *v1alpha1.BackingService) {
			s.Status.Conditions[0] = metav1.Condition{Type: v1alpha1.ConditionReady, Status: "False", Reason: v1alpha1.ReasonProvisioning, ObservedGeneration: 1}
		}, nil, "visits", 1, nil, []string{"when the service is Ready: Provisioning"}},
		"nobody answers":            {func(*v1alpha1.BackingService) {}, nil, "visits", ExitUnderWay, []string{"for the operator"}, []string{"has not ended within"}},
		"there is no such service":  {nil, nil, "nothing", 1, nil, []string{"there is no BackingService nothing in namespace shop"}},
		"each Binding does without": {nil, off, "visits", 1, nil, []string{"spec.swap.verify: Never", "bnd/b (visits)"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := shop(t)
			if test.world != nil {
				test.world(s)
			}
			s.changed = func(_, _ string) {
				service := &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "visits"}}
				if s.get(service) {
					test.operator(service)
					s.put(service)
				}
			}
			checkRan(t, s.run("verify", test.service, "--timeout", "50ms"), test.code, test.out, test.err)
		})
	}
}

func TestPlan(t *testing.T) {
	for name, test := range map[string]struct {
		args     []string
		denied   []string
		code     int
		out, err []string
	}{
		"a swap": {[]string{"swap", "pinger", "--to", "visits2"}, nil, 0, []string{
			"Deployment/pinger from visits to visits2, in Binding b\n", "REDIS_URL of container web: Secret visits-1 (key uri) -> Secret visits2-1 (key uri)\n",
			"3 replaced", "Way back",
		}, nil},
		"an attachment that conflicts": {[]string{"attach", "pinger", "visits2", "--as", "OWN"}, nil, 1,
			[]string{"Prevented by     Conflict: Deployment/pinger sets variable OWN"}, []string{"it would not be done: Conflict"}},
		"a detachment": {[]string{"detach", "pinger"}, nil, 0, []string{"is removed; it came from Secret visits-1 (key uri)"}, nil},
		"without rights": {[]string{"swap", "pinger", "--to", "visits2"}, []string{"patch bindings", "patch deployments"}, 1,
			[]string{"Right missing    patch bindings.bindery.dev b in namespace shop", "Right missing    patch deployments.apps pinger in namespace shop"},
			[]string{"ask for the right to patch bindings"}},
		"in another form": {[]string{"swap", "pinger", "--to", "visits2", "-o", "wide"}, nil, 1, nil, []string{"want json or yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := shop(t)
			s.denied = test.denied
			checkRan(t, s.run(append([]string{"plan"}, test.args...)...), test.code, test.out, test.err)
			if sent := s.sent(); len(sent) > 0 {
				t.Errorf("a plan has changed something: %v", sent)
			}
		})
	}
}

func TestPlanForPrograms(t *testing.T) {
	s := shop(t)
	read := map[string]func([]byte, any) error{"json": json.Unmarshal, "yaml": func(text []byte, p any) error { return yaml.Unmarshal(text, p) }}
	for form, unmarshal := range read {
		got := s.run("plan", "swap", "pinger", "--to", "visits2", "-o", form)
		var p preview.Preview
		if err := unmarshal([]byte(got.out), &p); err != nil || got.code != 0 {
			t.Fatalf("%s: %d, %v", form, got.code, err)
		}
		if p.To != "visits2" || len(p.Changes) != 1 || p.Changes[0].To.Secret != "visits2-1" {
			t.Errorf("%s: %+v", form, p)
		}
	}
}

// commands that change something, or say what would change.
var commands = map[string][]string{
	"attach": {"attach", "deploy/pinger", "visits2"}, "swap": {"swap", "pinger", "--to", "visits2"}, "detach": {"detach", "pinger"},
	"undo": {"undo", "pinger"}, "verify": {"verify", "visits"}, "plan": {"plan", "swap", "pinger", "--to", "visits2"},
}

func TestFaultsOfTheCluster(t *testing.T) {
	forbidden := func(*http.Request) *metav1.Status {
		return failure(http.StatusForbidden, metav1.StatusReasonForbidden, `bindings.bindery.dev is forbidden: User "ann" cannot list it`)
	}
	for name, args := range commands {
		t.Run(name, func(t *testing.T) {
			s := shop(t)
			checkRan(t, s.run(append(args, "--context", "away")...), ExitFailure, nil, []string{"the cluster does not answer", "--request-timeout"})
			checkRan(t, s.run(append(args, "-n", "elsewhere")...), ExitFailure, nil, []string{"in namespace elsewhere"})
			s.withoutKinds = true
			checkRan(t, s.run(args...), ExitFailure, nil, []string{"the cluster does not know the kinds of Bindery: install it"})
			s.withoutKinds, s.answer = false, forbidden
			checkRan(t, s.run(args...), ExitFailure, nil, []string{"forbidden", "bindery-edit"})
			if sent := s.sent(); len(sent) > 0 {
				t.Errorf("sent: %v", sent)
			}
		})
	}
}
