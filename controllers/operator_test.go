package controllers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers"
)

// probeResources are what the operators under test set for the Jobs that verify a handle, in addition to the default.
const probeResources = `{"limits": {"ephemeral-storage": "48Mi"}}`

// operator is an operator under test, and what it sends.
type operator struct {
	config *rest.Config
	// namespace is the only one that the operator sees; "" = it sees all of them.
	namespace string
	// scope is its Namespaces: unlike namespace, it is what a user sets.
	scope []string
	// window is its BurstWindow.
	window time.Duration
	// options changes its options; nil = they stay as they are.
	options func(*controllers.Options)
	// follows: it follows Secrets, so it may ask for the metadata of those with the label.
	follows bool
	// meddle is between the operator and the API server; nil = nothing is.
	meddle func(req *http.Request, next http.RoundTripper) (*http.Response, error)

	mu       sync.Mutex
	life     *life
	lives    int
	requests []request
	secrets  bytes.Buffer // what the API server has answered about Secrets
	busy     int          // requests in progress
	last     time.Time    // time when the last one started or ended
}

// life is one process of an operator. After it is killed, nothing that it still sends arrives.
type life struct {
	cancel context.CancelFunc
	done   chan error
	number int
	dead   bool
	// writesLeft is how many writes may still be sent until it is killed; negative = it is not to be killed.
	writesLeft int
	killed     chan struct{}
	registry   *prometheus.Registry // of its metrics
}

type request struct {
	method, path string
	dryRun       bool
	status       int  // 0 = there was no answer
	made         bool // the answer was made by the test
	at           time.Time
	life         int  // the number of the operator's life, from 1
	last         bool // it was killed right after
	// metadata: it asks for the metadata of Secrets with the label, and for nothing else.
	metadata bool
}

func (r request) String() string {
	text := fmt.Sprintf("%s operator %d: %s %s = %d", r.at.Format("15:04:05.000"), r.life, r.method, r.path, r.status)
	if r.made {
		text += ", made by the test"
	}
	if r.last {
		text += ", and killed"
	}
	return text
}

func (r request) isWrite() bool { return r.method != http.MethodGet && !r.dryRun && !r.isReview() }

// isReview says whether a request asks for a right: it is a POST that writes nothing.
func (r request) isReview() bool { return strings.HasSuffix(r.path, "/selfsubjectaccessreviews") }

// isBookkeeping says whether a request is about Events or the lease, which no budget counts.
func (r request) isBookkeeping() bool {
	return strings.Contains(r.path, "/events") || strings.Contains(r.path, "/leases/")
}

// operators are all operators that this suite has started.
var operators struct {
	mu  sync.Mutex
	all []*operator
}

// burstWindow of the tests' operators. The clients of the tests are close to the API server.
const burstWindow = 250 * time.Millisecond

func newOperator(config *rest.Config, namespace string) *operator {
	o := &operator{config: config, namespace: namespace, window: burstWindow}
	operators.mu.Lock()
	defer operators.mu.Unlock()
	operators.all = append(operators.all, o)
	return o
}

// start starts a new life.
func (o *operator) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{
		cancel: cancel, done: make(chan error, 1), writesLeft: -1, killed: make(chan struct{}), registry: prometheus.NewRegistry(),
	}
	config := unlimited(o.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return transport{o, l, next} })
	options := controllers.Options{
		RedisImage: "redis:7.4", CollectorImage: "collector:1", ProbeImage: "operator:1", MetricsAddress: "0", HealthAddress: "0",
		BurstWindow: o.window, ProbeResources: probeResources, Namespaces: o.scope, Registry: l.registry,
	}
	if o.options != nil {
		o.options(&options)
	}
	mgr, err := controllers.NewManager(ctx, config, options)
	if err != nil {
		cancel()
		return err
	}
	o.mu.Lock()
	o.lives++
	l.number = o.lives
	o.life, o.last = l, time.Now()
	o.mu.Unlock()
	go func() { l.done <- mgr.Start(ctx) }()
	return nil
}

// stop ends the operator as SIGTERM does.
func (o *operator) stop() error {
	l := o.living()
	l.cancel()
	return <-l.done
}

func (o *operator) living() *life {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.life
}

// killAfter kills the operator right after this many more writes. The channel is closed when that has happened.
func (o *operator) killAfter(writes int) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.life.writesLeft = writes
	return o.life.killed
}

// dies kills the operator: nothing that it sends from now on arrives. stop ends its goroutines.
func (o *operator) dies() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.life.dead = true
}

// sent returns the requests since a mark, without the bookkeeping.
func (o *operator) sent(since int, match func(request) bool) []request {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []request
	for _, r := range o.requests[since:] {
		if !r.isBookkeeping() && match(r) {
			found = append(found, r)
		}
	}
	return found
}

func (o *operator) mark() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.requests)
}

// idle is how long the operator has sent nothing, not even a read. Open watches do not count.
func (o *operator) idle() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy > 0 {
		return 0
	}
	return time.Since(o.last)
}

// checkRequests checks everything that an operator has sent in all tests.
func (o *operator) checkRequests() error {
	var errs []error
	for _, r := range o.sent(0, func(r request) bool { return !r.made }) {
		switch {
		case r.metadata && o.follows:
			if r.status == http.StatusForbidden {
				errs = append(errs, fmt.Errorf("the operator lacks the right to follow Secrets: %s", r.path))
			}
		case strings.Contains(r.path, "/secrets") && r.method != http.MethodPost && r.method != http.MethodDelete:
			errs = append(errs, fmt.Errorf("the operator reads Secrets: %s %s", r.method, r.path))
		case strings.Contains(r.path, "/secrets") && r.dryRun && r.status/100 == 2:
			errs = append(errs, fmt.Errorf("an answer may have a Secret in it: %s %s", r.method, r.path))
		case r.status == http.StatusForbidden && !strings.Contains(r.path, "/expected-"):
			errs = append(errs, fmt.Errorf("the operator lacks a right: %s %s", r.method, r.path))
		}
	}
	return errors.Join(errs...)
}

