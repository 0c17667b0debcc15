package controllers_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// limitDisk makes the namespace count what its Pods may write to the disks of nodes, and limits what one container may
// write.
func (s *scene) limitDisk() {
	s.Helper()
	hard := corev1.ResourceList{
		corev1.ResourceRequestsEphemeralStorage: resource.MustParse("1Gi"), corev1.ResourceLimitsEphemeralStorage: resource.MustParse("4Gi"),
	}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "disk"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}
	s.must(admin.Create(s.ctx, quota))
	quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: corev1.ResourceList{
		corev1.ResourceRequestsEphemeralStorage: resource.MustParse("0"), corev1.ResourceLimitsEphemeralStorage: resource.MustParse("0"),
	}}
	s.must(admin.Status().Update(s.ctx, quota))
	s.must(admin.Create(s.ctx, &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "disk"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")},
			Default: corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")},
		}}},
	}))
}

// Every container of Bindery's has a limit. So it is accepted where disk is counted, and takes no more than it needs.
func TestWhatIsProvisionedBoundsItsDisk(t *testing.T) {
	t.Parallel()
	s := newScene(t, "disk")
	s.limitDisk()
	s.runPods()
	s.service("store", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
	s.service("logs", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeCollector, Collector: &v1alpha1.CollectorSource{
		Replicas: new(int32(1)), StoreRef: v1alpha1.LocalReference{Name: "store"},
	}})
	s.awaitVerified("store", "True/Verified")
	s.awaitVerified("logs", "True/Verified")
	bounds := map[string]string{}
	var pods corev1.PodList
	s.must(admin.List(s.ctx, &pods, client.InNamespace(s.namespace)))
	for _, pod := range pods.Items {
		for _, c := range pod.Spec.Containers {
			bounds[c.Name] = fmt.Sprintf("%s of %s", c.Resources.Requests.StorageEphemeral(), c.Resources.Limits.StorageEphemeral())
		}
		for _, v := range pod.Spec.Volumes {
			if v.EmptyDir != nil {
				bounds["volume "+v.Name] = fmt.Sprint(v.EmptyDir.SizeLimit)
			}
		}
	}
	want := map[string]string{"redis": "0 of 512Mi", "volume data": "256Mi", "collector": "0 of 512Mi", "probe": "0 of 48Mi"}
	if diff := cmp.Diff(want, bounds); diff != "" {
		t.Errorf("what is requested of the disk, and the limit (-want +got):\n%s", diff)
	}
	var jobs batchv1.JobList
	s.must(admin.List(s.ctx, &jobs, client.InNamespace(s.namespace)))
	for _, job := range jobs.Items {
		if job.Status.Failed > 0 {
			t.Errorf("Job %s has failed", job.Name)
		}
	}
}

// A Redis that an earlier version has made has no limits. An upgrade does not restart it to set them; an edit of its spec
// sets them.
func TestAnUpgradeBoundsNothingThatRuns(t *testing.T) {
	t.Parallel()
	s := newScene(t, "disk-upgrade")
	s.service("visits", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}})
	s.serve("visits")
	b := s.awaitService("visits", "True/Ready")
	set := get(s, &appsv1.StatefulSet{}, "visits")
	set.Annotations[v1alpha1.RenderedAnnotation] = fmt.Sprintf("%d/earlier", b.Generation)
	pod := &set.Spec.Template.Spec
	delete(pod.Containers[0].Resources.Requests, corev1.ResourceEphemeralStorage)
	delete(pod.Containers[0].Resources.Limits, corev1.ResourceEphemeralStorage)
	for i := range pod.Volumes {
		if pod.Volumes[i].EmptyDir != nil {
			pod.Volumes[i].EmptyDir.SizeLimit = nil
		}
	}
	s.must(admin.Update(s.ctx, set, client.FieldOwner(v1alpha1.ManagedBy)))
	s.awaitService("visits", "True/Ready")
	s.awaitQuiet()
	if got := get(s, &appsv1.StatefulSet{}, "visits"); got.Generation != set.Generation {
		t.Errorf("the StatefulSet was changed: generation %d instead of %d", got.Generation, set.Generation)
	}
	update(s, &v1alpha1.BackingService{}, "visits", func(b *v1alpha1.BackingService) { b.Spec.Redis.MaxMemory = new(resource.MustParse("64Mi")) })
	s.await("the bounds", func() string {
		if c := get(s, &appsv1.StatefulSet{}, "visits").Spec.Template.Spec.Containers[0]; c.Resources.Limits.StorageEphemeral().IsZero() {
			return "there are none"
		}
		return ""
	})
}
