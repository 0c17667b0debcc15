package backingservice

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/follow"
)

func TestWhatIsSeenOfASecret(t *testing.T) {
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	long := follow.Sighting{Digest: "b2", Written: at.Add(-time.Hour)}
	had := func(written, content string) *v1alpha1.Handle {
		h := &v1alpha1.Handle{SecretName: "key", Key: "uri", Revision: 3, Content: content}
		if written != "" {
			h.Followed = []v1alpha1.FollowedSecret{{SecretName: "key", Written: written}}
		}
		return h
	}
	changed := follow.Digest("key", "b2")
	for name, test := range map[string]struct {
		before *v1alpha1.Handle
		off    bool
		seen   *follow.Sighting
		gone   bool
		// unlabelled is for how long it has had no label; 0 = that was not looked at.
		unlabelled time.Duration
		// the handle after that
		written, content string
		revision         int64
		again            time.Duration
	}{
		"what is seen first is only written down":         {before: had("", ""), seen: &long, written: "b2", revision: 3},
		"also where there was no handle":                  {seen: &long, written: "b2", revision: 1},
		"the same as before":                              {before: had("b2", "c1"), seen: &long, written: "b2", content: "c1", revision: 3},
		"a change is another revision":                    {before: had("a1", ""), seen: &long, written: "b2", content: changed, revision: 4},
		"and so is the next one":                          {before: had("a1", "c1"), seen: &long, written: "b2", content: changed, revision: 4},
		"without the label everything is forgotten":       {before: had("a1", "c1"), unlabelled: labelShows, revision: 3},
		"but not before it is known that it has none":     {before: had("a1", "c1"), unlabelled: time.Second, written: "a1", content: "c1", revision: 3, again: labelShows - time.Second},
		"a Secret that is gone is not forgotten":          {before: had("a1", "c1"), gone: true, written: "a1", content: "c1", revision: 3},
		"metadata that does not say changes nothing":      {before: had("a1", "c1"), seen: &follow.Sighting{}, written: "a1", content: "c1", revision: 3},
		"an operator that may not follow has forgotten":   {before: had("a1", "c1"), off: true, seen: &long, revision: 3},
		"a second that is not over is waited for":         {before: had("a1", "c1"), seen: &follow.Sighting{Digest: "b2", Written: at.Add(-time.Second / 4)}, written: "a1", content: "c1", revision: 3, again: 3 * time.Second / 4},
		"a second that is over":                           {before: had("a1", ""), seen: &follow.Sighting{Digest: "b2", Written: at.Add(-time.Second)}, written: "b2", content: changed, revision: 4},
		"a time from the future is of a clock of its own": {before: had("a1", ""), seen: &follow.Sighting{Digest: "b2", Written: at.Add(time.Minute)}, written: "b2", content: changed, revision: 4},
	} {
		t.Run(name, func(t *testing.T) {
			o := observation{now: at, followed: followed{on: !test.off, seen: map[string]follow.Sighting{}, gone: map[string]bool{"key": test.gone}}}
			o.service.Spec.External = &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{Name: "key", Key: "uri"}}
			o.service.Status.Handle = test.before
			if test.seen != nil {
				o.followed.seen["key"] = *test.seen
			}
			if test.unlabelled > 0 {
				o.followed.unlabelled = map[string]time.Duration{"key": test.unlabelled}
			}
			p := plan{status: o.begin()}
			o.setHandle(&p.status, "key", "uri", nil)
			o.planFollowed(&p)
			want := &v1alpha1.Handle{SecretName: "key", Key: "uri", Revision: test.revision, Content: test.content}
			if test.written != "" {
				want.Followed = []v1alpha1.FollowedSecret{{SecretName: "key", Written: test.written}}
			}
			if diff := cmp.Diff(want, p.status.Handle); diff != "" {
				t.Errorf("the handle (-want +got):\n%s", diff)
			}
			if p.retryAfter != test.again {
				t.Errorf("it looks again after %s, want %s", p.retryAfter, test.again)
			}
		})
	}
}

// A handle in another Secret begins anew: the apps get it by a swap.
func TestAnotherSecretIsFollowedAnew(t *testing.T) {
	o := observation{now: time.Now(), followed: followed{on: true, seen: map[string]follow.Sighting{"new": {Digest: "b2"}}}}
	o.service.Spec.External = &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{Name: "new", Key: "uri"}}
	o.service.Status.Handle = &v1alpha1.Handle{
		SecretName: "key", Key: "uri", Revision: 3, Content: "c1", Followed: []v1alpha1.FollowedSecret{{SecretName: "key", Written: "a1"}},
	}
	p := plan{status: o.begin()}
	o.setHandle(&p.status, "new", "uri", nil)
	o.planFollowed(&p)
	want := &v1alpha1.Handle{SecretName: "new", Key: "uri", Revision: 4, Followed: []v1alpha1.FollowedSecret{{SecretName: "new", Written: "b2"}}}
	if diff := cmp.Diff(want, p.status.Handle); diff != "" {
		t.Errorf("the handle (-want +got):\n%s", diff)
	}
}

// Only what the spec names is followed: not what Bindery has made, and not what another operator publishes.
func TestSecretsThatASpecNames(t *testing.T) {
	ca := func(kind v1alpha1.AuthorityKind, name string) *v1alpha1.AuthorityReference {
		return &v1alpha1.AuthorityReference{Kind: kind, Name: name}
	}
	ref := &v1alpha1.SecretKeyReference{Name: "key"}
	for name, test := range map[string]struct {
		spec v1alpha1.BackingServiceSpec
		want []string
	}{
		"provisioned":                   {v1alpha1.BackingServiceSpec{Redis: &v1alpha1.RedisSource{}}, nil},
		"published by another operator": {v1alpha1.BackingServiceSpec{ResourceRef: &v1alpha1.ResourceReference{}}, nil},
		"a URL":                         {v1alpha1.BackingServiceSpec{External: &v1alpha1.ExternalSource{URL: "http://a"}}, nil},
		"a Secret":                      {v1alpha1.BackingServiceSpec{External: &v1alpha1.ExternalSource{SecretRef: ref}}, []string{"key"}},
		"an authority in a ConfigMap":   {v1alpha1.BackingServiceSpec{External: &v1alpha1.ExternalSource{SecretRef: ref, CARef: ca(v1alpha1.AuthorityConfigMap, "ca")}}, []string{"key"}},
		"an authority in a Secret":      {v1alpha1.BackingServiceSpec{External: &v1alpha1.ExternalSource{SecretRef: ref, CARef: ca(v1alpha1.AuthoritySecret, "ca")}}, []string{"key", "ca"}},
		"an authority in the same one":  {v1alpha1.BackingServiceSpec{External: &v1alpha1.ExternalSource{SecretRef: ref, CARef: ca(v1alpha1.AuthoritySecret, "key")}}, []string{"key"}},
		"a URL, and its authority":      {v1alpha1.BackingServiceSpec{External: &v1alpha1.ExternalSource{URL: "https://a", CARef: ca(v1alpha1.AuthoritySecret, "ca")}}, []string{"ca"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, secretsOf(&test.spec)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
