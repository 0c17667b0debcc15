// Package v1alpha1 is the API of Bindery.
//
// A BackingService is an attached resource, as the fourth factor of the Twelve-Factor App describes it: anything an app
// consumes over the network. A Binding puts its handle into environment variables of a workload. Editing
// spec.serviceRef of the Binding swaps the resource; no line of the app changes.
//
// Every rule that one object can break is a CEL rule beside the field it is about, so the API server itself refuses the
// object, with the fix in its message. Rules that need a second object are answered in status conditions.
//
// +kubebuilder:object:generate=true
// +groupName=bindery.dev
package v1alpha1
