package doctor

import (
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/config/crd"
)

const (
	// oldest is the oldest Kubernetes with all that Bindery needs: ValidatingAdmissionPolicy is v1 since then.
	oldest = "1.30"
	// bornAttached is the oldest one that has MutatingAdmissionPolicy v1.
	bornAttached = "1.36"
)

const install = "`helm upgrade --install bindery oci://ghcr.io/bindery-dev/charts/bindery --namespace bindery-system --create-namespace`"

func (f Facts) kubernetes() Finding {
	const about = "Kubernetes"
	if f.Kubernetes.Err != nil {
		return unknown(about, f.Kubernetes.Err)
	}
	server, err := version.ParseGeneric(f.Kubernetes.Value)
	switch {
	case err != nil:
		return unknown(about, err)
	case server.LessThan(version.MustParseGeneric(oldest)):
		return Finding{about, Problem, fmt.Sprintf("%s is older than %s, which has the first ValidatingAdmissionPolicy v1", f.Kubernetes.Value, oldest),
			"upgrade the cluster"}
	case server.LessThan(version.MustParseGeneric(bornAttached)):
		return Finding{about, Warning, fmt.Sprintf("%s has no MutatingAdmissionPolicy v1, which %s has: a new workload is attached one rollout "+
			"later, and does not wait for its Bindings", f.Kubernetes.Value, bornAttached), "nothing, or upgrade the cluster"}
	}
	return Finding{About: about, Verdict: OK, Says: f.Kubernetes.Value + " has all that Bindery uses"}
}

// Definitions are the CustomResourceDefinitions that the plugin was built with, by name.
func Definitions() map[string]*apiextensionsv1.CustomResourceDefinition {
	own := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, file := range [][]byte{crd.BackingServices, crd.Bindings} {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(file, definition); err != nil {
			panic(fmt.Sprintf("reading a definition, which is a part of this program: %v", err))
		}
		own[definition.Name] = definition
	}
	return own
}

func (f Facts) definitions() []Finding {
	own := Definitions()
	var findings []Finding
	for _, name := range []string{"backingservices." + v1alpha1.GroupVersion.Group, "bindings." + v1alpha1.GroupVersion.Group} {
		findings = append(findings, definition(name, own[name], f.Definitions[name]))
	}
	return findings
}

func definition(name string, own *apiextensionsv1.CustomResourceDefinition, have Answer[*apiextensionsv1.CustomResourceDefinition]) Finding {
	about := "CustomResourceDefinition " + name
	switch {
	case apierrors.IsNotFound(have.Err):
		return Finding{about, Problem, "it does not exist: Bindery is not installed", install}
	case have.Err != nil:
		return unknown(about, have.Err)
	}
	var served []string
	for _, v := range have.Value.Spec.Versions {
		if v.Served {
			served = append(served, v.Name)
		}
	}
	known := v1alpha1.GroupVersion.Version
	if !slices.Contains(served, known) {
		return Finding{about, Problem, fmt.Sprintf("it serves %s, and this plugin knows %s", strings.Join(served, ", "), known),
			"install the plugin of the release that Bindery is of"}
	}
	mine, theirs := fields(own), fields(have.Value)
	if lacking := without(mine, theirs); len(lacking) > 0 {
		return Finding{about, Warning, "it is of an earlier release than this plugin: it lacks " + few(lacking), "upgrade Bindery: " + install}
	}
	if more := without(theirs, mine); len(more) > 0 {
		return Finding{about, Warning, "it is of a later release than this plugin, which does not know " + few(more), "upgrade the plugin"}
	}
	return Finding{About: about, Verdict: OK, Says: "it serves " + known}
}

