package controllers_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// TestPolicies tests the policies on a separate API server, without the operator: the tests write the status that the
// operator would write. The server is shared, because it takes a while to start one.
func TestPolicies(t *testing.T) {
	p := startPoliced(t)
	for name, test := range map[string]func(*policedScene){
		"a service in use stays":                        serviceInUse,
		"the source of a move stays":                    sourceOfAMove,
		"a collection goes without the service in use":  collectionInUse,
		"a namespace goes with the service in use":      namespaceInUse,
		"who creates a Binding may patch the workload":  bindingAuthor,
		"who changes a Binding may patch the workload":  bindingEditor,
		"who names a Secret or an object may get it":    serviceAuthor,
		"who changes what is named may get it":          serviceEditor,
		"who deletes a Binding may patch the workload":  bindingDeleter,
		"a collection of Bindings is judged one by one": bindingCollection,
		"a Binding goes with its owner":                 bindingCollected,
		"who changes what apps use may patch the apps":  serviceOfApps,
		"and there may be many of them":                 serviceOfManyApps,
		"who deletes what apps use may patch the apps":  serviceForced,
		"who writes a status may do what is done by it": statusAuthor,
		"the operator has the rights that are asked":    operatorAsAuthor,
		"the cluster's own role edit is enough":         roleEdit,
		"a workload is born attached":                   bornAttached,
		"and so it is in other ways":                    bornOtherwise,
		"an update keeps what was there":                keptByUpdates,
		"an owner keeps what was there":                 keptByOwners,
		"an undo keeps what was there":                  keptByUndo,
		"what the operator takes out stays out":         leftByTheOperator,
		"what has lost its Binding can go":              leftWithTheBinding,
		"a workload that is being deleted is left":      leftWhileDeleted,
		"nothing breaks without the policy":             keptWithoutThePolicy,
		"a container of another policy is attached too": withAnotherPolicy,
		"large workloads get all or nothing":            bornLarge,
		"many Bindings give all or nothing":             bornWithMany,
		"an owned Binding is for its owner's workload":  bornOwned,
		"a namespace can be taken out":                  bornWhereDisabled,
		"a Deployment waits for its Bindings":           waitsForBindings,
		"its owner may write it while it waits":         pausedForOwners,
		"a Deployment and its Bindings come together":   inOneFile,
		"a Deployment waits for what comes late":        waitsOn,
		"no policy of birth is in anybody's way":        neverInTheWay,
	} {
		t.Run(name, func(t *testing.T) { test(p.scene(t)) })
	}
}

// policed is an API server with the policies.
type policed struct {
	client.Client
	config     *rest.Config
	kubeconfig string
	scenes     int
	markers    int
}

func startPoliced(tb testing.TB) *policed {
	tb.Helper()
	p := startDefined(tb, "../config/crd/bases")
	ok(tb, install(tb.Context(), p, bornAttachedToo))
	p.awaitPolicies(tb)
	return p
}

// startDefined starts an API server, and the controllers of Kubernetes, with these definitions and without policies.
func startDefined(tb testing.TB, definitions string) *policed {
	tb.Helper()
	environment := &envtest.Environment{CRDDirectoryPaths: []string{definitions}, ErrorIfCRDPathMissing: true}
	config, err := environment.Start()
	ok(tb, err)
	tb.Cleanup(func() { ok(tb, environment.Stop()) })
	stop, err := startControllerManager(os.Getenv("KUBEBUILDER_ASSETS"), environment.KubeConfig)
	ok(tb, err)
	tb.Cleanup(stop)

	p := &policed{config: unlimited(config), kubeconfig: filepath.Join(tb.TempDir(), "kubeconfig")}
	ok(tb, os.WriteFile(p.kubeconfig, environment.KubeConfig, 0o600))
	p.Client, err = client.New(p.config, client.Options{Scheme: scheme()})
	ok(tb, err)
	return p
}

