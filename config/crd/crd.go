// Package crd holds the definitions of Bindery's kinds as they are installed. The operator compares those in the cluster
// with them when it starts.
package crd

import _ "embed" // for the files below

// Bindings is the CustomResourceDefinition of Bindings, as YAML.
//
//go:embed bases/bindery.dev_bindings.yaml
var Bindings []byte

// BackingServices is the CustomResourceDefinition of BackingServices, as YAML.
//
//go:embed bases/bindery.dev_backingservices.yaml
var BackingServices []byte
