//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The user chooses what happens to the data.
func TestDeletionPolicy(t *testing.T) {
	t.Parallel()
	var secret types.UID
	suite.Test(t, features.New("a deleted Redis").
		Setup(in(func(s *scene) {
			s.provision("retained", redisWithVolume(v1alpha1.DeletionRetain))
			s.provision("deleted", redisWithVolume(v1alpha1.DeletionDelete))
			s.awaitService("retained", "deleted")
			for _, service := range []string{"retained", "deleted"} {
				s.redis(service, "SET", "from", service)
			}
		})).
		Assess("with deletionPolicy Delete takes its volume with it", in(func(s *scene) {
			s.kubectl("delete", "bsvc", "deleted")
			awaitGone[appsv1.StatefulSet](s, "deleted", patience)
			awaitGone[corev1.PersistentVolumeClaim](s, "bindery-data-deleted-0", patience)
			s.requireAllGone("deleted")
		})).
		Assess("with deletionPolicy Retain leaves its volume, and the handle to it", in(func(s *scene) {
			handle := s.secretOf("retained")
			secret = get[corev1.Secret](s, handle).UID
			s.kubectl("delete", "bsvc", "retained")
			awaitGone[appsv1.StatefulSet](s, "retained", patience)
			awaitGone[corev1.Pod](s, "retained-0", patience)
			s.requireAllGone("retained", handle, "bindery-data-retained-0")
			s.holds("claim and Secret stay", untouched, func() string {
				if have, err := find[corev1.Secret](s, handle); err != nil || have.UID != secret || have.DeletionTimestamp != nil {
					return fmt.Sprintf("Secret %s: %v", handle, err)
				}
				claim, err := find[corev1.PersistentVolumeClaim](s, "bindery-data-retained-0")
				if err != nil {
					return err.Error()
				}
				if claim.DeletionTimestamp != nil || len(claim.OwnerReferences) > 0 {
					return s.asJSON(claim.ObjectMeta)
				}
				return ""
			})
		})).
		Assess("and one of the same name finds its data again", in(func(s *scene) {
			s.provision("retained", redisWithVolume(v1alpha1.DeletionRetain))
			s.awaitService("retained")
			if have := get[corev1.Secret](s, s.secretOf("retained")).UID; have != secret {
				s.Error("its password is another one")
			}
			if have := s.redis("retained", "GET", "from"); have != "retained" {
				s.Errorf("the Redis has %q under the key that was set before", have)
			}
		})).
		Feature())
}

func redisWithVolume(policy v1alpha1.DeletionPolicy) v1alpha1.BackingServiceSpec {
	return v1alpha1.BackingServiceSpec{
		Type:           v1alpha1.TypeRedis,
		Redis:          &v1alpha1.RedisSource{Storage: &v1alpha1.Storage{Size: resource.MustParse("1Gi")}},
		DeletionPolicy: policy,
	}
}

// requireAllGone waits until nothing of a service is left but its volume, and objects of these names.
func (s *scene) requireAllGone(service string, but ...string) {
	s.Helper()
	s.await("everything else of BackingService "+service+" is gone", patience, func() string {
		for kind, objects := range s.objects() {
			for i := range objects {
				if objects[i].GetLabels()[v1alpha1.ServiceLabel] == service && !slices.Contains(but, objects[i].GetName()) {
					return "there is " + kind + " " + objects[i].GetName()
				}
			}
		}
		return ""
	})
}