// awaitPolicies waits until each policy is in force: the API server looks for new ones once a second.
func (p *policed) awaitPolicies(tb testing.TB) {
	tb.Helper()
	s := p.scene(tb)
	s.service("visits", `{type: redis, external: {url: "redis://a"}}`, attachments(1, 1))
	b := s.bindingOf("b0", `{workloadRef: {name: app0}, serviceRef: {name: visits}}`)
	ok(s, s.Create(s.ctx, b))
	b.Status.Current = &v1alpha1.Attachment{Service: "back", SecretName: "back-1"}
	ok(s, s.Status().Update(s.ctx, b))
	author := s.as(s.author("update bindery.dev/bindings/status"))
	s.await("the policies", func() string {
		edited := s.serviceOf("visits", `{type: redis, external: {url: "redis://b"}}`)
		edited.ResourceVersion = s.versionOf(s.serviceNamed("visits"))
		switch {
		case p.Delete(s.ctx, s.serviceNamed("visits"), client.DryRunAll) == nil:
			return "a service in use can be deleted"
		case author.Create(s.ctx, s.bindingOf("b", `{workloadRef: {name: app}, serviceRef: {name: visits}}`), client.DryRunAll) == nil:
			return "anybody can create a Binding"
		case author.Create(s.ctx, s.serviceOf("s", `{type: redis, external: {secretRef: {name: x}}}`), client.DryRunAll) == nil:
			return "anybody can name a Secret"
		case author.Update(s.ctx, edited, client.DryRunAll) == nil:
			return "anybody can change what is attached"
		case author.Create(s.ctx, s.serviceOf("back", `{type: redis, redis: {}}`), client.DryRunAll) == nil:
			return "anybody can create what is attached"
		case author.Status().Update(s.ctx, b.DeepCopy(), client.DryRunAll) == nil:
			return "anybody can write a status"
		}
		return ""
	})
	s.awaitPolicy(true)
}

// versionOf reads the resourceVersion of an object.
func (s *policedScene) versionOf(o client.Object) string {
	s.Helper()
	ok(s, s.Get(s.ctx, client.ObjectKeyFromObject(o), o))
	return o.GetResourceVersion()
}

// policedScene is a namespace of one test.
type policedScene struct {
	testing.TB
	*policed
	ctx       context.Context
	namespace string
}

func (p *policed) scene(tb testing.TB) *policedScene {
	tb.Helper()
	p.scenes++
	s := &policedScene{TB: tb, policed: p, ctx: tb.Context(), namespace: fmt.Sprintf("policy-%d", p.scenes)}
	ok(tb, p.Create(s.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}))
	return s
}

