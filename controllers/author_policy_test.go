package controllers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// These policies check the rights of the person who writes an object, because Bindery acts on the object with its own
// rights, which are more.

func bindingAuthor(s *policedScene) {
	deployment := `{workloadRef: {name: app}, serviceRef: {name: visits}}`
	for name, test := range map[string]struct {
		rights []right
		spec   string
		want   string
	}{
		"without the right":                   {nil, deployment, "may not patch deployments.apps app in namespace"},
		"with the right":                      {[]right{"patch apps/deployments"}, deployment, ""},
		"with the right for this Deployment":  {[]right{"patch apps/deployments:app"}, deployment, ""},
		"with the right for another one":      {[]right{"patch apps/deployments:other"}, deployment, "may not patch deployments.apps app"},
		"with the right to read and replace":  {[]right{"get apps/deployments", "update apps/deployments"}, deployment, "may not patch deployments.apps app"},
		"with the right for a subresource":    {[]right{"patch apps/deployments/status"}, deployment, "may not patch deployments.apps app"},
		"with the right in the wrong group":   {[]right{"patch extensions/deployments"}, deployment, "may not patch deployments.apps app"},
		"a StatefulSet, without the right":    {[]right{"patch apps/deployments"}, `{workloadRef: {kind: StatefulSet, name: db}, serviceRef: {name: visits}}`, "may not patch statefulsets.apps db"},
		"a StatefulSet, with the right":       {[]right{"patch apps/statefulsets:db"}, `{workloadRef: {kind: StatefulSet, name: db}, serviceRef: {name: visits}}`, ""},
		"a DaemonSet, without the right":      {[]right{"patch apps/deployments"}, `{workloadRef: {kind: DaemonSet, name: agent}, serviceRef: {name: visits}}`, "may not patch daemonsets.apps agent"},
		"a DaemonSet, with the right":         {[]right{"patch apps/daemonsets"}, `{workloadRef: {kind: DaemonSet, name: agent}, serviceRef: {name: visits}}`, ""},
		"with the right in another namespace": {nil, deployment, "may not patch deployments.apps app in namespace"},
	} {
		s.run(name, func(s *policedScene) {
			user := s.author(test.rights...)
			if name == "with the right in another namespace" {
				s.grant(user, "default", "patch apps/deployments")
			}
			s.answers(s.as(user).Create(s.ctx, s.bindingOf("b", test.spec)), test.want)
		})
	}
}

// change is what somebody does to an object that somebody else has created.
type change[T client.Object] struct {
	rights []right
	change func(T)
	want   string
}

func bindingEditor(s *policedScene) {
	const refused = "may not patch deployments.apps app"
	for name, test := range map[string]change[*v1alpha1.Binding]{
		"a label":                        {nil, func(b *v1alpha1.Binding) { b.Labels = map[string]string{"team": "shop"} }, ""},
		"nothing":                        {nil, func(*v1alpha1.Binding) {}, ""},
		"the service":                    {nil, func(b *v1alpha1.Binding) { b.Spec.ServiceRef.Name = "other" }, refused},
		"the variables":                  {nil, func(b *v1alpha1.Binding) { b.Spec.Env[0].Key = "password" }, refused},
		"the containers":                 {nil, func(b *v1alpha1.Binding) { b.Spec.Containers = nil }, refused},
		"how a swap goes":                {nil, func(b *v1alpha1.Binding) { b.Spec.Swap = &v1alpha1.SwapPolicy{Verify: v1alpha1.VerifyNever} }, refused},
		"an owner":                       {nil, func(b *v1alpha1.Binding) { b.OwnerReferences = []metav1.OwnerReference{goneOwner} }, "metadata.ownerReferences: garbage collection deletes a Binding whose owner is gone, and"},
		"an owner, with the right":       {[]right{"patch apps/deployments:app"}, func(b *v1alpha1.Binding) { b.OwnerReferences = []metav1.OwnerReference{goneOwner} }, ""},
		"a finalizer":                    {nil, func(b *v1alpha1.Binding) { b.Finalizers = []string{"example.com/mine"} }, ""},
		"the service, with the right":    {[]right{"patch apps/deployments:app"}, func(b *v1alpha1.Binding) { b.Spec.ServiceRef.Name = "other" }, ""},
		"the containers, with the right": {[]right{"patch apps/deployments"}, func(b *v1alpha1.Binding) { b.Spec.Containers = nil }, ""},
	} {
		s.run(name, func(s *policedScene) {
			user := s.author(test.rights...)
			b := s.bindingOf("b", `{workloadRef: {name: app}, serviceRef: {name: visits}, env: [{name: URL, key: uri}], containers: [app]}`)
			ok(s, s.Create(s.ctx, b))
			test.change(b)
			s.answers(s.as(user).Update(s.ctx, b), test.want)
		})
	}
	// The remaining owner may be one that is gone; and a Binding without an owner is no child of a collector any more.
	for name, left := range map[string]int{"one owner less": 1, "no owner": 0} {
		s.run(name, func(s *policedScene) {
			b := s.bindingOf("b", `{workloadRef: {name: app}, serviceRef: {name: visits}}`)
			b.OwnerReferences = []metav1.OwnerReference{s.owner("one"), s.owner("two")}
			ok(s, s.Create(s.ctx, b))
			b.OwnerReferences = b.OwnerReferences[:left]
			s.answers(s.as(s.author()).Update(s.ctx, b), refused)
		})
	}
}

// goneOwner is an owner that does not exist: garbage collection deletes an object that has no other owner.
var goneOwner = metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "gone", UID: "3c9c4e5e-4a5b-4f0e-9f0e-0c2f6a1f3b11"}

