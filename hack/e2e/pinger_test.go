//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// answer is what pinger says.
type answer struct {
	Visits        *int64 `json:"visits"`
	CorrelationID string `json:"correlationId"`
	Attached      struct {
		Redis     *endpoint `json:"redis"`
		Collector *endpoint `json:"collector"`
	} `json:"attached"`
}

type endpoint struct {
	Endpoint string `json:"endpoint"`
}

// ping asks pinger through its Service. A Service answers a moment after its Pods are ready.
func (s *scene) ping() answer {
	s.Helper()
	var a answer
	s.retry("pinger answers", soon, func() string {
		body, err := s.request(http.MethodGet, "services", "pinger:80", "/").DoRaw(s.ctx)
		if err != nil {
			return err.Error()
		}
		a = answer{}
		return errorText(json.Unmarshal(body, &a))
	})
	return a
}

// request goes to a Pod or a Service of this namespace, through the API server. name is name:port.
func (s *scene) request(method, resource, name, path string) *rest.Request {
	return cluster.clientset.CoreV1().RESTClient().Verb(method).
		Namespace(s.namespace).Resource(resource).Name(name).SubResource("proxy").Suffix(path)
}

// visits asks pinger so many times, and returns the last count. Each answer has to be from this Redis, and count on.
func (s *scene) visits(redis string, times int) int64 {
	s.Helper()
	var last int64
	for range times {
		a := s.ping()
		switch {
		case a.Attached.Redis == nil || a.Attached.Redis.Endpoint != redis:
			s.Fatalf("pinger is attached to %+v, want the Redis %s", a.Attached.Redis, redis)
		case a.Visits == nil:
			s.Fatal("pinger counts no visits")
		case *a.Visits <= last:
			s.Fatalf("pinger counted %d visits after %d", *a.Visits, last)
		}
		last = *a.Visits
	}
	s.Logf("pinger counted up to %d visits in the Redis %s", last, redis)
	return last
}

// awaitVisits waits until pinger counts again after its Redis got another Pod: kube-proxy leads to it a moment after the
// operator knows of it.
func (s *scene) awaitVisits(redis string) {
	s.Helper()
	const enough = 3 // answers in a row
	s.await("pinger counts visits again", soon, func() string {
		for range enough {
			if s.ping().Visits == nil {
				return "an answer was without"
			}
		}
		return ""
	})
	s.visits(redis, enough)
}

// host is the endpoint of a service that Bindery provisioned in this namespace, as its handle names it.
func (s *scene) host(service string, port int) string {
	return fmt.Sprintf("bindery-%s.%s.svc:%d", service, s.namespace, port)
}

// secretOf is the name of the Secret with the handle of a service.
func (s *scene) secretOf(service string) string {
	s.Helper()
	return get[v1alpha1.BackingService](s, service).Status.Handle.SecretName
}

// password reads, as Bindery may not, the password of a Redis that Bindery provisioned.
func (s *scene) password(service string) string {
	s.Helper()
	return string(get[corev1.Secret](s, s.secretOf(service)).Data["password"])
}

// redis runs redis-cli in the Pod of a Redis that Bindery provisioned, as the user that the handle names.
func (s *scene) redis(service string, arguments ...string) string {
	s.Helper()
	return s.redisAs("default", s.password(service), service, arguments...)
}

// redisAdmin does the same as the user for moves, who may also change the configuration.
func (s *scene) redisAdmin(service string, arguments ...string) string {
	s.Helper()
	return s.redisAs("bindery-move", string(get[corev1.Secret](s, s.secretOf(service)).Data["move-password"]), service, arguments...)
}

func (s *scene) redisAs(user, password, service string, arguments ...string) string {
	s.Helper()
	return strings.TrimSpace(s.kubectlReads(password+"\n", append([]string{"exec", "-i", service + "-0", "--",
		"sh", "-c", `read -r REDISCLI_AUTH; export REDISCLI_AUTH; exec redis-cli --user "$0" "$@"`, user}, arguments...)...))
}