// run runs a test in a namespace of its own.
func (s *policedScene) run(name string, test func(*policedScene)) {
	s.TB.(*testing.T).Run(name, func(t *testing.T) { test(s.scene(t)) })
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// await waits until check returns "".
func (s *policedScene) await(what string, check func() string) {
	s.Helper()
	var last string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(interval) {
		if last = check(); last == "" {
			return
		}
	}
	s.Fatalf("%s: %s", what, last)
}

// answers compares the answer of the API server with the expected one; "" = it has no objection.
func (s *policedScene) answers(err error, want string) {
	s.Helper()
	answer := ""
	if err != nil {
		answer = err.Error()
	}
	if (answer == "") != (want == "") || !strings.Contains(answer, want) || err != nil && !apierrors.IsForbidden(err) {
		s.Errorf("the API server says %q, want %q", answer, want)
	}
}

func (s *policedScene) serviceNamed(name string) *v1alpha1.BackingService {
	return &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
}

func (s *policedScene) serviceOf(name, spec string) *v1alpha1.BackingService {
	s.Helper()
	b := s.serviceNamed(name)
	ok(s, yaml.UnmarshalStrict([]byte("spec: "+spec), b))
	return b
}

func (s *policedScene) service(name, spec string, status v1alpha1.BackingServiceStatus) {
	s.Helper()
	b := s.serviceOf(name, spec)
	ok(s, s.Create(s.ctx, b))
	b.Status = status
	ok(s, s.Status().Update(s.ctx, b))
}

// attachments is the status of a service with this many attachments. Only the first few are named.
func attachments(count, named int) v1alpha1.BackingServiceStatus {
	status := v1alpha1.BackingServiceStatus{AttachmentCount: int32(count)}
	for i := range named {
		status.Attachments = append(status.Attachments, v1alpha1.ServiceAttachment{
			Binding: fmt.Sprintf("b%d", i), Workload: fmt.Sprintf("Deployment/app%d", i),
		})
	}
	return status
}

func (s *policedScene) bindingOf(name, spec string) *v1alpha1.Binding {
	s.Helper()
	b := &v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	ok(s, yaml.UnmarshalStrict([]byte("spec: "+spec), b))
	return b
}

// as returns a client of a user, who is also in these groups.
func (s *policedScene) as(user string, groups ...string) client.Client {
	s.Helper()
	config := rest.CopyConfig(s.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	c, err := client.New(config, client.Options{Scheme: scheme()})
	ok(s, err)
	return c
}

// right to do something, as "verb group/resource", or "verb group/resource:name" for one object. The core group is "".
type right string

func (r right) parse() authorizationv1.ResourceAttributes {
	verb, rest, _ := strings.Cut(string(r), " ")
	group, rest, _ := strings.Cut(rest, "/")
	rest, name, _ := strings.Cut(rest, ":")
	resource, subresource, _ := strings.Cut(rest, "/")
	return authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Subresource: subresource, Name: name}
}

func (r right) rule() rbacv1.PolicyRule {
	a := r.parse()
	rule := rbacv1.PolicyRule{APIGroups: []string{a.Group}, Resources: []string{a.Resource}, Verbs: []string{a.Verb}}
	if a.Subresource != "" {
		rule.Resources[0] += "/" + a.Subresource
	}
	if a.Name != "" {
		rule.ResourceNames = []string{a.Name}
	}
	return rule
}

// author makes a user who may write the objects of Bindery in this namespace, and also has these rights.
func (s *policedScene) author(rights ...right) string {
	s.Helper()
	user := "author-of-" + s.namespace
	for _, verb := range []string{"create", "update", "delete"} {
		for _, resource := range []string{"bindings", "backingservices"} {
			rights = append(rights, right(verb+" bindery.dev/"+resource))
		}
	}
	s.grant(user, s.namespace, rights...)
	return user
}

// grant gives a user rights in a namespace, and waits until the API server knows of them.
func (s *policedScene) grant(user, namespace string, rights ...right) {
	s.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, GenerateName: "rights-"}
	role := &rbacv1.Role{ObjectMeta: meta}
	for _, r := range rights {
		role.Rules = append(role.Rules, r.rule())
	}
	ok(s, s.Create(s.ctx, role))
	ok(s, s.Create(s.ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
	for _, r := range rights {
		s.awaitRight(user, namespace, r)
	}
}

func (s *policedScene) awaitRight(user, namespace string, r right) {
	s.Helper()
	attributes := r.parse()
	attributes.Namespace = namespace
	s.await("the right to "+string(r), func() string {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, Groups: []string{"system:authenticated"}, ResourceAttributes: &attributes,
		}}
		ok(s, s.Create(s.ctx, review))
		if !review.Status.Allowed {
			return "the API server does not grant it: " + review.Status.Reason
		}
		return ""
	})
}

// kubectl runs a command of kubectl in the namespace, with this input. It returns what the command prints.
func (s *policedScene) kubectl(input string, arguments ...string) string {
	s.Helper()
	printed, err := s.tryKubectl(input, arguments...)
	if err != nil {
		s.Fatalf("kubectl %s: %v: %s", strings.Join(arguments, " "), err, printed)
	}
	return printed
}

func (s *policedScene) tryKubectl(input string, arguments ...string) (string, error) {
	arguments = append([]string{"--kubeconfig", s.kubeconfig, "--namespace", s.namespace}, arguments...)
	command := exec.CommandContext(s.ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), arguments...)
	command.Stdin = strings.NewReader(input)
	printed, err := command.CombinedOutput()
	return string(printed), err
}