// owner creates an owner that exists.
func (s *policedScene) owner(name string) metav1.OwnerReference {
	s.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	ok(s, s.Create(s.ctx, object))
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: name, UID: object.UID}
}

func bindingDeleter(s *policedScene) {
	for name, test := range map[string]struct {
		kind   string
		user   string // "" = an author with these rights
		rights []right
		want   string
	}{
		"without the right":                     {want: "deletion: to detach changes the workload, and"},
		"with the right":                        {rights: []right{"patch apps/deployments"}},
		"with the right for this Deployment":    {rights: []right{"patch apps/deployments:app"}},
		"with the right for another one":        {rights: []right{"patch apps/deployments:other"}, want: "may not patch deployments.apps app in namespace"},
		"with the right to delete the workload": {rights: []right{"delete apps/deployments"}, want: "may not patch deployments.apps app"},
		"a StatefulSet, without the right":      {kind: "StatefulSet", rights: []right{"patch apps/deployments"}, want: "may not patch statefulsets.apps app"},
		"a DaemonSet, with the right":           {kind: "DaemonSet", rights: []right{"patch apps/daemonsets:app"}},
		"by a controller of Kubernetes":         {user: "system:serviceaccount:kube-system:job-controller", want: "may not patch deployments.apps app"},
		"with its namespace":                    {user: "system:serviceaccount:kube-system:namespace-controller"},
		"with its owner":                        {user: "system:serviceaccount:kube-system:generic-garbage-collector"},
		"by one process for all":                {user: "system:kube-controller-manager"},
	} {
		s.run(name, func(s *policedScene) {
			if test.kind == "" {
				test.kind = "Deployment"
			}
			b := s.bindingOf("b", fmt.Sprintf(`{workloadRef: {kind: %s, name: app}, serviceRef: {name: visits}}`, test.kind))
			ok(s, s.Create(s.ctx, b))
			user := s.author(test.rights...)
			if test.user != "" {
				user = test.user
				s.grant(user, s.namespace, "delete bindery.dev/bindings")
			}
			s.answers(s.as(user).Delete(s.ctx, b), test.want)
			if err := s.Get(s.ctx, client.ObjectKeyFromObject(b), b); apierrors.IsNotFound(err) != (test.want == "") {
				s.Errorf("afterwards, reading it says %v", err)
			}
		})
	}
}

func bindingCollection(s *policedScene) {
	for _, name := range []string{"a", "b", "c"} {
		ok(s, s.Create(s.ctx, s.bindingOf(name, fmt.Sprintf(`{workloadRef: {name: app-%s}, serviceRef: {name: visits}}`, name))))
	}
	user := s.author("deletecollection bindery.dev/bindings", "patch apps/deployments:app-a", "patch apps/deployments:app-c")
	collection := func() error {
		return s.as(user).DeleteAllOf(s.ctx, &v1alpha1.Binding{}, client.InNamespace(s.namespace))
	}
	s.answers(collection(), "may not patch deployments.apps app-b")
	if err := s.Get(s.ctx, client.ObjectKey{Namespace: s.namespace, Name: "b"}, &v1alpha1.Binding{}); err != nil {
		s.Errorf("the Binding of the workload that the author may not patch: %v", err)
	}
	s.grant(user, s.namespace, "patch apps/deployments:app-b")
	s.answers(collection(), "")
}

// bindingCollected is about the real garbage collection, whose rights on workloads are not checked.
func bindingCollected(s *policedScene) {
	b := s.bindingOf("b", `{workloadRef: {name: app}, serviceRef: {name: visits}}`)
	b.OwnerReferences = []metav1.OwnerReference{s.owner("owner")}
	ok(s, s.Create(s.ctx, b))
	ok(s, s.Delete(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "owner"}}))
	s.await("garbage collection", func() string {
		if err := s.Get(s.ctx, client.ObjectKeyFromObject(b), b); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("the Binding is there: %v", err)
		}
		return ""
	})
}

