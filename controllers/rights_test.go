package controllers_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/bindery-dev/bindery/controllers"
)

// rulesOf are the rules of a role that the chart installs in a scope.
func rulesOf(t *testing.T, role string) []rbacv1.PolicyRule {
	t.Helper()
	rights, err := scopedRights()
	if err != nil {
		t.Fatal(err)
	}
	if len(rights[role]) == 0 {
		t.Fatalf("the chart installs no %s with rules", role)
	}
	return rights[role]
}

// operatorRules are the rules of the operator's roles: those about namespaced objects, and the others.
func operatorRules(t *testing.T) (namespaced, others []rbacv1.PolicyRule) {
	t.Helper()
	return rulesOf(t, "Role bindery-operator"), rulesOf(t, "ClusterRole bindery-operator")
}

// leaseRules are the rules of the role for the lease.
func leaseRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	return rulesOf(t, "Role bindery-leader-election")
}

// metricsRules are the rules by which the operator asks who wants its metrics.
func metricsRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	return rulesOf(t, "ClusterRole bindery-metrics-auth")
}

// as is a configuration with the name and the rights of somebody else.
func as(user string) *rest.Config {
	config := unlimited(authn.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	return config
}

// grant gives a user rights in a namespace; "" = in the cluster. The user's name is that of the roles, too.
func (s *scene) grant(user, namespace string, rules []rbacv1.PolicyRule) {
	s.Helper()
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	name := metav1.ObjectMeta{Namespace: namespace, GenerateName: "granted-"}
	if namespace == "" {
		role := &rbacv1.ClusterRole{ObjectMeta: name, Rules: rules}
		s.must(admin.Create(s.ctx, role))
		s.must(admin.Create(s.ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: name, Subjects: subjects, RoleRef: rbacv1.RoleRef{
			APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name,
		}}))
		return
	}
	role := &rbacv1.Role{ObjectMeta: name, Rules: rules}
	s.must(admin.Create(s.ctx, role))
	s.must(admin.Create(s.ctx, &rbacv1.RoleBinding{ObjectMeta: name, Subjects: subjects, RoleRef: rbacv1.RoleRef{
		APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name,
	}}))
}

// grantScope gives a user what an operator needs that works in some namespaces: a Role in each, and nothing over
// namespaced objects in the whole cluster.
func (s *scene) grantScope(user string, namespaces ...string) {
	s.Helper()
	namespaced, others := operatorRules(s.T)
	s.grant(user, "", others)
	for _, namespace := range namespaces {
		s.grant(user, namespace, namespaced)
	}
}

// serving are the options of an operator that is started as a whole.
func serving(namespaces ...string) controllers.Options {
	return controllers.Options{
		RedisImage: "redis:7.4", CollectorImage: "collector:1", ProbeImage: "operator:1", Namespaces: namespaces,
		MetricsAddress: "0", HealthAddress: "0", BurstWindow: burstWindow, Registry: prometheus.NewRegistry(),
	}
}

// whole is an operator that is started as a whole, with what it looks at first.
type whole struct {
	stop func()
	done chan error
}

// run starts an operator. Where its rights are new, the API server may need a moment to know them.
func (s *scene) run(config *rest.Config, options controllers.Options) *whole {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	o := &whole{stop: cancel, done: make(chan error, 1)}
	go func() {
		var err error
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(interval) {
			if err = controllers.Run(ctx, config, options); err == nil || !strings.Contains(err.Error(), "lacks rights") {
				break
			}
		}
		o.done <- err
		close(o.done)
	}()
	s.Cleanup(func() {
		cancel()
		if err := <-o.done; err != nil {
			s.Errorf("the operator ended: %v", err)
		}
	})
	return o
}

// runError starts an operator that is expected to refuse, and returns its words.
func runError(t *testing.T, config *rest.Config, options controllers.Options) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := controllers.Run(ctx, config, options)
	if err == nil {
		t.Fatal("the operator has started")
	}
	return err.Error()
}

// freeAddress is an address of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// Whichever right is missing, the operator does not start, and names it.
func TestAMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	namespaced, others := operatorRules(t)
	type missing struct {
		what string // as the operator says it
		// rules without the right
		namespaced, others, lease, metrics []rbacv1.PolicyRule
	}
	var tests []missing
	for _, gone := range withoutOne(namespaced) {
		tests = append(tests, missing{"in namespace NAMESPACE: " + gone.what, gone.rules, others, leaseRules(t), metricsRules(t)})
	}
	for _, gone := range withoutOne(others) {
		tests = append(tests, missing{"in the whole cluster: " + gone.what, namespaced, gone.rules, leaseRules(t), metricsRules(t)})
	}
	for _, gone := range withoutOne(leaseRules(t)) {
		tests = append(tests, missing{"in namespace NAMESPACE: " + gone.what, namespaced, others, gone.rules, metricsRules(t)})
	}
	for _, gone := range withoutOne(metricsRules(t)) {
		tests = append(tests, missing{"in the whole cluster: " + gone.what, namespaced, others, leaseRules(t), gone.rules})
	}
	if len(tests) < 50 {
		t.Fatalf("there are only %d rights", len(tests))
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) { // one after the other: each is many requests, and other tests run meanwhile
			s := newScene(t, "rights")
			s.grant(s.namespace, "", slices.Concat(tt.others, tt.metrics))
			s.grant(s.namespace, s.namespace, slices.Concat(tt.namespaced, tt.lease))
			options := serving(s.namespace)
			options.MetricsAddress = "127.0.0.1:0"
			options.LeaderElection, options.LeaderElectionNamespace = true, s.namespace
			want := "the operator does not start: the operator lacks rights " + strings.ReplaceAll(tt.what, "NAMESPACE", s.namespace) +
				". The chart grants them: install it again with scope.namespaces={" + s.namespace + "}"
			s.await("the refusal", func() string {
				got := runError(t, as(s.namespace), options)
				if !strings.HasPrefix(got, want) {
					return got + "\nwant " + want
				}
				return ""
			})
		})
	}
}