// fields are the paths of all fields of the version that the plugin knows, sorted.
func fields(definition *apiextensionsv1.CustomResourceDefinition) []string {
	var paths []string
	for _, v := range definition.Spec.Versions {
		if v.Name == v1alpha1.GroupVersion.Version && v.Schema != nil && v.Schema.OpenAPIV3Schema != nil {
			paths = below("", v.Schema.OpenAPIV3Schema, paths)
		}
	}
	slices.Sort(paths)
	return paths
}

func below(path string, schema *apiextensionsv1.JSONSchemaProps, paths []string) []string {
	for name, property := range schema.Properties {
		at := strings.TrimPrefix(path+"."+name, ".")
		paths = below(at, &property, append(paths, at))
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		paths = below(path+"[]", schema.Items.Schema, paths)
	}
	return paths
}

// without are those of some sorted texts that others do not have.
func without(some, others []string) []string {
	return slices.DeleteFunc(slices.Clone(some), func(text string) bool {
		_, found := slices.BinarySearch(others, text)
		return found
	})
}

// few names at most three.
func few(texts []string) string {
	const most = 3
	if len(texts) <= most {
		return strings.Join(texts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), len(texts)-most)
}

// policy is a group of admission policies that are installed together.
type policy struct {
	about string
	names []string
	// lack is what the cluster lacks without them.
	lack string
	mend string
}

var (
	author = policy{
		about: "admission policies for authors",
		names: []string{
			"bindery-attached-service", "bindery-binding-author", "bindery-returning-service", "bindery-service-author", "bindery-status-author",
		},
		lack: "rights on Bindings and BackingServices are rights on every workload and every Secret of the namespace",
		mend: "install the chart with policies.author=true",
	}
	inUse = policy{
		about: "admission policies for deletions",
		names: []string{"bindery-service-in-use", "bindery-service-moves"},
		lack:  "a service can be deleted while apps are attached to it",
		mend:  "install the chart with policies.inUse=true",
	}
	born = policy{
		about: "admission policies for new workloads",
		names: []string{"bindery-born-attached", "bindery-wait-for-bindings"},
		lack:  "a new workload is attached one rollout later, and does not wait for its Bindings",
		mend:  "install the chart with policies.bornAttached=auto, on Kubernetes " + bornAttached + " or later",
	}
)

func (f Facts) policies() []Finding {
	p := f.Policies
	var validating, mutating []string
	boundValidating, boundMutating := map[string]bool{}, map[string]bool{}
	for _, v := range p.Validating.Value {
		validating = append(validating, v.Name)
	}
	for _, b := range p.ValidatingBindings.Value {
		boundValidating[b.Spec.PolicyName] = true
	}
	for _, m := range p.Mutating.Value {
		mutating = append(mutating, m.Name)
	}
	for _, b := range p.MutatingBindings.Value {
		boundMutating[b.Spec.PolicyName] = true
	}
	errValidating, errMutating := firstError(p.Validating.Err, p.ValidatingBindings.Err), firstError(p.Mutating.Err, p.MutatingBindings.Err)
	return []Finding{
		author.find(validating, boundValidating, errValidating), inUse.find(validating, boundValidating, errValidating),
		born.find(mutating, boundMutating, errMutating),
	}
}

// firstError is the first error of some that does not say that the cluster has no such kind: then there are no policies.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

func (p policy) find(there []string, bound map[string]bool, err error) Finding {
	if err != nil {
		return unknown(p.about, err)
	}
	var missing, unbound []string
	for _, name := range p.names {
		switch {
		case !slices.Contains(there, name):
			missing = append(missing, name)
		case !bound[name]:
			unbound = append(unbound, name)
		}
	}
	switch {
	case len(unbound) > 0:
		return Finding{p.about, Problem, "nothing binds " + strings.Join(unbound, ", ") + ", so: " + p.lack, p.mend}
	case len(missing) > 0:
		return Finding{p.about, Warning, "there is no " + strings.Join(missing, ", ") + ", so: " + p.lack, p.mend}
	}
	return Finding{About: p.about, Verdict: OK, Says: "they are there, and bound"}
}