func serviceAuthor(s *policedScene) {
	named := func(apiVersion, kind string) string {
		return fmt.Sprintf(`{type: generic, resourceRef: {apiVersion: %s, kind: %s, name: x}}`, apiVersion, kind)
	}
	secret := `{type: mysql, external: {secretRef: {name: rds, key: url}}}`
	queue := named("rabbitmq.com/v1beta1", "RabbitmqCluster")
	const (
		parts          = `{type: mysql, external: {secretRef: {name: rds, compose: "mysql://$(username):$(password)@$(host)/shop"}}}`
		file           = `{type: mysql, external: {secretRef: {name: rds, key: url}, caRef: {name: ca}}}`
		inSecret       = `{type: mysql, external: {secretRef: {name: rds, key: url}, caRef: {kind: Secret, name: ca}}}`
		collector      = `{type: collector, collector: {storeRef: {name: visits}}}`
		collectorImage = `{type: collector, collector: {storeRef: {name: visits}, image: "example.com/theirs:1"}}`
		redisImage     = `{type: redis, redis: {image: "example.com/theirs:1"}}`
	)
	for name, test := range map[string]struct {
		rights []right
		spec   string
		want   string
	}{
		"a Redis":                                {nil, `{type: redis, redis: {}}`, ""},
		"a URL":                                  {nil, `{type: redis, external: {url: "redis://a.example.com"}}`, ""},
		"a Secret, without the right":            {nil, secret, "may not get secrets rds in namespace"},
		"a Secret, with the right":               {[]right{"get /secrets"}, secret, ""},
		"a Secret, with the right to it":         {[]right{"get /secrets:rds"}, secret, ""},
		"a Secret, with the right to another":    {[]right{"get /secrets:other"}, secret, "may not get secrets rds"},
		"a Secret, with the right to list":       {[]right{"list /secrets", "watch /secrets", "create /secrets"}, secret, "may not get secrets rds"},
		"keys of a Secret, without the right":    {nil, parts, "may not get secrets rds in namespace"},
		"keys of a Secret, with the right":       {[]right{"get /secrets:rds"}, parts, ""},
		"an authority, without the right":        {[]right{"get /secrets"}, file, "spec.external.caRef: a BackingService hands what it names to apps, and"},
		"an authority, with the right":           {[]right{"get /secrets:rds", "get /configmaps"}, file, ""},
		"an authority, with the right to it":     {[]right{"get /secrets:rds", "get /configmaps:ca"}, file, ""},
		"an authority, of another name":          {[]right{"get /secrets", "get /configmaps:other"}, file, "may not get configmaps ca in namespace"},
		"an authority of a URL":                  {nil, `{type: http, external: {url: "https://a", caRef: {name: ca}}}`, "may not get configmaps ca"},
		"one in a Secret, without the right":     {[]right{"get /secrets:rds", "get /configmaps"}, inSecret, "may not get secrets ca in namespace"},
		"one in a Secret, with the right to it":  {[]right{"get /secrets:rds", "get /secrets:ca"}, inSecret, ""},
		"an object, without the right":           {[]right{"get /secrets"}, queue, "may not get rabbitmqclusters.rabbitmq.com x in namespace"},
		"an object, with the right":              {[]right{"get rabbitmq.com/rabbitmqclusters"}, queue, ""},
		"an object, with the right to it":        {[]right{"get rabbitmq.com/rabbitmqclusters:x"}, queue, ""},
		"an object, with the right to another":   {[]right{"get rabbitmq.com/rabbitmqclusters:y"}, queue, "may not get rabbitmqclusters.rabbitmq.com x"},
		"an object, right in another group":      {[]right{"get example.com/rabbitmqclusters"}, queue, "may not get rabbitmqclusters.rabbitmq.com x"},
		"an object of core, without the right":   {nil, named("v1", "ConfigMap"), "may not get configmaps x"},
		"an object of core, with the right":      {[]right{"get /configmaps"}, named("v1", "ConfigMap"), ""},
		"a collector, without the right":         {nil, collector, "spec.collector: Bindery writes Deployment s and a Binding of it for the author, and"},
		"a collector, with the right":            {[]right{"patch apps/deployments"}, collector, ""},
		"a collector, with the right to its own": {[]right{"patch apps/deployments:s"}, collector, ""},
		"a collector, with the right to another": {[]right{"patch apps/deployments:otel"}, collector, "may not patch deployments.apps s in namespace"},
		"a collector's image, patch alone":       {[]right{"patch apps/deployments"}, collectorImage, "spec.collector.image: Bindery runs the image for the author, and"},
		"a collector's image, create alone":      {[]right{"create apps/deployments"}, collectorImage, "may not patch deployments.apps s"},
		"a collector's image, StatefulSets":      {[]right{"patch apps/deployments", "create apps/statefulsets"}, collectorImage, "may not create deployments.apps in namespace"},
		"a collector's image, with both":         {[]right{"patch apps/deployments", "create apps/deployments"}, collectorImage, ""},
		"a Redis' image, without the right":      {nil, redisImage, "spec.redis.image: Bindery runs the image for the author, and"},
		"a Redis' image, with that to patch":     {[]right{"patch apps/statefulsets", "create apps/deployments"}, redisImage, "may not create statefulsets.apps in namespace"},
		"a Redis' image, with the right":         {[]right{"create apps/statefulsets"}, redisImage, ""},
		"an object whose status is the author's": {[]right{"get rabbitmq.com/rabbitmqclusters", "update rabbitmq.com/rabbitmqclusters/status"}, queue, "spec.resourceRef: the status of the object names the Secret, and who may write it, as"},
		"or may be patched by the author":        {[]right{"get rabbitmq.com/rabbitmqclusters", "patch rabbitmq.com/rabbitmqclusters/status:x"}, queue, "may not get secrets in namespace"},
		"the status and one Secret":              {[]right{"get rabbitmq.com/rabbitmqclusters", "patch rabbitmq.com/rabbitmqclusters/status", "get /secrets:x"}, queue, "may not get secrets in namespace"},
		"the status and every Secret":            {[]right{"get rabbitmq.com/rabbitmqclusters", "patch rabbitmq.com/rabbitmqclusters/status", "get /secrets"}, queue, ""},
		"the status of another object":           {[]right{"get rabbitmq.com/rabbitmqclusters", "patch rabbitmq.com/rabbitmqclusters/status:y"}, queue, ""},
		"the object, but not its status":         {[]right{"get rabbitmq.com/rabbitmqclusters", "update rabbitmq.com/rabbitmqclusters"}, queue, ""},
		"the status of a plural like a singular": {[]right{"get example.com/redis", "update example.com/redis/status"}, named("example.com/v1", "Redis"), "may not get secrets in namespace"},
		"every right in the group, no Secrets":   {[]right{"get example.com/*", "update example.com/*"}, named("example.com/v1", "Index"), "may not get secrets in namespace"},
		"a plural in -ies":                       {[]right{"get example.com/yoyopolicies"}, named("example.com/v1", "YoyoPolicy"), ""},
		"a plural in -eys":                       {[]right{"get example.com/keys"}, named("example.com/v1", "Key"), ""},
		"a plural in -ses":                       {[]right{"get example.com/prometheuses"}, named("example.com/v1", "Prometheus"), ""},
		"a plural in -xes":                       {[]right{"get example.com/mailboxes"}, named("example.com/v1", "Mailbox"), ""},
		"a plural in -ches":                      {[]right{"get example.com/elasticsearches"}, named("example.com/v1", "Elasticsearch"), ""},
		"a plural like the singular":             {[]right{"get example.com/redis"}, named("example.com/v1", "Redis"), ""},
		"a plural that nobody can guess":         {[]right{"get example.com/indices"}, named("example.com/v1", "Index"), "may not get indexes.example.com x"},
		"that too with every right in its group": {[]right{"get example.com/*"}, named("example.com/v1", "Index"), ""},
	} {
		s.run(name, func(s *policedScene) {
			s.answers(s.as(s.author(test.rights...)).Create(s.ctx, s.serviceOf("s", test.spec)), test.want)
		})
	}
	s.run("a collector whose name the API server makes", func(s *policedScene) {
		b := s.serviceOf("", collector)
		b.GenerateName = "otel-"
		s.answers(s.as(s.author("patch apps/deployments:otel-")).Create(s.ctx, b.DeepCopy()), "may not patch deployments.apps otel-")
		user := s.author("patch apps/deployments")
		s.answers(s.as(user).Create(s.ctx, b), "")
	})
}