func serviceInUse(s *policedScene) {
	inUse := func(who string) string {
		return " is in use by " + who + ": set their spec.serviceRef to another service"
	}
	both := inUse("Binding b0 (Deployment/app0), Binding b1 (Deployment/app1)")
	for name, test := range map[string]struct {
		user       string
		status     v1alpha1.BackingServiceStatus
		annotation string
		gone       int // of the Bindings that the status names, how many of the last ones are gone
		want       string
	}{
		"not attached":                          {},
		"attached to nothing any more":          {status: attachments(0, 0)},
		"one attachment":                        {status: attachments(1, 1), want: inUse("Binding b0 (Deployment/app0)")},
		"two":                                   {status: attachments(2, 2), want: both},
		"five":                                  {status: attachments(5, 5), want: inUse("Binding b0 (Deployment/app0), Binding b1 (Deployment/app1), Binding b2 (Deployment/app2) and 2 more")},
		"more than the status names":            {status: attachments(7, 1), want: inUse("Binding b0 (Deployment/app0) and 6 more")},
		"names alone":                           {status: v1alpha1.BackingServiceStatus{Attachments: attachments(2, 2).Attachments}, want: both},
		"with a name whose Binding is gone":     {status: attachments(2, 2), gone: 1, want: both},
		"with names whose Bindings are gone":    {status: attachments(2, 2), gone: 2},
		"overridden":                            {status: attachments(2, 2), annotation: "true"},
		"not quite overridden":                  {status: attachments(2, 2), annotation: "yes", want: both},
		"deleted by the operator":               {status: attachments(2, 2), user: operatorUser, want: both},
		"deleted by a controller of Kubernetes": {status: attachments(2, 2), user: "system:serviceaccount:kube-system:deployment-controller", want: both},
		"deleted with its namespace":            {status: attachments(2, 2), user: "system:serviceaccount:kube-system:namespace-controller"},
		"deleted with its owner":                {status: attachments(2, 2), user: "system:serviceaccount:kube-system:generic-garbage-collector"},
		"deleted by one process for all":        {status: attachments(2, 2), user: "system:kube-controller-manager"},
	} {
		s.run(name, func(s *policedScene) {
			s.service("visits", `{type: redis, redis: {}}`, test.status)
			s.bound("visits", max(len(test.status.Attachments)-test.gone, 0))
			if test.annotation != "" {
				b := s.serviceNamed("visits")
				ok(s, s.Patch(s.ctx, b, client.RawPatch("application/merge-patch+json",
					fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.DeleteInUseAnnotation, test.annotation))))
			}
			user := test.user
			if user == "" {
				user = "somebody"
			}
			err := s.as(user, "system:masters").Delete(s.ctx, s.serviceNamed("visits"))
			s.answers(err, test.want)
			if err := s.Get(s.ctx, client.ObjectKeyFromObject(s.serviceNamed("visits")), s.serviceNamed("visits")); apierrors.IsNotFound(err) != (test.want == "") {
				s.Errorf("afterwards, reading it says %v", err)
			}
		})
	}
}

// bound creates n of the Bindings that attachments names, and waits until the policies know them.
func (s *policedScene) bound(service string, n int) {
	s.Helper()
	for i := range n {
		ok(s, s.Create(s.ctx, s.bindingOf(fmt.Sprintf("b%d", i), fmt.Sprintf(`{workloadRef: {name: app%d}, serviceRef: {name: %s}}`, i, service))))
	}
	if n > 0 {
		s.learn()
	}
}

// learn waits until the policies know all Bindings in their current state. They learn of them in the order of their
// writes. So they know all of them when they know one more. Until they know that one, a service that it is said to use
// can be deleted.
func (s *policedScene) learn() {
	s.Helper()
	marker := s.bindingOf("marker", `{workloadRef: {name: marker}, serviceRef: {name: looked-at}}`)
	ok(s, s.Create(s.ctx, marker))
	s.service("looked-at", `{type: redis, redis: {}}`, v1alpha1.BackingServiceStatus{
		AttachmentCount: 1, Attachments: []v1alpha1.ServiceAttachment{{Binding: "marker", Workload: "Deployment/marker"}},
	})
	s.await("the Bindings in the policies", func() string {
		if s.Delete(s.ctx, s.serviceNamed("looked-at"), client.DryRunAll) == nil {
			return "a service in use can be deleted"
		}
		return ""
	})
	s.overridden("looked-at")
	ok(s, s.Delete(s.ctx, s.serviceNamed("looked-at")))
	ok(s, s.Delete(s.ctx, marker))
}

// overridden allows the deletion of a service although apps use it.
func (s *policedScene) overridden(service string) {
	s.Helper()
	ok(s, s.Patch(s.ctx, s.serviceNamed(service), client.RawPatch("application/merge-patch+json",
		fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, v1alpha1.DeleteInUseAnnotation))))
}

