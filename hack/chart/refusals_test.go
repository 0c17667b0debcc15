package chart

import "testing"

// What contradicts itself, or has the wrong form, is refused before anything is asked of a cluster. The message names the
// value.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		values    string
		arguments []string
		says      []string
	}{
		"a typo":                        {values: "replica: 2", says: []string{"additional properties 'replica' not allowed"}},
		"a typo below":                  {values: "metrics: {serviceMonitor: {enable: true}}", says: []string{"/metrics/serviceMonitor", "'enable' not allowed"}},
		"a typo in an image":            {values: "image: {pullpolicy: Always}", says: []string{"/image", "'pullpolicy' not allowed"}},
		"a word for a switch":           {values: "crds: {enabled: sure}", says: []string{"/crds/enabled", "want boolean"}},
		"a text for a number":           {values: `replicas: "2"`, says: []string{"/replicas", "want integer"}},
		"a digest of the wrong form":    {values: "image: {digest: sha256:abc}", says: []string{"/image/digest", "'sha256:abc' does not match pattern"}},
		"a digest without its kind":     {values: "redis: {image: {digest: " + digest[7:] + "}}", says: []string{"/redis/image/digest", "does not match pattern"}},
		"another pull policy":           {values: "image: {pullPolicy: Sometimes}", says: []string{"/image/pullPolicy", "'IfNotPresent', 'Always', 'Never'"}},
		"a namespace that is no name":   {values: "scope: {namespaces: [Shop]}", says: []string{"/scope/namespaces/0", "'Shop' does not match pattern"}},
		"a namespace twice":             {values: "scope: {namespaces: [a, a]}", says: []string{"/scope/namespaces", "items at 0 and 1 are equal"}},
		"a scope without namespaces":    {values: "scope: {namespaces: []}", says: []string{"scope.namespaces is an empty list", "leave it out"}},
		"a budget for one Pod":          {values: "podDisruptionBudget: {enabled: true}", says: []string{"podDisruptionBudget.enabled with replicas=1", "Set replicas to 2"}},
		"a monitor without metrics":     {values: "metrics: {enabled: false, serviceMonitor: {enabled: true}}", says: []string{"metrics.enabled=false", "metrics.serviceMonitor.enabled"}},
		"a certificate that is not for": {values: "metrics: {secure: false, certificate: {secretName: x}}", says: []string{"metrics.secure=false", "metrics.certificate.secretName"}},
		"a test out of scope":           {values: "{scope: {namespaces: [a, b]}, test: {namespace: c}}", says: []string{"test.namespace=c", "Take one of a, b"}},
		"a Kubernetes that is too old":  {arguments: []string{"--kube-version=1.29.4"}, says: []string{">=1.30.0-0", "incompatible with Kubernetes v1.29.4"}},
		"a duration that is none":       {values: "burstWindow: fast", says: []string{"/burstWindow", "'fast' does not match pattern"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := template(t, append(withValues(t, tt.values), tt.arguments...)...)
			refused(t, err, tt.says...)
		})
	}
}

// What is right at the edge of these rules is accepted.
func TestAccepted(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]string{
		"a budget for two Pods":             "{replicas: 2, podDisruptionBudget: {enabled: true}}",
		"no operator for a while":           "replicas: 0",
		"no Kubernetes namespace but one":   "scope: {namespaces: [a]}",
		"a list that is left out":           "scope: {namespaces: null}",
		"what Helm hands to every chart":    "global: {anything: true}",
		"a certificate of somebody else's":  "metrics: {certificate: {secretName: x}, serviceMonitor: {enabled: true}}",
		"a test in the scope":               "{scope: {namespaces: [a, b]}, test: {namespace: b}}",
		"labels that the chart sets itself": "commonLabels: {app.kubernetes.io/name: other}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rendered := render(t, withValues(t, values)...)
			selector := at(t, rendered.get(t, "Deployment", namespace, operator), "spec", "selector", "matchLabels")
			labels, _ := at(t, rendered.get(t, "Deployment", namespace, operator), "spec", "template", "metadata", "labels").(map[string]any)
			for name, value := range selector.(map[string]any) {
				if labels[name] != value {
					t.Errorf("the Deployment does not find its own Pods: label %s is %v, want %v", name, labels[name], value)
				}
			}
		})
	}
}