func serviceEditor(s *policedScene) {
	type service = v1alpha1.BackingService
	secret := `{type: mysql, external: {secretRef: {name: rds, key: url}}}`
	authority := `{type: mysql, external: {secretRef: {name: rds, key: url}, caRef: {name: ca}}}`
	collector := `{type: collector, collector: {storeRef: {name: visits}, image: "example.com/1"}}`
	redis := `{type: redis, redis: {image: "example.com/1"}}`
	queue := `{type: rabbitmq, resourceRef: {apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, name: q}}`
	const (
		token     = `{type: postmark, external: {secretRef: {name: mail}}}`
		asked     = `{type: postmark, external: {secretRef: {name: mail}}, probe: {ask: Vendor, endpoint: "https://a"}}`
		published = `{type: postmark, resourceRef: {apiVersion: example.com/v1, kind: Account, name: p}}`
	)
	asks := func(endpoint string) func(*service) {
		return func(b *service) { b.Spec.Probe = &v1alpha1.ProbeSpec{Ask: v1alpha1.AskVendor, Endpoint: endpoint} }
	}
	for name, test := range map[string]struct {
		spec string
		change[*service]
	}{
		"a label":              {secret, change[*service]{nil, func(b *service) { b.Labels = map[string]string{"team": "shop"} }, ""}},
		"another part of spec": {secret, change[*service]{nil, func(b *service) { b.Spec.DeletionPolicy = v1alpha1.DeletionDelete }, ""}},
		"the Secret":           {secret, change[*service]{nil, func(b *service) { b.Spec.External.SecretRef.Name = "rds2" }, "may not get secrets rds2"}},
		"the key":              {secret, change[*service]{nil, func(b *service) { b.Spec.External.SecretRef.Key = "root" }, "may not get secrets rds"}},
		"how it is composed": {secret, change[*service]{nil, func(b *service) {
			b.Spec.External.SecretRef.Key, b.Spec.External.SecretRef.Compose = "", "mysql://$(host)"
		}, "may not get secrets rds"}},
		"an authority": {secret, change[*service]{nil, func(b *service) {
			b.Spec.External.CARef = &v1alpha1.AuthorityReference{Name: "ca"}
		}, "may not get configmaps ca"}},
		"an authority as it was": {authority, change[*service]{nil, func(b *service) { b.Spec.DeletionPolicy = v1alpha1.DeletionDelete }, ""}},
		"its kind":               {authority, change[*service]{[]right{"get /configmaps"}, func(b *service) { b.Spec.External.CARef.Kind = v1alpha1.AuthoritySecret }, "may not get secrets ca"}},
		"its key, with right":    {authority, change[*service]{[]right{"get /configmaps:ca"}, func(b *service) { b.Spec.External.CARef.Key = "other" }, ""}},
		"it is taken away":       {authority, change[*service]{nil, func(b *service) { b.Spec.External.CARef = nil }, ""}},
		"the Secret, with right": {secret, change[*service]{[]right{"get /secrets:rds2"}, func(b *service) { b.Spec.External.SecretRef.Name = "rds2" }, ""}},
		"a URL into a Secret": {`{type: redis, external: {url: "redis://a"}}`, change[*service]{nil, func(b *service) {
			b.Spec.External = &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{Name: "rds"}}
		}, "may not get secrets rds"}},
		"a Secret into a URL": {`{type: redis, external: {secretRef: {name: rds}}}`, change[*service]{nil, func(b *service) {
			b.Spec.External = &v1alpha1.ExternalSource{URL: "redis://a"}
		}, ""}},
		"to ask a vendor about the Secret":      {token, change[*service]{nil, asks(""), "may not get secrets mail"}},
		"to ask one about it, with the right":   {token, change[*service]{[]right{"get /secrets:mail"}, asks("https://a"), ""}},
		"to ask elsewhere":                      {asked, change[*service]{nil, asks("https://b"), "may not get secrets mail"}},
		"to ask elsewhere, with the right":      {asked, change[*service]{[]right{"get /secrets:mail"}, asks("https://b"), ""}},
		"to ask as before, in a mesh":           {asked, change[*service]{nil, func(b *service) { b.Spec.Probe.Mesh = v1alpha1.ProbeInsideMesh }, ""}},
		"to ask nobody any more":                {asked, change[*service]{nil, func(b *service) { b.Spec.Probe = nil }, ""}},
		"to ask about what an object publishes": {published, change[*service]{nil, asks("https://a"), "may not get accounts.example.com p"}},
		"to ask about that, with the right":     {published, change[*service]{[]right{"get example.com/accounts:p"}, asks("https://a"), ""}},
		"a collector's label":                   {collector, change[*service]{nil, func(b *service) { b.Labels = map[string]string{"team": "shop"} }, ""}},
		"how long a collector is kept": {collector, change[*service]{nil, func(b *service) {
			b.Spec.Retention = &v1alpha1.Retention{DeprovisionAfter: metav1.Duration{Duration: time.Hour}}
		}, ""}},
		"a collector's store":                    {collector, change[*service]{nil, func(b *service) { b.Spec.Collector.StoreRef.Name = "visits2" }, "may not patch deployments.apps s"}},
		"a collector's store, with right":        {collector, change[*service]{[]right{"patch apps/deployments:s"}, func(b *service) { b.Spec.Collector.StoreRef.Name = "visits2" }, ""}},
		"a collector's image as it was":          {collector, change[*service]{[]right{"patch apps/deployments:s"}, func(b *service) { b.Spec.Collector.Replicas = new(int32(3)) }, ""}},
		"a collector's image":                    {collector, change[*service]{[]right{"patch apps/deployments:s"}, func(b *service) { b.Spec.Collector.Image = "example.com/2" }, "may not create deployments.apps"}},
		"a collector's image, with right":        {collector, change[*service]{[]right{"patch apps/deployments:s", "create apps/deployments"}, func(b *service) { b.Spec.Collector.Image = "example.com/2" }, ""}},
		"a collector's image is taken away":      {collector, change[*service]{[]right{"patch apps/deployments:s"}, func(b *service) { b.Spec.Collector.Image = "" }, ""}},
		"a Redis' memory":                        {redis, change[*service]{nil, func(b *service) { b.Spec.Redis.MaxMemory = new(resource.MustParse("64Mi")) }, ""}},
		"a Redis' image":                         {redis, change[*service]{[]right{"patch apps/statefulsets"}, func(b *service) { b.Spec.Redis.Image = "example.com/2" }, "may not create statefulsets.apps"}},
		"a Redis' image, with right":             {redis, change[*service]{[]right{"create apps/statefulsets"}, func(b *service) { b.Spec.Redis.Image = "example.com/2" }, ""}},
		"a Redis' image is taken away":           {redis, change[*service]{nil, func(b *service) { b.Spec.Redis.Image = "" }, ""}},
		"an object whose status is the author's": {queue, change[*service]{[]right{"get rabbitmq.com/rabbitmqclusters:q2", "patch rabbitmq.com/rabbitmqclusters/status"}, func(b *service) { b.Spec.ResourceRef.Name = "q2" }, "may not get secrets in namespace"}},
		"a label, with an object":                {queue, change[*service]{nil, func(b *service) { b.Labels = map[string]string{"team": "shop"} }, ""}},
		"the object":                             {queue, change[*service]{nil, func(b *service) { b.Spec.ResourceRef.Name = "q2" }, "may not get rabbitmqclusters.rabbitmq.com q2"}},
		"the object, with the right":             {queue, change[*service]{[]right{"get rabbitmq.com/rabbitmqclusters:q2"}, func(b *service) { b.Spec.ResourceRef.Name = "q2" }, ""}},
	} {
		s.run(name, func(s *policedScene) {
			user := s.author(test.rights...)
			b := s.serviceOf("s", test.spec)
			ok(s, s.Create(s.ctx, b))
			test.change.change(b)
			s.answers(s.as(user).Update(s.ctx, b), test.want)
		})
	}
}