// sourceOfAMove: a service whose data is on its way is kept while apps write to it through the service that gets the data.
func sourceOfAMove(s *policedScene) {
	at := func(step v1alpha1.MoveStep, attached int32) v1alpha1.BackingServiceStatus {
		return v1alpha1.BackingServiceStatus{AttachmentCount: attached, Move: &v1alpha1.Move{
			ID: "1", Source: "visits", SourceUID: "2", Step: step, Since: metav1.Now(),
		}}
	}
	for name, test := range map[string]struct {
		target v1alpha1.BackingServiceStatus
		user   string
		kept   bool
	}{
		"no app is attached":                  {target: at(v1alpha1.MoveAttaching, 0)},
		"an app is attached":                  {target: at(v1alpha1.MoveAttaching, 1), kept: true},
		"the data is cut over":                {target: at(v1alpha1.MoveCuttingOver, 1), kept: true},
		"the data is copied once more":        {target: at(v1alpha1.MoveSeeding, 1), kept: true},
		"the data is there":                   {target: at(v1alpha1.MoveDone, 1)},
		"the namespace is deleted":            {target: at(v1alpha1.MoveAttaching, 1), user: "system:serviceaccount:kube-system:namespace-controller"},
		"the other service never saw Bindery": {target: v1alpha1.BackingServiceStatus{}},
	} {
		s.run(name, func(s *policedScene) {
			s.service("visits", `{type: redis, redis: {}}`, v1alpha1.BackingServiceStatus{})
			s.service("visits-big", `{type: redis, redis: {}, seedFrom: {name: visits}}`, test.target)
			s.service("other", `{type: redis, redis: {}}`, v1alpha1.BackingServiceStatus{})
			// The policy learns of services in the order of their writes.
			s.service("looked-at", `{type: redis, redis: {}}`, v1alpha1.BackingServiceStatus{})
			s.service("marker", `{type: redis, redis: {}, seedFrom: {name: looked-at}}`, at(v1alpha1.MoveAttaching, 1))
			s.await("the services in the policy", func() string {
				if s.Delete(s.ctx, s.serviceNamed("looked-at"), client.DryRunAll) == nil {
					return "the source of a move can be deleted"
				}
				return ""
			})
			ok(s, s.Delete(s.ctx, s.serviceNamed("other")))
			want := ""
			if test.kept {
				want = "BackingService visits has the data of the apps that are attached to BackingService visits-big, until it is cut over"
			}
			s.answers(s.as(cmp.Or(test.user, "somebody"), "system:masters").Delete(s.ctx, s.serviceNamed("visits")), want)
			if test.kept {
				s.overridden("visits")
				ok(s, s.Delete(s.ctx, s.serviceNamed("visits")))
			}
		})
	}
}

func collectionInUse(s *policedScene) {
	s.service("used", `{type: redis, redis: {}}`, attachments(1, 1))
	s.bound("used", 1)
	s.answers(s.DeleteAllOf(s.ctx, &v1alpha1.BackingService{}, client.InNamespace(s.namespace)), "BackingService used is in use by Binding b0 (Deployment/app0)")
	s.service("unused", `{type: redis, redis: {}}`, attachments(0, 0))
	if printed, err := s.tryKubectl("", "delete", "bsvc", "--all"); err == nil || !strings.Contains(printed, `"unused" deleted`) {
		s.Errorf("kubectl delete bsvc --all: %v: %s", err, printed)
	}
	var left v1alpha1.BackingServiceList
	ok(s, s.List(s.ctx, &left, client.InNamespace(s.namespace)))
	if len(left.Items) != 1 || left.Items[0].Name != "used" {
		s.Errorf("what is left is %v", left.Items)
	}
	empty := s.scene(s.TB)
	empty.service("unused", `{type: redis, redis: {}}`, attachments(0, 0))
	empty.answers(empty.DeleteAllOf(s.ctx, &v1alpha1.BackingService{}, client.InNamespace(empty.namespace)), "")
}

func namespaceInUse(s *policedScene) {
	s.service("visits", `{type: redis, redis: {}}`, attachments(1, 1))
	s.bound("visits", 1)
	s.ends()
}

// ends deletes the namespace, and waits until it is gone.
func (s *policedScene) ends() {
	s.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	ok(s, s.Delete(s.ctx, namespace))
	s.await("the end of the namespace", func() string {
		if err := s.Get(s.ctx, client.ObjectKeyFromObject(namespace), namespace); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("it is there: %v, %v", err, namespace.Status.Conditions)
		}
		return ""
	})
}
