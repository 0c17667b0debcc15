//go:build e2e

package e2e

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// When something is missing or conflicts, the Binding says so and the app stays as it is. Once that is fixed, the rest
// happens by itself.
func TestInput(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("a Binding").
		Setup(in(func(s *scene) {
			s.apply("visits2.yaml", "somebody-elses-redis.yaml")
			s.awaitService("visits2")
			s.awaitDeployment("somebody-elses-redis")
		})).
		Assess("to a service that does not exist yet waits for it", in(func(s *scene) {
			s.run("early")
			s.requireLeftAlone("early", func() {
				s.bind("early", "early", "later")
				s.awaitReason("early", v1alpha1.ReasonServiceNotFound)
			})
			s.provision("later", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
			s.awaitBinding("early")
		})).
		Assess("to a service whose Secret does not exist yet waits for it", in(func(s *scene) {
			s.run("secretive")
			s.requireLeftAlone("secretive", func() {
				s.provision("foreign", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
					SecretRef: &v1alpha1.SecretKeyReference{Name: "not-yet", Key: "url"},
				}})
				s.bind("secretive", "secretive", "foreign")
				s.awaitReason("secretive", v1alpha1.ReasonServiceNotReady)
				foreign := get[v1alpha1.BackingService](s, "foreign")
				if why := unmet(foreign.Status.Conditions, foreign.Generation, v1alpha1.ConditionReady,
					metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound); why != "" {
					s.Error(why)
				}
			})
			s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "not-yet"}, Data: get[corev1.Secret](s, "elsewhere-handle").Data})
			s.awaitBinding("secretive")
		})).
		Assess("to an app that does not exist yet waits for it", in(func(s *scene) {
			s.bind("unborn", "unborn", "visits2")
			s.awaitReason("unborn", v1alpha1.ReasonWorkloadNotFound)
			s.run("unborn")
			s.awaitBinding("unborn")
		})).
		Assess("for a variable that the app sets itself says Conflict, until it does no more", in(func(s *scene) {
			s.run("stubborn", "env:\n", "env:\n            - {name: REDIS_URL, value: \"\"}\n")
			s.requireLeftAlone("stubborn", func() {
				s.bind("stubborn", "stubborn", "visits2")
				s.awaitReason("stubborn", v1alpha1.ReasonConflict)
			})
			s.run("stubborn")
			s.awaitBinding("stubborn")
		})).
		Assess("for a variable of an older one's says Conflict, and takes its place when that one goes", in(func(s *scene) {
			s.run("contested")
			s.bind("elder", "contested", "visits2")
			s.awaitBinding("elder")
			s.requireLeftAlone("contested", func() {
				s.bind("younger", "contested", "later")
				s.awaitReason("younger", v1alpha1.ReasonConflict)
			})
			since := s.rollouts("contested")
			s.kubectl("delete", "bnd", "elder")
			s.awaitBinding("younger")
			s.requireRollouts(since, 1) // at no time was the app without
		})).
		Assess("to a service of which little can be tried is Ready, and no Job has failed for it", in(func(s *scene) {
			s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "token"}, StringData: map[string]string{"token": "a-token"}})
			at := &v1alpha1.SecretKeyReference{Name: "token", Key: "token"}
			for kind, test := range map[v1alpha1.ServiceType]struct {
				source v1alpha1.ExternalSource
				reason string
			}{
				// The Redis stands for any server that accepts connections.
				v1alpha1.TypeGeneric: {v1alpha1.ExternalSource{URL: "nats://bindery-visits2:6379"}, v1alpha1.ReasonNotProbed},
				v1alpha1.TypeLoggly:  {v1alpha1.ExternalSource{SecretRef: at}, v1alpha1.ReasonNotProbed},
			} {
				s.provision(string(kind), v1alpha1.BackingServiceSpec{Type: kind, External: &test.source})
				s.awaitVerified(string(kind))
				b := get[v1alpha1.BackingService](s, string(kind))
				if why := unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionVerified, metav1.ConditionTrue, test.reason); why != "" {
					s.Error(why)
				}
				s.requireComplete(string(kind))
			}
			s.run("modest")
			s.bind("modest", "modest", "loggly")
			s.awaitBinding("modest")
		})).
		Assess("for a handle that is not there, or of which a Job can say no more, says so in a word of its own", in(func(s *scene) {
			s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "odd"}, StringData: map[string]string{
				"empty": "", "line-break": "mysql://bindery-visits2:6379/db\n", "sentinels": "redis-sentinel://bindery-visits2:6379/0#main",
			}})
			for key, want := range map[string]struct {
				kind   v1alpha1.ServiceType
				status metav1.ConditionStatus
				reason string
			}{
				"missing":    {v1alpha1.TypeMySQL, metav1.ConditionFalse, v1alpha1.ReasonHandleMissing},
				"empty":      {v1alpha1.TypeMySQL, metav1.ConditionFalse, v1alpha1.ReasonHandleEmpty},
				"line-break": {v1alpha1.TypeMySQL, metav1.ConditionTrue, v1alpha1.ReasonHandleUntrimmed},
				"sentinels":  {v1alpha1.TypeRedis, metav1.ConditionTrue, v1alpha1.ReasonReachable},
			} {
				at := &v1alpha1.SecretKeyReference{Name: "odd", Key: key}
				s.provision(key, v1alpha1.BackingServiceSpec{Type: want.kind, External: &v1alpha1.ExternalSource{SecretRef: at}})
				if want.status == metav1.ConditionFalse {
					s.awaitUnverified(key, want.reason)
					continue
				}
				s.awaitVerified(key)
				b := get[v1alpha1.BackingService](s, key)
				if why := unmet(b.Status.Conditions, b.Generation, v1alpha1.ConditionVerified, want.status, want.reason); why != "" {
					s.Error(why)
				}
			}
		})).
		Feature())
}

// requireLeftAlone requires that something changes nothing of a Deployment.
func (s *scene) requireLeftAlone(deployment string, do func()) {
	s.Helper()
	since := s.rollouts(deployment)
	do()
	if diff := cmp.Diff(since, s.rollouts(deployment), cmp.AllowUnexported(rollouts{})); diff != "" {
		s.Errorf("Deployment %s was changed (-before +after):\n%s", deployment, diff)
	}
}

// requireComplete requires that the Job which tried the handle of a BackingService is Complete, and its Pod no Pod in Error.
func (s *scene) requireComplete(service string) {
	s.Helper()
	jobs, tried := batchv1.JobList{}, client.MatchingLabels{v1alpha1.VerifyLabel: service}
	s.no(cluster.client.List(s.ctx, &jobs, client.InNamespace(s.namespace), tried))
	pods := s.pods(tried)
	if len(jobs.Items) != 1 || len(pods) != 1 {
		s.Fatalf("%s was tried by %d Jobs with %d Pods, want one with one", service, len(jobs.Items), len(pods))
	}
	if jobs.Items[0].Status.CompletionTime == nil || pods[0].Status.Phase != corev1.PodSucceeded {
		s.Errorf("the Job that tried %s is %+v and its Pod has %s, want it Complete", service, jobs.Items[0].Status, pods[0].Status.Phase)
	}
	s.Logf("the Job that tried %s completed %s, and its Pod has %s", service, jobs.Items[0].Status.CompletionTime, pods[0].Status.Phase)
}
