package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// scored is what kube-score says about one object, in its JSON of version 2.
type scored struct {
	Type struct {
		Kind string `json:"kind"`
	} `json:"type_meta"`
	Object struct {
		Name string `json:"name"`
	} `json:"object_meta"`
	Checks []struct {
		Check struct {
			ID string `json:"id"`
		} `json:"check"`
		Grade    int  `json:"grade"`
		Skipped  bool `json:"skipped"`
		Comments []struct {
			Path    string `json:"path"`
			Summary string `json:"summary"`
		} `json:"comments"`
	} `json:"checks"`
}

// warning is the best grade of kube-score that is a finding: 1 is critical, 10 is good.
const warning = 5

// kubeScore asks kube-score, for the oldest Kubernetes that the chart takes.
func kubeScore(binary string, manifest []byte) ([]finding, error) {
	command := exec.Command(binary, "score", "--output-format=json", "--kubernetes-version=v1.30",
		"--disable-ignore-checks-annotations", "--enable-optional-test=container-seccomp-profile,container-ports-check", "-")
	command.Stdin = bytes.NewReader(manifest)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	// Its exit status is 1 where it has found something, and where it has failed: then it says why, and no JSON.
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, fmt.Errorf("kube-score: %w", err)
	}
	var objects []scored
	if err := json.Unmarshal(out, &objects); err != nil {
		return nil, fmt.Errorf("kube-score: %w: %s%s", err, out, stderr.String())
	}
	if len(objects) == 0 {
		return nil, errors.New("kube-score found no object to look at")
	}
	var found []finding
	for _, object := range objects {
		for _, test := range object.Checks {
			if test.Skipped || test.Grade > warning {
				continue
			}
			for _, comment := range test.Comments {
				found = append(found, finding{
					check:  "kube-score/" + test.Check.ID,
					object: object.Type.Kind + "/" + object.Object.Name,
					detail: strings.TrimPrefix(comment.Path+": "+comment.Summary, ": "),
				})
			}
		}
	}
	return found, nil
}

// podSecurity asks what Kubernetes asks in a namespace that enforces the level restricted.
func podSecurity(objects []unstructured.Unstructured) ([]finding, error) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	var found []finding
	for _, object := range objects {
		pod, err := podOf(object)
		if err != nil {
			return nil, err
		}
		if pod == nil {
			continue
		}
		for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				found = append(found, finding{
					check: "pod-security/restricted", object: nameOf(object),
					detail: fmt.Sprintf("%s (%s)", result.ForbiddenReason, result.ForbiddenDetail),
				})
			}
		}
	}
	return found, nil
}

// rights asks of every rule what nobody should be able to do because of the chart, and of every binding whom it makes an
// administrator.
func rights(objects []unstructured.Unstructured) ([]finding, error) {
	var found []finding
	for _, object := range objects {
		rules, err := rulesOf(object)
		if err != nil {
			return nil, err
		}
		for _, rule := range rules {
			for _, c := range ruleChecks {
				if c.matches(rule) {
					found = append(found, finding{check: "rights/" + c.name, object: nameOf(object), detail: fmt.Sprintf(
						"%s on %s of %q", strings.Join(rule.Verbs, ", "), strings.Join(rule.Resources, ", "), rule.APIGroups)})
				}
			}
		}
		if role, _, _ := unstructured.NestedString(object.Object, "roleRef", "name"); slices.Contains([]string{"cluster-admin", "admin"}, role) {
			found = append(found, finding{check: "rights/administrator", object: nameOf(object), detail: "it gives the role " + role})
		}
	}
	return found, nil
}

var ruleChecks = []struct {
	name    string
	matches func(rbacv1.PolicyRule) bool
}{
	{"wildcard", func(r rbacv1.PolicyRule) bool {
		return slices.Contains(slices.Concat(r.Verbs, r.APIGroups, r.Resources, r.NonResourceURLs), "*")
	}},
	{"secret-reads", func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.Resources, "secrets") && hasAny(r.Verbs, "get", "list", "watch", "*")
	}},
	{"escalation", func(r rbacv1.PolicyRule) bool { return hasAny(r.Verbs, "bind", "escalate", "impersonate") }},
	{"roles", func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.APIGroups, rbacv1.GroupName) && hasAny(r.Verbs, "create", "update", "patch")
	}},
	{"inside-pods", func(r rbacv1.PolicyRule) bool {
		return hasAny(r.Resources, "pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers", "pods/proxy",
			"nodes/proxy", "services/proxy")
	}},
	{"tokens", func(r rbacv1.PolicyRule) bool {
		return hasAny(r.Resources, "serviceaccounts/token", "certificatesigningrequests/approval")
	}},
	{"admission", func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.APIGroups, "admissionregistration.k8s.io") && hasAny(r.Verbs, "create", "update", "patch", "delete", "deletecollection")
	}},
}

// hasAny tells whether a list has one of the words.
func hasAny(list []string, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return slices.Contains(list, word) })
}
