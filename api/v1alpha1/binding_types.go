package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Binding attaches a BackingService to a workload: it puts the service's handle into environment variables. Edit
// spec.serviceRef to swap the service; delete the Binding to detach it. Each is one rolling restart of the workload.
//
// core/v1 has a kind of this name too, which `kubectl get bindings` answers with: use the short name bnd.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=bnd,categories=bindery
// +kubebuilder:printcolumn:name="Workload",type=string,JSONPath=`.spec.workloadRef.name`
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.serviceRef.name`
// +kubebuilder:printcolumn:name="Current",type=string,JSONPath=`.status.current.service`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Binding struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what is attached to what.
	// +required
	Spec BindingSpec `json:"spec"`

	// status is written by Bindery.
	// +optional
	Status BindingStatus `json:"status,omitempty"`
}

// BindingList is a list of Bindings.
//
// +kubebuilder:object:root=true
type BindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Binding `json:"items"`
}

// BindingSpec says what is attached to what.
type BindingSpec struct {
	// workloadRef names the workload, in this namespace, that gets the variables. It need not exist yet. Immutable.
	// Example: `{kind: Deployment, name: pinger}`.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.workloadRef is immutable: create another Binding for the other workload"
	WorkloadRef WorkloadReference `json:"workloadRef"`

	// serviceRef names the BackingService, in this namespace, that is attached. It need not exist yet. Edit it to swap.
	// Example: `{name: visits}`.
	// +required
	ServiceRef LocalReference `json:"serviceRef"`

	// env are the variables that carry the service. Default: the usual variable of the service's type with its handle,
	// for example REDIS_URL. Example: `[{name: REDIS_URL}, {name: REDIS_HOST, key: host}]`.
	//
	// The variables go to the end of the container's env, so `$(REDIS_URL)` in the app's own entries is not expanded.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Env []EnvVar `json:"env,omitempty"`

	// containers that get the variables. Default: every container, but no init container. Example: [pinger].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Containers []string `json:"containers,omitempty"`
}

// WorkloadReference names a workload in the same namespace.
type WorkloadReference struct {
	// apiVersion of the workload. Default: apps/v1.
	// +optional
	// +kubebuilder:default="apps/v1"
	// +kubebuilder:validation:Enum=apps/v1
	APIVersion string `json:"apiVersion,omitempty"`

	// kind of the workload. Default: Deployment.
	// +optional
	// +kubebuilder:default=Deployment
	// +kubebuilder:validation:Enum=Deployment
	Kind string `json:"kind,omitempty"`

	// name of the workload. Example: pinger.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// EnvVar is a variable that carries one key of the service's Secret.
type EnvVar struct {
	// name of the variable. Example: REDIS_URL.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",message="must be a C identifier: letters, digits and '_', not starting with a digit, for example REDIS_URL"
	Name string `json:"name"`

	// key of the service's Secret. uri stands for the handle itself, whatever key the Secret keeps it under. A Secret
	// that Bindery made has type, provider, host, port and uri, and where there are credentials username and password.
	// Default: uri.
	// +optional
	// +kubebuilder:default=uri
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="must be a key of a Secret: letters, digits, '-', '_' and '.'"
	Key string `json:"key,omitempty"`
}

// BindingStatus is what Bindery observed. No credential is ever in it.
type BindingStatus struct {
	// observedGeneration is the generation of the spec that the rest of status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready, ServiceReady, Injected, RolledOut and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// current is what the workload's Pod template carries for this Binding. Absent = nothing.
	// +optional
	Current *Attachment `json:"current,omitempty"`

	// previous is what it carried before. Set spec.serviceRef to its service to go back.
	// +optional
	Previous *Attachment `json:"previous,omitempty"`
}

// Attachment is a handle in a Pod template.
type Attachment struct {
	// service that the handle is of.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Service string `json:"service"`

	// secretName is the Secret that the variables refer to.
	// +required
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`

	// env are the variables. Example: [REDIS_URL].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=256
	Env []string `json:"env,omitempty"`

	// since is when the Pod template got it.
	// +optional
	Since metav1.Time `json:"since,omitempty"`

	// workloadUID and workloadGeneration are the workload, and the generation of it, that carried it first. They tell
	// the rollout that the attachment caused from those that the workload's owner causes.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	WorkloadUID string `json:"workloadUID,omitempty"`
	// +optional
	WorkloadGeneration int64 `json:"workloadGeneration,omitempty"`
}
