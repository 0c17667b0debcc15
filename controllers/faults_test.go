package controllers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/condition"
)

const (
	// schedules is how many schedules of faults are played. BINDERY_FAULT_SCHEDULES sets another number (make test-long: 2000), and
	// BINDERY_FAULT_SEED starts with another seed than 1. A story uses as many schedules as it has steps.
	schedules = 240

	// faultProbability is how often one of the first attempts of a request gets a fault. faultAttempts is how many
	// attempts that are: later attempts succeed.
	faultProbability = 0.3
	faultAttempts    = 3

	// madeHeader is on each answer that did not come from the API server.
	madeHeader = "X-Made-By-Test"
)

// fault is what happens to a request.
type fault struct {
	name string
	// reads: it can happen to a request that only reads.
	reads bool
	// arrives: the request arrives and is carried out; only the answer is lost.
	arrives bool
	// refusal: Bindery treats it as final, until something changes or a minute has passed.
	refusal bool
	// status is the answer; nil = the connection breaks.
	status func(object string) *metav1.Status
	header http.Header
}

func statusOf(code int32, reason metav1.StatusReason, message string) func(string) *metav1.Status {
	return func(object string) *metav1.Status {
		return &metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason,
			Message: strings.ReplaceAll(message, "OBJECT", object), Details: &metav1.StatusDetails{Kind: strings.Split(object, " ")[0]},
		}
	}
}

func retryAfter(seconds string) http.Header { return http.Header{"Retry-After": {seconds}} }

// faults that are known of API servers, of what is in front of them, and of the network.
var faults = []fault{
	{name: "conflict", status: statusOf(409, metav1.StatusReasonConflict,
		`Operation cannot be fulfilled on OBJECT: the object has been modified; please apply your changes to the latest version and try again`)},
	{name: "too many requests, at once again", reads: true, header: retryAfter("0"),
		status: statusOf(429, metav1.StatusReasonTooManyRequests, `too many requests, please try again later`)},
	{name: "too many requests", reads: true, header: retryAfter("1"),
		status: statusOf(429, metav1.StatusReasonTooManyRequests, `the server has received too many requests and has asked us to try again later`)},
	{name: "internal error", reads: true, status: statusOf(500, metav1.StatusReasonInternalError,
		`Internal error occurred: etcdserver: leader changed`)},
	{name: "internal error after it was done", arrives: true, status: statusOf(500, metav1.StatusReasonInternalError,
		`Internal error occurred: etcdserver: request timed out`)},
	{name: "timeout after it was done", arrives: true, status: statusOf(504, metav1.StatusReasonTimeout,
		`Timeout: request did not complete within requested timeout - context deadline exceeded`)},
	{name: "no answer after it was done", reads: true, arrives: true},
	{name: "connection reset", reads: true},
	{name: "refused by a policy", refusal: true, status: statusOf(403, metav1.StatusReasonForbidden,
		`OBJECT is forbidden: ValidatingAdmissionPolicy 'fridays' with binding 'fridays' denied request: no changes on Fridays`)},
	{name: "refused by a policy as invalid", refusal: true, status: statusOf(422, metav1.StatusReasonInvalid,
		`OBJECT is invalid: ValidatingAdmissionPolicy 'fridays' with binding 'fridays' denied request: no changes on Fridays`)},
	{name: "refused by a webhook", refusal: true, status: statusOf(400, metav1.StatusReasonBadRequest,
		`admission webhook "fridays.example.com" denied the request: no changes on Fridays`)},
	{name: "refused by a quota", refusal: true, status: statusOf(403, metav1.StatusReasonForbidden,
		`OBJECT is forbidden: exceeded quota: small, requested: count/objects=1, used: count/objects=9, limited: count/objects=9`)},
}

// schedule decides what happens to each request of an operator. It depends on the seed, on the object, and on the number
// of the attempt. If two requests do not depend on each other, it does not depend on which comes first.
type schedule struct {
	seed uint64

	mu       sync.Mutex
	attempts map[string]int
	refused  int
}

func newSchedule(seed uint64) *schedule { return &schedule{seed: seed, attempts: map[string]int{}} }

func (s *schedule) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// next is the fault of a request; false if it has none.
func (s *schedule) next(method, object string) (fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := method + " " + object
	attempt := s.attempts[key]
	s.attempts[key]++
	f, ok := faultOf(s.seed, key, attempt, method == http.MethodGet)
	if ok && f.refusal && method == http.MethodDelete {
		// An object whose deletion is forbidden stays until something else happens to its service. No schedule can wait
		// for that.
		return fault{}, false
	}
	if ok && f.refusal {
		s.refused++
	}
	return f, ok
}

// faultOf decides what happens to an attempt.
func faultOf(seed uint64, key string, attempt int, reads bool) (fault, bool) {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s#%d", key, attempt)
	dice := rand.New(rand.NewPCG(seed, hash.Sum64()))
	f := faults[dice.IntN(len(faults))]
	if attempt >= faultAttempts || dice.Float64() >= faultProbability || reads && !f.reads {
		return fault{}, false
	}
	return f, true
}

