//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// A credential is in its Secret, in the Pods that use it, and nowhere else: not where all goes well, nor where a handle is
// refused or is none.
//
// Not in parallel with other tests: servers of all types start at once, which leaves nothing of a small machine.
func TestSecrets(t *testing.T) {
	canaries := map[string]string{}
	suite.Test(t, features.New("a credential").
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "pinger-visits.yaml", "logs.yaml")
			s.awaitService("visits", "logs")
			s.awaitBinding("pinger-visits", "pinger-logs")
			canaries["of a Redis that Bindery provisioned"] = s.password("visits")
			kept := get[corev1.Secret](s, s.secretOf("visits")).Data
			canaries[ofProbes] = string(kept["probe-password"])
			canaries["of moves"], canaries["of replicas"] = string(kept["move-password"]), string(kept["replica-password"])
			s.provision("visits-big", v1alpha1.BackingServiceSpec{
				Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}, SeedFrom: &v1alpha1.SeedFrom{Name: "visits"},
			})
			s.awaitSeeded("visits-big", metav1.ConditionFalse, v1alpha1.ReasonWaitingForOthers)
		})).
		Setup(in(func(s *scene) {
			canary := newCanary()
			canaries["of a Redis that somebody else runs"] = canary
			s.runElsewhere(canary)
			s.apply("elsewhere.yaml", "swap-to-elsewhere.yaml")
			s.awaitBinding("pinger-visits")
			s.visits("somebody-elses-redis:6379", 3)
		})).
		Setup(in(func(s *scene) {
			canary := newCanary()
			canaries["that the Redis refuses"] = canary
			s.bindApp("refused", "redis://"+userinfo(canary)+"@somebody-elses-redis:6379")
			s.bind("refused-too", "nobody", "refused")
			s.awaitUnverified("refused", v1alpha1.ReasonCredentialsRefused)
			s.await("the app's probe says that it is not ready", patience, func() string {
				events, err := cluster.clientset.CoreV1().Events(s.namespace).List(s.ctx, metav1.ListOptions{FieldSelector: "reason=Unhealthy"})
				s.no(err)
				for _, e := range events.Items {
					if strings.HasPrefix(e.InvolvedObject.Name, "refused-") && strings.Contains(e.Message, "503") {
						s.Logf("the Event of the probe: %s", e.Message)
						return ""
					}
				}
				return fmt.Sprintf("there are %d Events of probes", len(events.Items))
			})
		})).
		Setup(in(func(s *scene) {
			canary := newCanary()
			canaries["of a handle that is no URL"] = canary
			s.bindApp("broken", "redis://"+userinfo(canary)+"@somebody-elses-redis:6379b")
			s.provision("broken-logs", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
				Replicas: new(int32(1)), StoreRef: v1alpha1.LocalReference{Name: "broken"},
			}})
			s.awaitCrash(map[string]string{"app": "broken"})
			s.awaitUnverified("broken", v1alpha1.ReasonPortInvalid)
		})).
		Assess("is in a Secret, where this search finds it", in(func(s *scene) {
			var secrets corev1.SecretList
			s.no(cluster.client.List(s.ctx, &secrets))
			text := s.asJSON(secrets.Items)
			for whose, canary := range canaries {
				if found(text, canary) == "" {
					s.Errorf("the credential %s is not found in any Secret", whose)
				}
			}
		})).
		Assess("is in no log", in(func(s *scene) {
			for _, namespace := range []string{s.namespace, operatorNamespace} {
				for source, text := range s.logs(namespace) {
					s.requireNone(canaries, source, text)
				}
			}
		})).
		Assess("is in no object but Secrets, in the whole cluster", in(func(s *scene) {
			s.searchObjects(canaries)
		})).
		Assess("is not in the operator's metrics", in(func(s *scene) {
			pod := s.awaitOperator()
			text := s.operatorMetrics(&pod)
			s.Logf("searched %d bytes of metrics", len(text))
			if !strings.Contains(text, "controller_runtime_reconcile_total") {
				s.Errorf("these are no metrics: %s", text)
			}
			s.requireNone(canaries, "the operator's metrics", text)
		})).
		Assess("of an app is neither in the arguments nor in the environment of Redis", in(func(s *scene) {
			// Redis writes its title over its arguments; what a new process in its container gets is what it was given.
			text := s.kubectl("exec", "visits-0", "--", "sh", "-c", "cat /proc/1/cmdline /proc/1/environ; env")
			if !strings.Contains(text, "redis-server") || !strings.Contains(text, canaries[ofProbes]) {
				s.Error("this is no Redis")
			}
			apps := maps.Clone(canaries)
			delete(apps, ofProbes)
			s.requireNone(apps, "the Redis process", text)
		})).
		Feature())
}

// ofProbes is the canary with which the kubelet's probes ask a Redis whether it is ready, and which can do nothing else.
const ofProbes = "of the probes of a Redis"

// newCanary is a password with characters that a URL has to escape.
func newCanary() string { return fmt.Sprintf("c4n4ry/+%016x%016x", rand.Uint64(), rand.Uint64()) }

// userinfo is a password as it stands in a URL.
func userinfo(password string) string { return url.UserPassword("", password).String() }

