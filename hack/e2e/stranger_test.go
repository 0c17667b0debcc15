//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const (
	// largePings are eight clients without a credential that send a PING of 6 MB each, and take no answer.
	largePings = `trap '' PIPE
	for i in {1..8}; do
		exec {fd}<>/dev/tcp/bindery-cache/6379
		{ printf 'AUTH probe none\r\n*2\r\n$4\r\nPING\r\n$6000000\r\n'; head -c 6000000 /dev/zero; printf '\r\n'; } >&$fd
	done 2>/dev/null; sleep 2`

	// crowd are more clients than a Redis of 16Mi takes. They hold their connections for a while.
	crowd = `for i in {1..200}; do exec {fd}<>/dev/tcp/bindery-cache/6379; done; sleep %d`

	// crowded is how long they do: long enough for two liveness probes.
	crowded = 25 * time.Second
)

// Who reaches a provisioned Redis without a credential takes nothing from the app that has one: no key, no connection, no
// restart.
func TestStranger(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("somebody without a credential").
		Setup(in(func(s *scene) {
			s.provision("cache", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{
				MaxMemory: new(resource.MustParse("16Mi")),
			}})
			s.kubectl("apply", "-f", "testdata/stranger.yaml")
			s.apply("pinger.yaml")
			s.bind("pinger-cache", "pinger", "cache")
			s.awaitBinding("pinger-cache")
			s.redis("cache", "EVAL", "for i=1,100 do redis.call('SET','key:'..i,string.rep('x',50000)) end", "0")
			s.kubectl("wait", "--for=condition=Ready", "pod/stranger", "--timeout=60s")
		})).
		Assess("takes no key away, however much it sends", in(func(s *scene) {
			s.kubectl("exec", "stranger", "--", "bash", "-c", largePings)
			if left := s.redis("cache", "EVAL", "return #redis.call('KEYS','key:*')", "0"); left != "100" {
				s.Errorf("%s of 100 keys are left", left)
			}
			s.requireNeverRestarted("cache-0")
		})).
		Assess("takes no connection away, and has nothing restarted, however many it opens", in(func(s *scene) {
			s.visits(s.host("cache", 6379), 20) // each of the Pods has one
			ctx, end := context.WithCancel(s.ctx)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				script := fmt.Sprintf(crowd, int(crowded.Seconds()))
				if _, err := kubectl(ctx, "", "-n", s.namespace, "exec", "stranger", "--", "bash", "-c", script); err != nil && ctx.Err() == nil {
					s.Errorf("the crowd: %v", err)
				}
			}()
			defer func() {
				end()
				<-ended
			}()
			s.await("its Pod is not ready", soon, func() string {
				if isReady(get[corev1.Pod](s, "cache-0")) {
					return "it is"
				}
				return ""
			})
			for deadline := time.Now().Add(crowded - 5*time.Second); time.Now().Before(deadline); {
				s.visits(s.host("cache", 6379), 500)
			}
		})).
		Assess("is soon forgotten", in(func(s *scene) {
			s.awaitService("cache")
			s.requireNeverRestarted("cache-0")
			events, err := cluster.clientset.CoreV1().Events(s.namespace).List(s.ctx, metav1.ListOptions{FieldSelector: "reason=Unhealthy"})
			s.no(err)
			full := false
			for _, e := range events.Items {
				if e.InvolvedObject.Name != "cache-0" {
					continue
				}
				if strings.HasPrefix(e.Message, "Liveness") {
					s.Errorf("the liveness probe failed: %s", e.Message)
				}
				full = full || strings.Contains(e.Message, "max number of clients reached")
			}
			if !full {
				s.Error("the crowd was too small: Redis was never full")
			}
		})).
		Feature())
}

func (s *scene) requireNeverRestarted(pod string) {
	s.Helper()
	for _, c := range get[corev1.Pod](s, pod).Status.ContainerStatuses {
		if c.RestartCount > 0 {
			s.Errorf("container %s of Pod %s was restarted %d times: %+v", c.Name, pod, c.RestartCount, c.LastTerminationState)
		}
	}
}

// A Secret that an earlier version has made has no password for the probes, and its user "probe" takes any.
func TestSecretOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	const password, earlier = "a-password-for-the-test", "visits-0123456789abcdef"
	suite.Test(t, features.New("a Redis with a Secret of an earlier version").
		Setup(in(func(s *scene) {
			s.provision("visits", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
			s.awaitService("visits")
			host := "visits." + s.namespace + ".svc" // what it called the Service
			s.create(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: earlier},
				StringData: map[string]string{
					"type": "redis", "provider": "bindery", "host": host, "port": "6379", "username": "default",
					"password": password, "uri": "redis://default:" + password + "@" + host + ":6379/0",
					"users.acl": "user default on >" + password + " ~* &* +@all\nuser probe on nopass resetkeys resetchannels -@all +ping\n",
				},
			})
		})).
		Assess("is edited, and serves", in(func(s *scene) {
			pod := get[corev1.Pod](s, "visits-0")
			for {
				b := get[v1alpha1.BackingService](s, "visits")
				b.Status.Handle.SecretName = earlier
				b.Status.Binding.Name = earlier
				if err := cluster.client.Status().Update(s.ctx, b); err == nil {
					break
				} else if !apierrors.IsConflict(err) {
					s.no(err)
				}
			}
			edit(s, "visits", func(b *v1alpha1.BackingService) { b.Spec.Redis.MaxMemory = new(resource.MustParse("32Mi")) })
			s.await("the Redis has another Pod", patience, func() string {
				if now, err := find[corev1.Pod](s, "visits-0"); err != nil || now.UID == pod.UID || !isReady(now) {
					return fmt.Sprint("its Pod is not ready, or not another one: ", err)
				}
				return ""
			})
			s.awaitService("visits")
			if answer := s.redis("visits", "CONFIG", "GET", "maxmemory"); !strings.HasSuffix(answer, "33554432") {
				s.Errorf("it has %q", answer)
			}
			if secret := s.secretOf("visits"); secret != earlier {
				s.Errorf("its handle is now %s", secret)
			}
		})).
		Feature())
}
