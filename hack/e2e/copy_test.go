//go:build e2e

package e2e

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The data of an app that nobody here has written moves with it: from a PostgreSQL in the cluster to one that somebody
// manages, with a certificate of a private authority, and back with what was written there.
func TestCopy(t *testing.T) {
	t.Parallel()
	var local, managed server
	suite.Test(t, features.New("the data of a database").
		Setup(in(func(s *scene) {
			local, managed = s.runServer(v1alpha1.TypePostgreSQL, "local"), s.runSecureServer(v1alpha1.TypePostgreSQL, "managed")
			s.external("local-database", v1alpha1.TypePostgreSQL, local.handle, "")
			s.bind("miniflux-database", "miniflux", "local-database")
			manifest, err := os.ReadFile("testdata/miniflux.yaml")
			s.no(err)
			s.kubectlReads(string(manifest), "apply", "-f", "-")
			s.awaitBinding("miniflux-database")
			s.miniflux().addCategory(kept)
		})).
		Assess("is not copied onto itself", in(func(s *scene) {
			since, before := s.rollouts("miniflux"), s.podsOf("miniflux")
			s.external("same-database", v1alpha1.TypePostgreSQL, strings.Replace(local.handle, "sslmode=disable", "sslmode=prefer", 1), "", copiedFrom("local-database"))
			s.awaitSeeded("same-database", metav1.ConditionFalse, v1alpha1.ReasonTargetRefuses)
			s.swap("miniflux-database", "same-database")
			s.awaitReason("miniflux-database", v1alpha1.ReasonDataMoving)
			s.swap("miniflux-database", "local-database")
			s.awaitBinding("miniflux-database")
			s.deletes("backingservice", "same-database")
			s.requireRolloutsOf(since, 0, 0)
			if after := s.podsOf("miniflux"); !slices.Equal(before, after) {
				s.Errorf("its Pods were %q, and are %q", before, after)
			}
		})).
		Assess("moves with the app, by one line", in(func(s *scene) {
			s.external("managed-database", v1alpha1.TypePostgreSQL, withAuthorityFile(managed.handle), managed.authority, copiedFrom("local-database"))
			s.awaitSeeded("managed-database", metav1.ConditionFalse, v1alpha1.ReasonWaitingForOthers)
			s.requireCopied("managed-database")
			s.miniflux().requireCategories("All", kept)
			s.miniflux().addCategory("written there")
		})).
		Assess("and back, with what was written there", in(func(s *scene) {
			edit(s, "local-database", func(b *v1alpha1.BackingService) {
				b.Spec.SeedFrom = &v1alpha1.SeedFrom{Name: "managed-database", Method: v1alpha1.SeedCopy, ReplaceData: v1alpha1.ReplaceDataAlways}
			})
			s.requireCopied("local-database")
			s.miniflux().requireCategories("All", kept, "written there")
		})).
		Assess("has told nobody its credentials", in(func(s *scene) {
			s.requireNoCanary()
		})).
		Feature())
}

// copiedFrom has a service get a copy of the data of another one.
func copiedFrom(source string) func(*v1alpha1.BackingServiceSpec) {
	return func(spec *v1alpha1.BackingServiceSpec) {
		spec.SeedFrom = &v1alpha1.SeedFrom{Name: source, Method: v1alpha1.SeedCopy}
	}
}

// requireCopied edits the one line, and requires that the app is attached, with as many Pods as before, after two changes of
// its Deployment: one that stops it, and one that attaches and starts it.
func (s *scene) requireCopied(service string) {
	s.Helper()
	before := get[appsv1.Deployment](s, "miniflux")
	down := s.watchDown("miniflux")
	began := time.Now()
	s.swap("miniflux-database", service)
	s.awaitBinding("miniflux-database")
	took := time.Since(began)
	after := get[appsv1.Deployment](s, "miniflux")
	if *after.Spec.Replicas != *before.Spec.Replicas || after.Annotations[v1alpha1.StoppedAnnotation] != "" {
		s.Errorf("it has %d replicas, and had %d; annotation %q", *after.Spec.Replicas, *before.Spec.Replicas, after.Annotations[v1alpha1.StoppedAnnotation])
	}
	if changes := after.Generation - before.Generation; changes != 2 {
		s.Errorf("its Deployment was changed %d times, want 2", changes)
	}
	s.awaitSeeded(service, metav1.ConditionTrue, v1alpha1.ReasonSeeded)
	s.Logf("from the edit until every Pod was ready with the data: %s; it had no ready Pod for %s", took.Round(100*time.Millisecond),
		down().Round(100*time.Millisecond))
}

// watchDown measures, until the function that it returns is called, for how long a Deployment has no Pod that is ready.
func (s *scene) watchDown(deployment string) (stop func() time.Duration) {
	s.Helper()
	ctx, end := context.WithCancel(s.ctx)
	var down time.Duration
	var looking sync.WaitGroup
	looking.Go(func() {
		last := time.Now()
		wait.UntilWithContext(ctx, func(context.Context) {
			d, err := find[appsv1.Deployment](s, deployment)
			now := time.Now()
			if err == nil && d.Status.ReadyReplicas == 0 {
				down += now.Sub(last)
			}
			last = now
		}, nextLook)
	})
	return func() time.Duration {
		end()
		looking.Wait()
		return down
	}
}