// attached creates Binding b with this spec and status, and waits until the policies know it.
func (s *policedScene) attached(spec, status string) {
	s.Helper()
	b := s.bindingOf("b", spec)
	ok(s, s.Create(s.ctx, b))
	ok(s, yaml.UnmarshalStrict([]byte(status), &b.Status))
	ok(s, s.Status().Update(s.ctx, b))
	s.learn()
}

// serviceOfApps is about changes of a service to which apps are attached.
func serviceOfApps(s *policedScene) {
	type service = v1alpha1.BackingService
	const (
		url       = `{type: redis, external: {url: "redis://a"}}`
		secret    = `{type: mysql, external: {secretRef: {name: rds, key: url}}}`
		queue     = `{type: rabbitmq, resourceRef: {apiVersion: rabbitmq.com/v1beta1, kind: RabbitmqCluster, name: q}}`
		redis     = `{type: redis, redis: {}}`
		collector = `{type: collector, collector: {storeRef: {name: visits}}}`

		binding = `{workloadRef: {name: app}, serviceRef: {name: s}}`
		carries = `{current: {service: s, secretName: s-1}}`
	)
	edited := func(b *service) { b.Spec.External.URL = "redis://b" }
	forced := func(value string) func(*service) {
		return func(b *service) { b.Annotations = map[string]string{v1alpha1.DeleteInUseAnnotation: value} }
	}
	for name, test := range map[string]struct {
		spec            string
		binding, status string
		change[*service]
	}{
		"a label":                             {url, binding, carries, change[*service]{nil, func(b *service) { b.Labels = map[string]string{"team": "shop"} }, ""}},
		"a finalizer":                         {url, binding, carries, change[*service]{nil, func(b *service) { b.Finalizers = []string{"example.com/mine"} }, ""}},
		"nothing":                             {url, binding, carries, change[*service]{nil, func(*service) {}, ""}},
		"what becomes of it":                  {url, binding, carries, change[*service]{nil, func(b *service) { b.Spec.DeletionPolicy = v1alpha1.DeletionDelete }, ""}},
		"a Redis' memory":                     {redis, binding, carries, change[*service]{nil, func(b *service) { b.Spec.Redis.MaxMemory = new(resource.MustParse("64Mi")) }, ""}},
		"a collector's store":                 {collector, binding, carries, change[*service]{[]right{"patch apps/deployments:s"}, func(b *service) { b.Spec.Collector.StoreRef.Name = "two" }, ""}},
		"the URL":                             {url, binding, carries, change[*service]{nil, edited, "spec.external: a change of it changes what is attached, and"}},
		"the URL, with the right":             {url, binding, carries, change[*service]{[]right{"patch apps/deployments:app"}, edited, ""}},
		"the URL, with the right to another":  {url, binding, carries, change[*service]{[]right{"patch apps/deployments:s"}, edited, "may not patch deployments.apps app, which Binding b attaches, in namespace"}},
		"the URL, of a StatefulSet":           {url, `{workloadRef: {kind: StatefulSet, name: db}, serviceRef: {name: s}}`, carries, change[*service]{[]right{"patch apps/deployments"}, edited, "may not patch statefulsets.apps db"}},
		"the URL, with the right to the set":  {url, `{workloadRef: {kind: StatefulSet, name: db}, serviceRef: {name: s}}`, carries, change[*service]{[]right{"patch apps/statefulsets"}, edited, ""}},
		"the URL, not attached yet":           {url, binding, `{}`, change[*service]{nil, edited, "may not patch deployments.apps app"}},
		"the URL, not left yet":               {url, `{workloadRef: {name: app}, serviceRef: {name: other}}`, carries, change[*service]{nil, edited, "may not patch deployments.apps app"}},
		"the URL, left":                       {url, `{workloadRef: {name: app}, serviceRef: {name: other}}`, `{current: {service: other, secretName: o-1}, previous: {service: s, secretName: s-1}}`, change[*service]{nil, edited, ""}},
		"the Secret":                          {secret, binding, carries, change[*service]{[]right{"get /secrets"}, func(b *service) { b.Spec.External.SecretRef.Name = "rds2" }, "may not patch deployments.apps app"}},
		"the key":                             {secret, binding, carries, change[*service]{[]right{"get /secrets"}, func(b *service) { b.Spec.External.SecretRef.Key = "root" }, "may not patch deployments.apps app"}},
		"the Secret, with the rights":         {secret, binding, carries, change[*service]{[]right{"get /secrets:rds2", "patch apps/deployments:app"}, func(b *service) { b.Spec.External.SecretRef.Name = "rds2" }, ""}},
		"a Secret into a URL":                 {`{type: redis, external: {secretRef: {name: r}}}`, binding, carries, change[*service]{nil, func(b *service) { b.Spec.External = &v1alpha1.ExternalSource{URL: "redis://b"} }, "may not patch deployments.apps app"}},
		"the object":                          {queue, binding, carries, change[*service]{[]right{"get rabbitmq.com/rabbitmqclusters"}, func(b *service) { b.Spec.ResourceRef.Name = "q2" }, "spec.resourceRef: a change of it changes what is attached, and"}},
		"the object, with the rights":         {queue, binding, carries, change[*service]{[]right{"get rabbitmq.com/rabbitmqclusters", "patch apps/deployments"}, func(b *service) { b.Spec.ResourceRef.Name = "q2" }, ""}},
		"an owner":                            {redis, binding, carries, change[*service]{nil, func(b *service) { b.OwnerReferences = []metav1.OwnerReference{goneOwner} }, "metadata.ownerReferences: a change of it changes what is attached, and"}},
		"that it goes in use":                 {redis, binding, carries, change[*service]{nil, forced("true"), "metadata.annotations['bindery.dev/delete-in-use']: a change of it changes what is attached, and"}},
		"that it goes in use, with the right": {redis, binding, carries, change[*service]{[]right{"patch apps/deployments:app"}, forced("true"), ""}},
		"that it does not go in use":          {redis, binding, carries, change[*service]{nil, forced("false"), ""}},
	} {
		s.run(name, func(s *policedScene) {
			b := s.serviceOf("s", test.spec)
			ok(s, s.Create(s.ctx, b))
			s.attached(test.binding, test.status)
			user := s.author(test.rights...)
			test.change.change(b)
			s.answers(s.as(user).Update(s.ctx, b), test.want)
		})
	}
	for name, test := range map[string]struct {
		status string
		rights []right
		want   string
	}{
		"one that apps wait for":                    {`{}`, nil, ""},
		"one that comes back to its apps":           {carries, nil, "spec: BackingService s is still attached, so that to create it changes the app, and"},
		"one that comes back to them, with a right": {carries, []right{"patch apps/deployments:app"}, ""},
	} {
		s.run(name, func(s *policedScene) {
			s.attached(binding, test.status)
			s.answers(s.as(s.author(test.rights...)).Create(s.ctx, s.serviceOf("s", url)), test.want)
		})
	}
}

