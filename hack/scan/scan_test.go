package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// weak has one weak point of each kind.
const weak = `
apiVersion: v1
kind: Pod
metadata: {name: weak}
spec:
  hostNetwork: true
  containers: [{name: a, image: "a:1"}]
---
# Only a comment.
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: weak}
rules:
  - {apiGroups: [""], resources: [secrets], verbs: [create, get]}
  - {apiGroups: ["*"], resources: [widgets], verbs: [get]}
  - {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [escalate]}
  - {apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [patch]}
  - {apiGroups: [""], resources: [pods/exec], verbs: [create]}
  - {apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}
  - {apiGroups: [admissionregistration.k8s.io], resources: [mutatingwebhookconfigurations], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: weak}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
`

const strong = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: strong}
spec:
  template:
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: a
          image: a:1
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: strong}
rules:
  - {apiGroups: [""], resources: [secrets], verbs: [create, delete]}
  - {apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [get]}
  - {apiGroups: [""], resources: [pods], verbs: [get, list, watch]}
`

func TestEveryWeakPointIsFound(t *testing.T) {
	got := map[string]int{}
	for _, f := range mustLook(t, weak) {
		got[f.check]++
	}
	want := map[string]int{
		"rights/secret-reads": 1, "rights/wildcard": 1, "rights/escalation": 1, "rights/roles": 1, "rights/inside-pods": 1,
		"rights/tokens": 1, "rights/admission": 1, "rights/administrator": 1,
		"pod-security/restricted": 5, // the host's network, and four things that are not set
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestWhatIsStrongIsLeftAlone(t *testing.T) {
	if found := mustLook(t, strong); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

func TestObjectWithAFieldThatItsTypeDoesNotHaveIsAnError(t *testing.T) {
	for _, manifest := range []string{
		"kind: Pod\nmetadata: {name: a}\nspec: {host_network: true}\n",
		"kind: Role\nmetadata: {name: a}\nrules: [{verb: [get]}]\n",
	} {
		objects, err := read([]byte(manifest))
		if err != nil {
			t.Fatal(err)
		}
		_, err = podSecurity(objects)
		if err == nil {
			_, err = rights(objects)
		}
		if err == nil {
			t.Errorf("nothing is said about %s", manifest)
		}
	}
}

func TestFindingWithoutAWaiverAndWaiverWithoutAFindingFail(t *testing.T) {
	var all []finding
	for _, w := range waivers {
		if w.reason == "" {
			t.Errorf("the waiver of %s has no reason", w.check)
		}
		all = append(all, finding{check: w.check})
	}
	if err := judge(all); err != nil {
		t.Errorf("what is waived fails: %v", err)
	}
	if err := judge(append(all, finding{check: "rights/new", object: "Role/a"})); err == nil || !strings.Contains(err.Error(), "Role/a: rights/new") {
		t.Errorf("a finding is answered with %v", err)
	}
	if err := judge(all[1:]); err == nil || !strings.Contains(err.Error(), waivers[0].check+" is needed by nothing") {
		t.Errorf("a waiver that nothing needs is answered with %v", err)
	}
}

// mustLook is what is found without kube-score, which is not ours to test.
func mustLook(t *testing.T, manifest string) []finding {
	t.Helper()
	objects, err := read([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	found, err := podSecurity(objects)
	if err != nil {
		t.Fatal(err)
	}
	powerful, err := rights(objects)
	if err != nil {
		t.Fatal(err)
	}
	return append(found, powerful...)
}
