//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// refusedMove is a move that cannot begin, or does not come to an end, until somebody mends what its condition names.
type refusedMove struct {
	from, to string
	target   v1alpha1.BackingServiceSpec
	spoil    func(s *scene)
	reason   string
	// says is in the message: what to do.
	says string
	mend func(s *scene)
	// unbound: no app is attached to the source.
	unbound bool
}

// What stands in the way of a move is found out before any app is touched. The condition says what to do, and when that is
// done, the move goes on by itself.
func TestMoveRefusals(t *testing.T) {
	needTime(t)
	t.Parallel()
	var was untouchedApps
	moves := refusedMoves()
	suite.Test(t, features.New("a move that cannot be made").
		Setup(in(func(s *scene) {
			s.run("app")
			var variables, names []string
			for _, m := range moves {
				s.provision(m.from, stored("1Gi", "96Mi", ""))
				if m.unbound {
					continue
				}
				name := "app-" + m.from
				variables, names = append(variables, strings.ToUpper(m.from)+"_URL"), append(names, name)
				s.bind(name, "app", m.from, variables[len(variables)-1])
			}
			s.awaitBinding(names...)
			s.awaitDeployment("app")
			for _, m := range moves {
				s.awaitService(m.from)
			}
			for _, m := range moves {
				m.spoil(s)
			}
			was = s.touchable()
		})).
		Assess("touches no app, and says what to do", in(func(s *scene) {
			for _, m := range moves {
				s.provision(m.to, m.target)
			}
			for _, m := range moves {
				s.awaitSeeded(m.to, metav1.ConditionFalse, m.reason)
				b := get[v1alpha1.BackingService](s, m.to)
				for _, of := range []string{v1alpha1.ConditionSeeded, v1alpha1.ConditionStalled} {
					c := meta.FindStatusCondition(b.Status.Conditions, of)
					s.Logf("%s: %s=%s, %s: %s", m.to, c.Type, c.Status, c.Reason, c.Message)
					if c.Reason != m.reason || !strings.Contains(c.Message, m.says) {
						s.Errorf("%s: %s says %s: %s; want %s, and: %s", m.to, of, c.Reason, c.Message, m.reason, m.says)
					}
				}
			}
			was.requireStill(s)
		})).
		Assess("goes on when that is done", in(func(s *scene) {
			for _, m := range moves {
				m.mend(s)
			}
			for _, m := range moves {
				s.awaitSeeded(m.to, metav1.ConditionFalse, v1alpha1.ReasonWaitingForOthers)
			}
			was.requireStill(s)
		})).
		Feature())
}

func refusedMoves() []refusedMove {
	brief := stored("1Gi", "128Mi", "busy")
	brief.SeedFrom.Timeout = &metav1.Duration{Duration: 10 * time.Second}
	return []refusedMove{
		{
			from: "busy", to: "busy-new", target: brief,
			// The link carries a key in 4 ms, and there are 5000. What is written meanwhile is more than the source keeps for
			// whoever follows it, so it begins anew before it comes to an end: as with a real link that is too slow.
			spoil: func(s *scene) {
				s.fillRedis("busy", 5000)
				s.redisAdmin("busy", "CONFIG", "SET", "rdb-key-save-delay", "4000", "repl-backlog-size", "16kb",
					"client-output-buffer-limit", "replica 16kb 16kb 0", "repl-diskless-sync-delay", "0")
				s.runBusyWriter("busy")
			},
			reason: v1alpha1.ReasonSeedTimeout, says: "set spec.seedFrom.timeout higher, or write less",
			mend: func(s *scene) {
				s.kubectl("delete", "pod", "busy-writer") // it writes less
				s.redisAdmin("busy", "CONFIG", "SET", "rdb-key-save-delay", "0")
			},
		},
		{
			from: "large", to: "large-new", target: stored("1Gi", "32Mi", "large"),
			spoil:  func(s *scene) { s.fillRedis("large", 40000) },
			reason: v1alpha1.ReasonTargetTooSmall, says: "raise spec.redis.maxMemory",
			mend: func(s *scene) {
				edit(s, "large-new", func(b *v1alpha1.BackingService) { b.Spec.Redis.MaxMemory = new(resource.MustParse("96Mi")) })
			},
		},
		{
			from: "locked", to: "locked-new", target: stored("1Gi", "128Mi", "locked"),
			spoil:  func(s *scene) { s.replaceKey("locked", "move-password", "not-the-password") },
			reason: v1alpha1.ReasonSourceRefuses, says: "was the Secret, or the server's access list, changed by hand?",
			mend: func(s *scene) { s.replaceKey("locked", "move-password", "") },
			// The kubelet keeps an immutable Secret for as long as any Pod has it.
			unbound: true,
		},
		{
			from: "follower", to: "follower-new", target: stored("1Gi", "128Mi", "follower"),
			spoil:  func(s *scene) { s.redisAdmin("follower", "REPLICAOF", "127.0.0.1", "1") },
			reason: v1alpha1.ReasonSourceReadOnly, says: "name the one that is written to",
			mend: func(s *scene) { s.redisAdmin("follower", "REPLICAOF", "NO", "ONE") },
		},
	}
}