// serviceOfManyApps: each check of a right costs a third of what one expression may cost, and each workload is checked.
func serviceOfManyApps(s *policedScene) {
	b := s.serviceOf("s", `{type: redis, external: {url: "redis://a"}}`)
	ok(s, s.Create(s.ctx, b))
	for i := range 150 {
		ok(s, s.Create(s.ctx, s.bindingOf(fmt.Sprintf("b%d", i), fmt.Sprintf(`{workloadRef: {name: app%d}, serviceRef: {name: s}}`, i))))
	}
	s.attached(`{workloadRef: {kind: StatefulSet, name: db}, serviceRef: {name: s}}`, `{}`)
	b.Spec.External.URL = "redis://b"
	user := s.author("patch apps/deployments")
	s.answers(s.as(user).Update(s.ctx, b), "may not patch statefulsets.apps db, which Binding b attaches")
	s.grant(user, s.namespace, "patch apps/statefulsets:db")
	began := time.Now()
	s.answers(s.as(user).Update(s.ctx, b), "")
	s.Logf("updated in %s", time.Since(began))
}

// serviceForced is about those who delete a service although it is in use.
func serviceForced(s *policedScene) {
	listed := attachments(1, 1)
	for name, test := range map[string]struct {
		user    string // "" = an author with these rights
		rights  []right
		status  v1alpha1.BackingServiceStatus
		carries string // what the Binding's status says
		want    string
	}{
		"without the right":         {status: listed, want: "bindery.dev/delete-in-use: BackingService s is in use by deployments.apps app0 through Binding b0, which"},
		"with the right":            {status: listed, rights: []right{"patch apps/deployments:app0"}},
		"with that to another":      {status: listed, rights: []right{"patch apps/deployments:app1"}, want: "may not patch in namespace"},
		"beyond what status names":  {status: attachments(200, 0), carries: `{current: {service: s, secretName: s-1}}`, want: "through Binding b0"},
		"not in use":                {status: attachments(0, 0)},
		"by the namespace's end":    {status: listed, user: "system:serviceaccount:kube-system:namespace-controller"},
		"by garbage collection":     {status: listed, user: "system:serviceaccount:kube-system:generic-garbage-collector"},
		"by one process for all":    {status: listed, user: "system:kube-controller-manager"},
		"with the Binding left off": {status: listed, carries: `{current: {service: other, secretName: o-1}}`, want: "through Binding b0"},
	} {
		s.run(name, func(s *policedScene) {
			s.service("s", `{type: redis, redis: {}}`, test.status)
			s.overridden("s")
			b := s.bindingOf("b0", `{workloadRef: {name: app0}, serviceRef: {name: s}}`)
			ok(s, s.Create(s.ctx, b))
			if test.carries != "" {
				ok(s, yaml.UnmarshalStrict([]byte(test.carries), &b.Status))
				ok(s, s.Status().Update(s.ctx, b))
			}
			s.learn()
			user := s.author(test.rights...)
			if test.user != "" {
				user = test.user
				s.grant(user, s.namespace, "delete bindery.dev/backingservices")
			}
			s.answers(s.as(user).Delete(s.ctx, s.serviceNamed("s")), test.want)
		})
	}
}