// meddle plays the schedule.
func (s *schedule) meddle(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	_, object, namespaced := strings.Cut(req.URL.Path, "/namespaces/")
	_, object, named := strings.Cut(object, "/")
	if !namespaced || !named || req.Method == http.MethodGet && !strings.Contains(object, "/") {
		return next.RoundTrip(req) // a list or a watch, or nothing of the namespace
	}
	f, ok := s.next(req.Method, object)
	if !ok {
		return next.RoundTrip(req)
	}
	if f.arrives {
		response, err := next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(noteAnswer(req, response), response.Body.Close()); err != nil {
			return nil, err
		}
	}
	if f.status == nil {
		return nil, fmt.Errorf("read tcp: %w (made by the test: %s)", syscall.ECONNRESET, f.name)
	}
	return f.answer(req, object)
}

// noteAnswer does with an answer that gets lost what the transport does with answers that arrive.
func noteAnswer(req *http.Request, response *http.Response) error {
	return noteWorkload(request{method: req.Method, path: req.URL.Path, status: response.StatusCode}, response)
}

// answer is what a client sees of a fault.
func (f fault) answer(req *http.Request, object string) (*http.Response, error) {
	resource, name, _ := strings.Cut(object, "/")
	status := f.status(fmt.Sprintf("%s %q", resource, strings.TrimSuffix(name, "/status")))
	body, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/json"}, madeHeader: {f.name}}
	maps.Copy(header, f.header)
	return &http.Response{
		Status: http.StatusText(int(status.Code)), StatusCode: int(status.Code), Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}, nil
}

// tryAgain makes the operator try refused writes again, as an edit by a person would: the test cannot wait a minute for
// each refusal.
func (s *stage) tryAgain(played *schedule) {
	if played.refusals() == 0 {
		return
	}
	objects, _ := watched.in(s.namespace)
	for _, object := range objects {
		switch o := object.(type) {
		case *appsv1.Deployment: // if the last Binding is gone, nothing says that its detachment was refused
			s.touch(o.Name)
		case *v1alpha1.BackingService:
			if condition.Find(o.Status.Conditions, v1alpha1.ConditionReady).Reason == v1alpha1.ReasonRefused {
				s.retouch(o.Name)
			}
		}
	}
}

// touch changes only a label of a Deployment.
func (s *stage) touch(name string) {
	s.Helper()
	d := deploymentOf(s.namespace, name)
	patch := fmt.Sprintf(`{"metadata":{"labels":{"test/touched":"%d"}}}`, time.Now().UnixNano())
	s.must(client.IgnoreNotFound(admin.Patch(s.ctx, d, client.RawPatch(types.MergePatchType, []byte(patch)))))
}

// retouch makes the operator look at a service again, without a lasting change of the service.
func (s *stage) retouch(name string) {
	s.Helper()
	s.await("a write of BackingService "+name, func() string {
		b := get(s.scene, &v1alpha1.BackingService{}, name)
		b.Status.ObservedGeneration = 0
		if err := admin.Status().Update(s.ctx, b); err != nil {
			return err.Error()
		}
		return ""
	})
}

// step is a part of the story. Each step has its own schedule of faults.
type step struct {
	act func(*stage)
	end []string
}

