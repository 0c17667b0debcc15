package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/config/crd"
)

// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=bindings.bindery.dev;backingservices.bindery.dev,verbs=get

// checkDefinitions compares the definitions in the cluster with those of this release. An API server drops fields that its
// definition does not have, without a word: the operator would write them again and again, or forget what they say.
func checkDefinitions(ctx context.Context, api client.Reader) (notes []string, err error) {
	for _, file := range [][]byte{crd.BackingServices, crd.Bindings} {
		own := definitionIn(file)
		installed := &apiextensionsv1.CustomResourceDefinition{}
		if err := api.Get(ctx, client.ObjectKey{Name: own.Name}, installed); apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("CustomResourceDefinition %s does not exist: %s", own.Name, install)
		} else if err != nil {
			return nil, fmt.Errorf("reading CustomResourceDefinition %s: %w", own.Name, err)
		}
		note, err := compare(own, installed)
		if err != nil {
			return nil, err
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	return notes, nil
}

const install = "install those of this release, by the chart with crds.enabled=true or by kubectl apply --server-side -k config/crd"

// definitionIn reads a file. The files are parts of this program: one that cannot be read is a fault of the program.
func definitionIn(file []byte) *apiextensionsv1.CustomResourceDefinition {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(file, definition); err != nil {
		panic(fmt.Sprintf("reading a definition: %v", err))
	}
	return definition
}

// compare refuses a definition that lacks something of this release's own. It returns a note about one that has more.
func compare(own, installed *apiextensionsv1.CustomResourceDefinition) (note string, err error) {
	var served []string
	for _, v := range installed.Spec.Versions {
		if v.Served {
			served = append(served, v.Name)
		}
	}
	mine, theirs := fieldsOf(own), fieldsOf(installed)
	if !slices.Contains(served, v1alpha1.GroupVersion.Version) || len(theirs) == 0 {
		return "", fmt.Errorf("CustomResourceDefinition %s serves %s, and this operator knows only %s: run the operator of the "+
			"release that the definition is of", own.Name, versions(served), v1alpha1.GroupVersion.Version)
	}
	if lacking := without(mine, theirs); len(lacking) > 0 {
		return "", fmt.Errorf("CustomResourceDefinition %s is of an earlier release: it lacks %s: %s", own.Name, few(lacking), install)
	}
	if more := without(theirs, mine); len(more) > 0 {
		return fmt.Sprintf("CustomResourceDefinition %s is of a later release: this operator does not know %s, and acts as if it were not set",
			own.Name, few(more)), nil
	}
	return "", nil
}

func versions(served []string) string {
	if len(served) == 0 {
		return "no version"
	}
	return "version " + strings.Join(served, ", ")
}

// fieldsOf are the paths of all fields of the version that this operator knows.
func fieldsOf(definition *apiextensionsv1.CustomResourceDefinition) []string {
	var fields []string
	for _, v := range definition.Spec.Versions {
		if v.Name == v1alpha1.GroupVersion.Version && v.Schema != nil && v.Schema.OpenAPIV3Schema != nil {
			fields = appendFields(fields, "", v.Schema.OpenAPIV3Schema)
		}
	}
	slices.Sort(fields)
	return fields
}

func appendFields(fields []string, path string, schema *apiextensionsv1.JSONSchemaProps) []string {
	for name, property := range schema.Properties {
		at := path + "." + name
		fields = appendFields(append(fields, strings.TrimPrefix(at, ".")), at, &property)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		fields = appendFields(fields, path+"[]", schema.Items.Schema)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		fields = appendFields(fields, path+"{}", schema.AdditionalProperties.Schema)
	}
	return fields
}

// without are those of some sorted strings that others are not.
func without(some, others []string) []string {
	return slices.DeleteFunc(slices.Clone(some), func(s string) bool {
		_, found := slices.BinarySearch(others, s)
		return found
	})
}

// few names at most three fields: one in a new part of the schema brings many.
func few(fields []string) string {
	const most = 3
	if len(fields) <= most {
		return strings.Join(fields, ", ")
	}
	return fmt.Sprintf("%s and %d more fields", strings.Join(fields[:most], ", "), len(fields)-most)
}