// statusAuthor: the operator also acts on the status of both kinds, and a role that grants all of bindery.dev grants the
// right to write it.
func statusAuthor(s *policedScene) {
	for name, test := range map[string]struct {
		rights           []right
		binding, service string // the expected answers
	}{
		"with the right to write it": {nil, "may not patch deployments.apps app in namespace", "may not patch deployments.apps in namespace"},
		"and that to the workload":   {[]right{"patch apps/deployments:app"}, "", "may not patch deployments.apps in namespace"},
		"and that to all workloads":  {[]right{"patch apps/deployments"}, "", "may not delete secrets in namespace"},
		"and that to the Secrets":    {[]right{"patch apps/deployments", "delete /secrets"}, "", ""},
	} {
		s.run(name, func(s *policedScene) {
			b := s.bindingOf("b", `{workloadRef: {name: app}, serviceRef: {name: s}}`)
			ok(s, s.Create(s.ctx, b))
			service := s.serviceOf("s", `{type: redis, redis: {}}`)
			ok(s, s.Create(s.ctx, service))
			author := s.as(s.author(append(test.rights, "update bindery.dev/bindings/status", "update bindery.dev/backingservices/status")...))
			b.Status.Injection = &v1alpha1.Injection{SecretName: "prod", Env: []v1alpha1.InjectedVar{{Name: "URL", Key: "url"}}}
			s.answers(author.Status().Update(s.ctx, b), test.binding)
			service.Status.Revisions = []string{"prod"}
			s.answers(author.Status().Update(s.ctx, service), test.service)
		})
	}
}

// operatorAsAuthor: the operator writes the Binding of a collector, deletes it again, and writes every status, with the
// role that it is installed with.
func operatorAsAuthor(s *policedScene) {
	operator := s.as(operatorUser, "system:serviceaccounts", "system:serviceaccounts:"+operatorNamespace, "system:authenticated")
	s.grant(operatorUser, s.namespace, "delete bindery.dev/bindings", "update bindery.dev/bindings", "delete bindery.dev/backingservices")
	s.service("visits", `{type: redis, redis: {}}`, attachments(1, 1))
	s.overridden("visits")
	b := s.bindingOf("b0", `{workloadRef: {name: otel}, serviceRef: {name: visits}}`)
	b.OwnerReferences = []metav1.OwnerReference{s.owner("otel")}
	s.answers(operator.Create(s.ctx, b), "")
	b.Status.Current = &v1alpha1.Attachment{Service: "visits", SecretName: "visits-1"}
	s.answers(operator.Status().Update(s.ctx, b), "")
	s.learn()
	visits := s.serviceNamed("visits")
	ok(s, s.Get(s.ctx, client.ObjectKeyFromObject(visits), visits))
	visits.Status.Endpoint = "visits:6379"
	s.answers(operator.Status().Update(s.ctx, visits), "")
	b.Spec.ServiceRef.Name = "visits2"
	b.OwnerReferences = nil
	s.answers(operator.Update(s.ctx, b), "")
	s.answers(operator.Delete(s.ctx, visits), "")
	s.answers(operator.Delete(s.ctx, b), "")
}