// story goes from the first attachment to a service that is deleted while an app is on it.
var story = []step{
	{ // attach
		act: func(s *stage) {
			s.deploy("app")
			s.deploy("other")
			s.external("one", "two")
			s.attach("b", "app", "one")
		},
		end: []string{
			"Deployment/app generation=2 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "Binding/b service=one Ready=True/Ready",
			"BackingService/one attached=1 Ready=True/Ready Verified=True/Verified", "BackingService/two attached=0 Ready=True/Ready Verified=True/Verified",
		},
	},
	{ // swap
		act: func(s *stage) { s.swap("b", "two") },
		end: []string{
			"Deployment/app generation=3 env=[app.OWN=mine app.REDIS_URL=@two/uri]", "Binding/b service=two Ready=True/Ready",
			"BackingService/one attached=0 Ready=True/Ready", "BackingService/two attached=1 Ready=True/Ready",
		},
	},
	{ // undo
		act: func(s *stage) { s.swap("b", "one") },
		end: []string{
			"Deployment/app generation=4 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "Binding/b service=one Ready=True/Ready",
			"BackingService/one attached=1 Ready=True/Ready", "BackingService/two attached=0 Ready=True/Ready",
		},
	},
	{ // a new handle of the service
		act: func(s *stage) {
			update(s.scene, &v1alpha1.BackingService{}, "one", func(b *v1alpha1.BackingService) {
				b.Spec.External.URL = "redis://elsewhere.example.com"
			})
		},
		end: []string{
			"Deployment/app generation=5 env=[app.OWN=mine app.REDIS_URL=@one/uri]", "Binding/b service=one Ready=True/Ready",
			"BackingService/one attached=1 Ready=True/Ready Verified=True/Verified",
		},
	},
	{ // an app that comes after its four Bindings
		act: func(s *stage) {
			s.must(admin.Delete(s.ctx, s.deployment("app"), client.PropagationPolicy(metav1.DeletePropagationBackground)))
			for _, name := range []string{"c", "d", "e"} {
				s.attach(name, "app", "two", carries(strings.ToUpper(name)+"_URL"))
			}
			// An operator that does not know all of them yet would attach them one after the other.
			s.awaitLine("Binding/c service=two Ready=False/WorkloadNotFound", "Binding/d service=two Ready=False/WorkloadNotFound",
				"Binding/e service=two Ready=False/WorkloadNotFound")
			s.deploy("app", corev1.Container{Name: "app", Image: "app:2"})
		},
		end: []string{
			"Deployment/app generation=2 env=[app.C_URL=@two/uri app.D_URL=@two/uri app.E_URL=@two/uri app.REDIS_URL=@one/uri]",
			"Binding/b service=one Ready=True/Ready", "Binding/c service=two Ready=True/Ready",
			"Binding/d service=two Ready=True/Ready", "Binding/e service=two Ready=True/Ready",
			"BackingService/one attached=1 Ready=True/Ready", "BackingService/two attached=3 Ready=True/Ready",
		},
	},
	{ // retarget
		act: func(s *stage) {
			s.remove(&v1alpha1.Binding{}, "b")
			s.attach("b", "other", "one")
		},
		end: []string{
			"Deployment/app generation=3 env=[app.C_URL=@two/uri app.D_URL=@two/uri app.E_URL=@two/uri]",
			"Deployment/other generation=2 env=[app.OWN=mine app.REDIS_URL=@one/uri]",
			"Binding/b service=one Ready=True/Ready", "BackingService/one attached=1 Ready=True/Ready",
		},
	},
	{ // detach
		act: func(s *stage) { s.remove(&v1alpha1.Binding{}, "b") },
		end: []string{"Deployment/other generation=3 env=[app.OWN=mine] ledger=[]", "BackingService/one attached=0 Ready=True/Ready"},
	},
	{ // the service deleted
		act: func(s *stage) { s.dropInUse("two") },
		end: []string{
			"Deployment/app generation=3 env=[app.C_URL=@old:two/uri app.D_URL=@old:two/uri app.E_URL=@old:two/uri]",
			"Binding/c service=two Ready=False/ServiceNotFound", "Binding/d service=two Ready=False/ServiceNotFound",
			"Binding/e service=two Ready=False/ServiceNotFound", "Secret/@old:two", "no Job that verified two",
		},
	},
}

// tell plays the story, and returns the state after each step. want is the expected state; nil = it is not known yet.
func (s *stage) tell(first uint64, want [][]string) [][]string {
	s.Helper()
	var played atomic.Pointer[schedule]
	if want != nil {
		played.Store(newSchedule(first))
		s.operator.meddle = func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			return played.Load().meddle(req, next)
		}
		s.nudge = func() { s.tryAgain(played.Load()) }
	}
	s.start()
	var stood [][]string
	for i, step := range story {
		lines, whole := step.end, false
		if want != nil {
			played.Store(newSchedule(first + uint64(i)))
			lines, whole = want[i], true
		}
		step.act(s)
		stood = append(stood, s.awaitEnd(lines, whole))
	}
	return stood
}

// No matter what the API server and the network do, things end as they do without faults, with the same number of Pod
// templates.
//
// To run one story alone: go test -run 'TestFaults/seeds=17-24$'
func TestFaults(t *testing.T) {
	alone(t)
	steps := uint64(len(story))
	n, first := numberFrom(t, "BINDERY_FAULT_SCHEDULES", schedules), numberFrom(t, "BINDERY_FAULT_SEED", 1)
	faultless := newStage(t, "faultless")
	faultless.jobsRepeat = true
	want := faultless.tell(0, nil)
	for seed := first; seed < first+n; seed += steps {
		t.Run(fmt.Sprintf("seeds=%d-%d", seed, seed+steps-1), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, "faults")
			s.jobsRepeat = true
			s.tell(seed, want)
		})
	}
}

func numberFrom(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// Each fault occurs, and a seed always gives the same schedule.
func TestSchedulesAreTheSameAgain(t *testing.T) {
	t.Parallel()
	met := map[string]bool{}
	for seed := range uint64(200) {
		for attempt := range faultAttempts {
			f, ok := faultOf(seed, "PATCH deployments/app", attempt, false)
			again, okAgain := faultOf(seed, "PATCH deployments/app", attempt, false)
			if ok != okAgain || f.name != again.name {
				t.Fatalf("seed %d is not the same again", seed)
			}
			met[f.name] = met[f.name] || ok
		}
	}
	if names := slices.Collect(maps.Keys(met)); len(names) < len(faults) {
		t.Errorf("only these faults come up: %q", names)
	}
}