// runElsewhere runs the Redis of the samples with another password.
func (s *scene) runElsewhere(password string) {
	s.Helper()
	const inSample = "a-password-for-the-demo"
	text, err := os.ReadFile(samples + "somebody-elses-redis.yaml")
	s.no(err)
	manifest := strings.NewReplacer(
		"redis://:"+inSample, "redis://"+userinfo(password),
		"requirepass "+inSample, "requirepass "+password,
	).Replace(string(text))
	if strings.Contains(manifest, inSample) {
		s.Fatal("the password of the sample is still there")
	}
	s.kubectlReads(manifest, "apply", "-f", "-")
	s.awaitDeployment("somebody-elses-redis")
}

// bindApp runs an app, and attaches it to a Redis that has this handle, whatever it is worth.
func (s *scene) bindApp(name, handle string) {
	s.Helper()
	s.foreign(name, handle)
	s.kubectlReads(app(name), "apply", "-f", "-")
	s.bindUnverified(name, name, name)
}

// awaitCrash waits until a Pod with these labels was started again, so that it has a log of before.
func (s *scene) awaitCrash(labels map[string]string) {
	s.Helper()
	s.await(fmt.Sprintf("a Pod of %v was started again", labels), patience, func() string {
		pods := s.pods(labels)
		for _, pod := range pods {
			for _, c := range pod.Status.ContainerStatuses {
				if c.LastTerminationState.Terminated != nil {
					return ""
				}
			}
		}
		return fmt.Sprintf("none of %d was", len(pods))
	})
}

// logs are those of every container of a namespace: what it says, and what it said before it was started again.
func (s *scene) logs(namespace string) map[string]string {
	s.Helper()
	pods, err := cluster.clientset.CoreV1().Pods(namespace).List(s.ctx, metav1.ListOptions{})
	s.no(err)
	logs, size, previous := map[string]string{}, 0, 0
	read := func(pod, container string, before bool) {
		s.Helper()
		text, err := cluster.clientset.CoreV1().Pods(namespace).
			GetLogs(pod, &corev1.PodLogOptions{Container: container, Previous: before}).DoRaw(s.ctx)
		if apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) {
			return // it has not started, or is gone
		}
		s.no(err)
		logs[fmt.Sprintf("the log of %s in Pod %s (of before: %t)", container, pod, before)] = string(text)
		size += len(text)
		if before {
			previous++
		}
	}
	for _, pod := range pods.Items {
		for _, c := range pod.Status.ContainerStatuses {
			read(pod.Name, c.Name, false)
			if c.LastTerminationState.Terminated != nil {
				read(pod.Name, c.Name, true)
			}
		}
	}
	s.Logf("searched %d logs of %d Pods in namespace %s, %d bytes; %d of them are of before a restart",
		len(logs), len(pods.Items), namespace, size, previous)
	if namespace == s.namespace && previous == 0 {
		s.Error("there was no log of before a restart, want that of an app")
	}
	return logs
}

// searchObjects looks at all of every object that the API server can list, but for Secrets: its status, its annotations
// and its managed fields too.
func (s *scene) searchObjects(canaries map[string]string) {
	s.Helper()
	all, err := kinds()
	s.no(err)
	counts, size := map[string]int{}, 0
	for _, r := range all {
		if r.name == "secrets.v1" {
			continue
		}
		list, err := r.List(s.ctx, metav1.ListOptions{})
		if apierrors.IsMethodNotSupported(err) || apierrors.IsNotFound(err) {
			continue
		}
		s.no(err)
		for i := range list.Items {
			object := &list.Items[i]
			text := s.asJSON(object)
			counts[r.name]++
			size += len(text)
			s.requireNone(canaries, fmt.Sprintf("%s %s/%s", r.name, object.GetNamespace(), object.GetName()), text)
		}
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	s.Logf("searched %d objects of %d kinds, %d bytes", total, len(counts), size)
	for _, kind := range []string{"bindings.v1alpha1.bindery.dev", "backingservices.v1alpha1.bindery.dev", "replicasets.v1.apps", "events.v1"} {
		if counts[kind] == 0 {
			s.Errorf("there was none of %s among %q", kind, slices.Sorted(maps.Keys(counts)))
		}
	}
}

// requireNone requires that a text holds none of the credentials.
func (s *scene) requireNone(canaries map[string]string, source, text string) {
	s.Helper()
	for whose, canary := range canaries {
		if form := found(text, canary); form != "" {
			s.Errorf("%s holds the credential %s, as %s", source, whose, form)
		}
	}
}

// found says in which form a text holds a credential; "" where it does not.
func found(text, canary string) string {
	for name, form := range forms(canary) {
		if strings.Contains(text, form) {
			return name
		}
	}
	return ""
}

// forms are the ways in which a credential can stand in a text.
func forms(canary string) map[string]string {
	all := map[string]string{
		"it is":               canary,
		"escaped in a query":  url.QueryEscape(canary),
		"escaped in a path":   url.PathEscape(canary),
		"escaped in userinfo": strings.TrimPrefix(userinfo(canary), ":"),
	}
	// Base64 of a text that holds it depends on where it begins in there. The characters at both ends are of its
	// neighbours, too.
	for name, plain := range maps.Clone(all) {
		for offset := range 3 {
			encoded, whole := []byte("xx"[:offset]+plain), (offset+len(plain))*8/6
			all[fmt.Sprintf("%s, in base64 from byte %d", name, offset)] = base64.RawStdEncoding.EncodeToString(encoded)[(offset*8+5)/6 : whole]
			all[fmt.Sprintf("%s, in base64url from byte %d", name, offset)] = base64.RawURLEncoding.EncodeToString(encoded)[(offset*8+5)/6 : whole]
		}
	}
	return all
}