// transport connects one life of an operator to the API server.
type transport struct {
	operator *operator
	life     *life
	next     http.RoundTripper
}

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if path := scopedTo(t.operator.namespace, req.URL.Path); path != req.URL.Path {
		req = req.Clone(req.Context())
		req.URL.Path = path
	}
	dryRun, err := isDryRun(req)
	if err != nil {
		return nil, err
	}
	sent := request{method: req.Method, path: req.URL.Path, dryRun: dryRun, at: time.Now(), metadata: asksForMetadata(req)}
	last, err := t.begin(&sent)
	if err != nil {
		return nil, err
	}
	var response *http.Response
	if t.operator.meddle != nil && !sent.isBookkeeping() {
		response, err = t.operator.meddle(req, t.next)
	} else {
		response, err = t.next.RoundTrip(req)
	}
	defer func() { t.end(sent, last) }()
	if err != nil {
		return nil, err
	}
	if sent.metadata {
		response.Body = &overheard{response.Body, t.operator}
	}
	sent.status = response.StatusCode
	sent.made = response.Header.Get(madeHeader) != ""
	if err := noteWorkload(sent, response); err != nil {
		return nil, err
	}
	return response, nil
}

// asksForMetadata says whether a request lists or watches the metadata of Secrets with the label. The last format that the
// client of metadata takes is JSON without a form: an API server that knows the form, as all do since 1.15, never uses it.
func asksForMetadata(req *http.Request) bool {
	forms := strings.Split(req.Header.Get("Accept"), ",")
	return req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/secrets") &&
		req.URL.Query().Get("labelSelector") == v1alpha1.FollowLabel+"="+v1alpha1.FollowValue &&
		strings.Contains(forms[0], "as=PartialObjectMetadata") && len(forms) > 1 && strings.Contains(forms[1], "as=PartialObjectMetadata")
}

// overheard is an answer about Secrets, which is kept.
type overheard struct {
	io.ReadCloser
	by *operator
}

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	o.by.mu.Lock()
	defer o.by.mu.Unlock()
	o.by.secrets.Write(p[:n])
	return n, err
}

// secretAnswers are what the API server has answered about Secrets.
func (o *operator) secretAnswers() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.secrets.Bytes())
}

// isDryRun says whether a request is a dry run. A deletion says so in its body, other requests in their query.
func isDryRun(req *http.Request) (bool, error) {
	if req.Method != http.MethodDelete || req.GetBody == nil {
		return req.URL.Query().Has("dryRun"), nil
	}
	body, err := req.GetBody()
	if err != nil {
		return false, err
	}
	options, err := io.ReadAll(body)
	return bytes.Contains(options, []byte(metav1.DryRunAll)), errors.Join(err, body.Close())
}

// begin counts a request. A request of a killed life does not arrive; last says that nothing comes after this one.
func (t transport) begin(sent *request) (last bool, err error) {
	o := t.operator
	o.mu.Lock()
	defer o.mu.Unlock()
	if t.life.dead {
		return false, fmt.Errorf("the operator was killed: %w", syscall.ECONNREFUSED)
	}
	if sent.isWrite() && !sent.isBookkeeping() && t.life.writesLeft > 0 {
		t.life.writesLeft--
		t.life.dead = t.life.writesLeft == 0
	}
	if !sent.isBookkeeping() {
		o.busy++
		o.last = time.Now()
	}
	sent.life, sent.last = t.life.number, t.life.dead
	return t.life.dead, nil
}

func (t transport) end(sent request, last bool) {
	o := t.operator
	o.mu.Lock()
	if !sent.isBookkeeping() {
		o.busy--
		o.last = time.Now()
	}
	o.requests = append(o.requests, sent)
	o.mu.Unlock()
	if last {
		t.life.cancel() // its goroutines go too; nothing that they send arrives any more
		close(t.life.killed)
	}
}

// clusterScoped are the resources of the operator that are in no namespace.
var clusterScoped = map[string]bool{"customresourcedefinitions": true, "namespaces": true, "nodes": true}

// scopedTo turns a list or watch of the whole cluster into one of a single namespace, so that many operators can work at
// the same time, each in its own namespace.
func scopedTo(namespace, path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	at := map[string]int{"api": 2, "apis": 3}[parts[0]]
	if namespace == "" || at == 0 || len(parts) != at+1 || clusterScoped[parts[at]] {
		return path
	}
	return "/" + strings.Join(parts[:at], "/") + "/namespaces/" + namespace + "/" + parts[at]
}

var decoder = serializer.NewCodecFactory(scheme()).UniversalDeserializer()

// noteWorkload remembers which version of a workload a patch of the operator has made.
func noteWorkload(sent request, response *http.Response) error {
	if sent.method != http.MethodPatch || sent.status != http.StatusOK || !strings.HasPrefix(sent.path, "/apis/apps/v1/") {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	object, _, err := decoder.Decode(body, nil, nil)
	if err != nil {
		return fmt.Errorf("decoding the answer to %s %s: %w", sent.method, sent.path, err)
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	watched.made(accessor.GetResourceVersion())
	return nil
}
