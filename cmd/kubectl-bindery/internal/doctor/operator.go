package doctor

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// OperatorLabel is on the operator's Deployment, with the value OperatorName, which its ServiceAccount has, too.
const (
	OperatorLabel = "app.kubernetes.io/name"
	OperatorName  = "bindery-operator"
	versionLabel  = "app.kubernetes.io/version"
)

func (f Facts) operator() []Finding {
	const about = "operator"
	switch operators := f.Operators; {
	case operators.Err != nil:
		return []Finding{unknown(about, operators.Err)}
	case len(operators.Value) == 0:
		return []Finding{{about, Problem, "there is no Deployment with the label " + OperatorLabel + "=" + OperatorName +
			": nothing is attached or swapped", install}}
	case len(operators.Value) > 1:
		var names []string
		for _, d := range operators.Value {
			names = append(names, d.Namespace+"/"+d.Name)
		}
		return []Finding{{about, Problem, "there are several, and a cluster has one installation: " + strings.Join(names, ", "), "uninstall all but one"}}
	}
	d := &f.Operators.Value[0]
	return []Finding{replicas(d), f.release(d)}
}

// replicas says whether the operator runs.
func replicas(d *appsv1.Deployment) Finding {
	about := fmt.Sprintf("operator %s in %s", d.Name, d.Namespace)
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	says := fmt.Sprintf("%d of %d replicas are ready, image %s", d.Status.ReadyReplicas, want, image(d))
	switch {
	case want == 0:
		return Finding{about, Problem, "it is scaled to 0: nothing is attached or swapped", fmt.Sprintf(
			"`kubectl scale deployment %s -n %s --replicas=1`", d.Name, d.Namespace)}
	case d.Status.ReadyReplicas == 0:
		return Finding{about, Problem, says, fmt.Sprintf(
			"see `kubectl describe deployment %s -n %[2]s` and `kubectl logs deployment/%[1]s -n %[2]s`", d.Name, d.Namespace)}
	case d.Status.ReadyReplicas < want:
		return Finding{about, Warning, says, fmt.Sprintf("see `kubectl get pods -n %s -l %s=%s`", d.Namespace, OperatorLabel, OperatorName)}
	}
	return Finding{About: about, Verdict: OK, Says: says}
}

func image(d *appsv1.Deployment) string {
	if i := slices.IndexFunc(d.Spec.Template.Spec.Containers, isOperator); i >= 0 {
		return d.Spec.Template.Spec.Containers[i].Image
	}
	return "not known"
}

// isOperator tells the operator's container from those that others add.
func isOperator(c corev1.Container) bool { return c.Name == "operator" }

// release compares the version of the operator with that of the plugin.
func (f Facts) release(d *appsv1.Deployment) Finding {
	const about = "versions"
	operator := versionOf(d)
	switch {
	case operator == "":
		return Finding{about, Unknown, "neither the label " + versionLabel + " of the operator nor the tag of its image says which release it is of", ""}
	case f.Plugin == "dev":
		return Finding{About: about, Verdict: OK, Says: "the operator is of " + operator + ", and this plugin is of no release"}
	case operator != strings.TrimPrefix(f.Plugin, "v"):
		return Finding{about, Warning, fmt.Sprintf("the operator is of %s, and this plugin of %s", operator, strings.TrimPrefix(f.Plugin, "v")),
			"install the plugin of the operator's release"}
	}
	return Finding{About: about, Verdict: OK, Says: "operator and plugin are of " + operator}
}

// versionOf is the release of an operator, without v; "" = not known.
func versionOf(d *appsv1.Deployment) string {
	if label := d.Labels[versionLabel]; label != "" {
		return strings.TrimPrefix(label, "v")
	}
	reference, _, _ := strings.Cut(image(d), "@")
	_, tag, found := strings.Cut(reference[strings.LastIndex(reference, "/")+1:], ":")
	if !found || !strings.HasPrefix(tag, "v") {
		return ""
	}
	return strings.TrimPrefix(tag, "v")
}

// Scope are the namespaces that an operator works in, according to its flags; none = all.
func Scope(d *appsv1.Deployment) []string {
	for _, c := range d.Spec.Template.Spec.Containers {
		if !isOperator(c) {
			continue
		}
		for _, arg := range c.Args {
			if list, ok := strings.CutPrefix(arg, "--namespaces="); ok {
				return strings.Split(list, ",")
			}
		}
	}
	return nil
}

func (f Facts) operatorRights() Finding {
	const about = "rights of the operator"
	switch lacks := f.OperatorLacks; {
	case lacks.Err != nil:
		return unknown(about, lacks.Err)
	case len(lacks.Value) > 0:
		return Finding{about, Problem, "its ServiceAccount may not " + few(unique(lacks.Value)), "install the chart again: " + install}
	}
	return Finding{About: about, Verdict: OK, Says: "its ServiceAccount has all that it needs"}
}

func (f Facts) userRights() Finding {
	const about = "your rights"
	if f.Rights.Err != nil {
		return unknown(about, f.Rights.Err)
	}
	var looks, changes []Right
	for _, r := range f.Rights.Value {
		switch {
		case r.Allowed:
		case r.Looks:
			looks = append(looks, r)
		default:
			changes = append(changes, r)
		}
	}
	switch {
	case len(looks) > 0:
		return Finding{about, Warning, "you may not " + few(unique(append(looks, changes...))) + ": what you may not see, the plugin does not show",
			"ask for the role view, or bindery-view, in this namespace"}
	case len(changes) > 0:
		return Finding{about, OK, "you may look, and not change anything: you may not " + few(unique(changes)),
			"to attach and swap, ask for the role edit, or bindery-edit with the right to patch workloads"}
	}
	return Finding{About: about, Verdict: OK, Says: "you may look, attach, swap and detach"}
}

// unique names each right once, whatever the namespaces.
func unique(rights []Right) []string {
	var texts []string
	for _, r := range rights {
		if !slices.Contains(texts, r.String()) {
			texts = append(texts, r.String())
		}
	}
	return texts
}