type oneLess struct {
	what  string
	rules []rbacv1.PolicyRule
}

// withoutOne returns the rules as often as they have rights, each time without one of them. A right of two rules is left
// out of both.
func withoutOne(rules []rbacv1.PolicyRule) []oneLess {
	var all []rbacv1.PolicyRule // one right each
	for _, rule := range rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				for _, name := range append(rule.ResourceNames, "")[:max(1, len(rule.ResourceNames))] {
					one := rbacv1.PolicyRule{APIGroups: rule.APIGroups, Resources: []string{resource}, Verbs: []string{verb}}
					if name != "" {
						one.ResourceNames = []string{name}
					}
					if !slices.ContainsFunc(all, func(r rbacv1.PolicyRule) bool { return saying(r) == saying(one) }) {
						all = append(all, one)
					}
				}
			}
		}
	}
	var less []oneLess
	for i, gone := range all {
		less = append(less, oneLess{saying(gone), slices.Delete(slices.Clone(all), i, i+1)})
	}
	return less
}

// saying is how kubectl auth can-i asks for a right.
func saying(one rbacv1.PolicyRule) string {
	resource, subresource, has := strings.Cut(one.Resources[0], "/")
	if one.APIGroups[0] != "" {
		resource += "." + one.APIGroups[0]
	}
	if has {
		resource += "/" + subresource
	}
	return strings.TrimSpace(one.Verbs[0] + " " + resource + " " + strings.Join(one.ResourceNames, ""))
}

// An operator that may work in some namespaces, and is to work in all, says so.
func TestRightsOfAScopeAreNotThoseOfTheCluster(t *testing.T) {
	t.Parallel()
	s := newScene(t, "rights")
	s.grantScope(s.namespace, s.namespace)
	s.await("the refusal", func() string {
		got := runError(t, as(s.namespace), serving())
		if !strings.HasPrefix(got, "the operator does not start: the operator lacks rights in the whole cluster: delete, get, list, watch backingservices.bindery.dev;") ||
			!strings.HasSuffix(got, "The chart grants them: install it again with scope.namespaces left out, as somebody who may grant these rights; or ask a cluster administrator") {
			return got
		}
		return ""
	})
}

// A start asks once for each right of each namespace, and writes nothing.
func TestAStartWritesNothing(t *testing.T) {
	t.Parallel()
	s, other := newScene(t, "start"), newScene(t, "start")
	s.grantScope(s.namespace, s.namespace, other.namespace)
	s.await("the rights", func() string {
		sent := &counter{}
		config := as(s.namespace)
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return sent.count(next) })
		options := serving(s.namespace, other.namespace)
		options.HealthAddress = freeAddress(t)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- controllers.Run(ctx, config, options) }()
		for {
			select {
			case err := <-done:
				return fmt.Sprint(err) // the API server does not know the new rights yet
			case <-time.After(interval):
			}
			if status, _, err := fetch(ctx, http.DefaultClient, "http://"+options.HealthAddress+"/readyz", ""); err == nil && status == http.StatusOK {
				break
			}
		}
		namespaced, others := operatorRules(t)
		want := map[string]int{"reviews": 2*len(withoutOne(namespaced)) + len(withoutOne(others))}
		if diff := cmp.Diff(want, sent.posts()); diff != "" {
			t.Errorf("what a start sends beside reads (-want +got):\n%s", diff)
		}
		return ""
	})
}

// counter counts what is sent that is no read.
type counter struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *counter) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method != http.MethodGet {
			what := request.Method + " " + request.URL.Path
			if strings.HasSuffix(request.URL.Path, "/selfsubjectaccessreviews") {
				what = "reviews"
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.counts == nil {
				c.counts = map[string]int{}
			}
			c.counts[what]++
		}
		return next.RoundTrip(request)
	})
}

func (c *counter) posts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// fetch gets a page, with a bearer token if there is one.
func fetch(ctx context.Context, by *http.Client, url, token string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := by.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// awaitStatus waits until a GET has an answer with that status, and returns its body.
func (s *scene) awaitStatus(by *http.Client, url, token string, want int) (body string) {
	s.Helper()
	s.await(url, func() string {
		status, text, err := fetch(s.ctx, by, url, token)
		if err != nil {
			return err.Error()
		}
		if body = text; status != want {
			return fmt.Sprintf("%d, want %d: %s", status, want, text)
		}
		return ""
	})
	return body
}

// awaitRights waits until the API server knows the rights of a scope.
func (s *scene) awaitRights(config *rest.Config, namespaces ...string) {
	s.Helper()
	options := serving(namespaces...)
	options.HealthAddress = freeAddress(s.T)
	o := s.run(config, options)
	s.awaitStatus(http.DefaultClient, "http://"+options.HealthAddress+"/readyz", "", http.StatusOK)
	o.stop()
	s.must(<-o.done)
}