// roleEdit is about those who deploy with the cluster's own role: a person, or the ServiceAccount of a tool.
func roleEdit(s *policedScene) {
	user := "system:serviceaccount:" + s.namespace + ":gitops"
	ok(s, s.Create(s.ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "gitops"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace, Name: "gitops"}},
	}))
	s.awaitRight(user, s.namespace, "create bindery.dev/backingservices")
	tool := s.as(user)
	create := func(o client.Object) { s.Helper(); s.answers(tool.Create(s.ctx, o), "") }
	update := func(o client.Object) { s.Helper(); s.answers(tool.Update(s.ctx, o), "") }

	create(s.serviceOf("rds", `{type: mysql, external: {secretRef: {name: rds, key: url}}}`))
	create(s.serviceOf("visits", `{type: redis, redis: {image: "example.com/redis:1"}}`))
	logs := s.serviceOf("logs", `{type: collector, collector: {storeRef: {name: visits}, image: "example.com/collector:1"}}`)
	create(logs)
	partner := s.serviceOf("partner", `{type: http, external: {url: "https://a.example.com"}}`)
	create(partner)
	b := s.bindingOf("b", `{workloadRef: {name: app}, serviceRef: {name: rds}}`)
	create(b)
	b0 := s.bindingOf("b0", `{workloadRef: {name: app}, serviceRef: {name: partner}}`)
	create(b0)
	partner.Status = attachments(1, 1)
	ok(s, s.Status().Update(s.ctx, partner))
	b0.Status.Current = &v1alpha1.Attachment{Service: "partner", SecretName: "partner-1"}
	ok(s, s.Status().Update(s.ctx, b0))
	s.learn()

	partner.Spec.External.URL = "https://b.example.com"
	partner.OwnerReferences = []metav1.OwnerReference{s.owner("owner")}
	partner.Annotations = map[string]string{v1alpha1.DeleteInUseAnnotation: "true"}
	update(partner)
	b.Spec.ServiceRef.Name = "partner"
	update(b)
	logs.Spec.Collector.StoreRef.Name = "visits2"
	logs.Spec.Collector.Image = "example.com/collector:2"
	update(logs)
	for _, o := range []client.Object{partner, b, b0, logs} {
		s.answers(tool.Delete(s.ctx, o), "")
	}
}

// TestPoliciesWithoutTheDefinitionOfBindings: two policies are evaluated for each Binding. An API server may know no
// Bindings, because their definition does not exist yet or any more. Then it must still allow deletions.
func TestPoliciesWithoutTheDefinitionOfBindings(t *testing.T) {
	t.Parallel()
	p := startDefined(t, "../config/crd/bases/bindery.dev_backingservices.yaml")
	s, other := p.scene(t), p.scene(t)
	for _, s := range []*policedScene{s, other} {
		s.service("visits", `{type: redis, external: {url: "redis://a"}}`, attachments(1, 1))
		s.service("visits2", `{type: redis, redis: {}}`, attachments(0, 0))
	}
	ok(t, install(t.Context(), p, bornAttachedToo))
	edit := func() error {
		b := s.serviceNamed("visits")
		ok(s, s.Get(s.ctx, client.ObjectKeyFromObject(b), b))
		b.Spec.External.URL += "a"
		return s.Update(s.ctx, b, client.DryRunAll)
	}
	refused := func() string {
		if err := edit(); err == nil || !strings.Contains(err.Error(), "failed to find resource referenced by paramKind") {
			return fmt.Sprintf("an edit of a service answers %v", err)
		}
		return ""
	}
	passes := func() string {
		if err := edit(); err != nil {
			return err.Error()
		}
		return ""
	}

	s.await("the refusal to judge without the definition", refused)
	b := s.serviceNamed("visits")
	ok(s, s.Get(s.ctx, client.ObjectKeyFromObject(b), b))
	b.Status.Endpoint = "a:6379"
	s.answers(s.Status().Update(s.ctx, b), "")
	s.answers(s.Create(s.ctx, s.serviceOf("visits3", `{type: redis, redis: {}}`)), "")
	s.answers(s.Delete(s.ctx, s.serviceNamed("visits2")), "")
	ok(s, other.Delete(s.ctx, other.serviceNamed("visits"), client.PropagationPolicy(metav1.DeletePropagationForeground)))
	other.ends()

	_, err := envtest.InstallCRDs(p.config, envtest.CRDInstallOptions{Paths: []string{"../config/crd/bases"}})
	ok(t, err)
	began := time.Now()
	s.await("the definition in the policies", passes)
	s.Logf("the definition was in the policies after %s", time.Since(began))
	kept := s.bindingOf("b", `{workloadRef: {name: app}, serviceRef: {name: visits}}`)
	kept.Finalizers = []string{"example.com/kept"}
	ok(s, s.Create(s.ctx, kept))
	s.learn()
	author := s.as(s.author())
	ok(s, s.Get(s.ctx, client.ObjectKeyFromObject(b), b))
	b.Spec.External.URL = "redis://b"
	s.answers(author.Update(s.ctx, b), "may not patch deployments.apps app")

	// The deletion of the definition waits for the finalizer of a Binding.
	ok(s, envtest.UninstallCRDs(p.config, envtest.CRDInstallOptions{Paths: []string{"../config/crd/bases/bindery.dev_bindings.yaml"}}))
	s.await("a service that can be edited while the definition goes", func() string {
		if err := author.Update(s.ctx, b, client.DryRunAll); err != nil {
			return err.Error()
		}
		return ""
	})
	ok(s, s.Patch(s.ctx, kept, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
	s.await("the end of the definition", func() string {
		if err := s.Get(s.ctx, client.ObjectKeyFromObject(kept), kept); err == nil {
			return "Bindings are served"
		}
		return ""
	})
	ok(s, author.Update(s.ctx, b))
	s.ends()
}