// runBusyWriter runs a Pod that writes some 400 times a second to a Redis. It has no Binding.
func (s *scene) runBusyWriter(service string) {
	s.Helper()
	s.create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: service + "-writer"}, Spec: corev1.PodSpec{
		EnableServiceLinks: new(false), AutomountServiceAccountToken: new(false), TerminationGracePeriodSeconds: new(int64(1)),
		Containers: []corev1.Container{{
			Name: "writer", Image: "localhost/bindery/writer:dev", Args: []string{"-pause", "10ms", "-report", "http://127.0.0.1/"},
			Env: []corev1.EnvVar{{Name: "REDIS_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: s.secretOf(service)}, Key: "uri",
			}}}},
		}},
	}})
	s.await("Pod "+service+"-writer writes", patience, func() string {
		if first, second := s.redis(service, "DBSIZE"), s.redis(service, "DBSIZE"); first == second {
			return "there are still " + first + " keys"
		}
		return ""
	})
}

// spoiled are Secrets as they were.
const spoiled = "e2e/before"

// replaceKey replaces a key of the handle's Secret, which is immutable, as `kubectl replace --force` does. "" = what it was before.
// Then the Pods that have the Secret are replaced: the kubelet does not look at it again before the last of them is gone.
func (s *scene) replaceKey(service, key, value string) {
	s.Helper()
	secret := get[corev1.Secret](s, s.secretOf(service))
	s.no(cluster.client.Delete(s.ctx, secret))
	if value == "" {
		value = secret.Annotations[spoiled]
	}
	secret.Annotations = map[string]string{spoiled: string(secret.Data[key])}
	secret.Data[key] = []byte(value)
	secret.ResourceVersion, secret.UID = "", ""
	s.create(secret)
	// A Job that is tried again in between may have it from before, and then the Pod of the Redis gets that, too: so the last
	// round has this Pod alone.
	for again := true; again; {
		old := s.podsWith(secret.Name)
		for _, name := range old {
			s.deletePod(name)
		}
		s.await("the Pods that had Secret "+secret.Name+" are gone", patience, func() string {
			for uid, name := range s.podsWith(secret.Name) {
				if old[uid] != "" {
					return "Pod " + name + " is there"
				}
			}
			return ""
		})
		again = len(old) > 1
		for _, name := range s.podsWith(secret.Name) {
			again = again || name != service+"-0"
		}
	}
	s.awaitService(service)
}

// podsWith are the Pods that refer to a Secret, by their UIDs.
func (s *scene) podsWith(secret string) map[types.UID]string {
	s.Helper()
	found := map[types.UID]string{}
	for _, pod := range s.pods(nil) {
		if strings.Contains(s.asJSON(pod.Spec), `"`+secret+`"`) {
			found[pod.UID] = pod.Name
		}
	}
	return found
}

// untouchedApps are what changes when an app is touched: the generation of each Deployment, its Pods and their restarts.
type untouchedApps map[string]string

func (s *scene) touchable() untouchedApps {
	s.Helper()
	var deployments appsv1.DeploymentList
	s.no(cluster.client.List(s.ctx, &deployments, client.InNamespace(s.namespace)))
	found := untouchedApps{}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		found["Deployment "+d.Name] = fmt.Sprintf("generation %d", d.Generation)
		for _, pod := range s.pods(d.Spec.Selector.MatchLabels) {
			restarts := int32(0)
			for _, c := range pod.Status.ContainerStatuses {
				restarts += c.RestartCount
			}
			found["Pod "+pod.Name] = fmt.Sprintf("%s, %d restarts", pod.UID, restarts)
		}
	}
	return found
}

func (was untouchedApps) requireStill(s *scene) {
	s.Helper()
	if now := s.touchable(); !maps.Equal(was, now) {
		s.Errorf("an app was touched: it was %v, and is %v", was, now)
		return
	}
	s.Logf("untouched: %s", strings.Join(slices.Sorted(maps.Keys(was)), ", "))
}
