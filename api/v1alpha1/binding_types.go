package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Binding attaches a BackingService to a workload: it puts the service's handle into environment variables. Edit
// spec.serviceRef to swap the service; delete the Binding to detach it. Each is one rolling restart of the workload.
//
// core/v1 has a kind of this name too, and `kubectl get bindings` lists that one: use the short name bnd.
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

	// status is written by Bindery. Its observedGeneration is -1 until Bindery has looked at the object, which tells tools that
	// read kstatus to wait.
	// +optional
	// +default={"observedGeneration": -1}
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

	// envPreset says which variables the app gets besides those of env. Handle: the usual variable of the service's type with
	// its handle, if env names none. Split: the usual separate variables of the type, for example PGHOST, PGPORT, PGUSER,
	// PGPASSWORD and PGDATABASE, each from a key of the service's Secret; a variable in env takes another key. Default: Handle.
	// +optional
	EnvPreset EnvPreset `json:"envPreset,omitempty"`

	// containers that get the variables. Default: every container, but no init container. Example: [pinger].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Containers []string `json:"containers,omitempty"`

	// envFrom says what becomes of a container that takes all keys of a Secret or a ConfigMap as variables (envFrom). Bindery
	// cannot know whether one of them has the name of a variable of this Binding, which would be overridden. Allow attaches the
	// service and says so; Forbid leaves the workload as it is. Default: Allow.
	// +optional
	EnvFrom EnvFromPolicy `json:"envFrom,omitempty"`

	// swap says how careful a change of the service is. Example: `{timeout: 5m}`.
	// +optional
	Swap *SwapPolicy `json:"swap,omitempty"`
}

// SwapPolicy says how careful an attachment, or the change from one service to another, is.
type SwapPolicy struct {
	// verify says whether the handle must have been verified before the workload is touched: a Job in the service's
	// namespace speaks the type's protocol with it. Never skips that. Default: Always.
	// +optional
	// +kubebuilder:default=Always
	Verify VerifyPolicy `json:"verify,omitempty"`

	// onFailure says what happens to a rollout that fails: it misses its deadline, or its Pods do not stay available for
	// the settling time. Rollback puts back what the workload carried before, once; Hold leaves it. A new edit of the
	// Binding, or a new handle of the service, tries again; where the workload carried nothing before, a new Pod spec of its
	// owner does too. Default: Rollback.
	// +optional
	// +kubebuilder:default=Rollback
	OnFailure FailurePolicy `json:"onFailure,omitempty"`

	// timeout is how long the rollout may take from its beginning until its last Pod is available. The time does not run
	// while something holds the rollout (it is paused, has a partition, a quota is full), and begins anew after that and with
	// a Pod template of the owner's. It must be longer than minReadySeconds of the workload allows. Default: no such limit; the
	// rollout fails when it makes no progress: for progressDeadlineSeconds of a Deployment, for 10m of other workloads. Example: 5m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be between 1s and 24h, for example 5m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// settlingTime is how long all new Pods must stay available before the swap counts as done: an app without a
	// readiness probe is available for the moment before it crashes. Default: 10s. Example: 30s.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="must be between 0s and 1h, for example 30s"
	SettlingTime *metav1.Duration `json:"settlingTime,omitempty"`

	// maintenance says whether the workload may be stopped (scaled to 0) while data is copied to the service that it is to
	// move to: spec.seedFrom.method: Copy of that service. Never: the copy does not begin. Default: Allow.
	// +optional
	// +kubebuilder:default=Allow
	Maintenance MaintenancePolicy `json:"maintenance,omitempty"`
}

// MaintenancePolicy says whether a workload may be stopped for a while.
//
// +kubebuilder:validation:Enum=Allow;Never
type MaintenancePolicy string

const (
	// MaintenanceAllow allows it.
	MaintenanceAllow MaintenancePolicy = "Allow"
	// MaintenanceNever forbids it.
	MaintenanceNever MaintenancePolicy = "Never"
)

// EnvPreset says which variables an app gets by the type of its service.
//
// +kubebuilder:validation:Enum=Handle;Split
type EnvPreset string

const (
	// EnvPresetHandle is one variable with the handle.
	EnvPresetHandle EnvPreset = "Handle"
	// EnvPresetSplit is a variable for each part of it.
	EnvPresetSplit EnvPreset = "Split"
)

// EnvFromPolicy says what becomes of a container that may have a variable of the Binding from its envFrom too.
//
// +kubebuilder:validation:Enum=Allow;Forbid
type EnvFromPolicy string

const (
	// EnvFromAllow attaches the service; the variable of the Binding is the one that counts.
	EnvFromAllow EnvFromPolicy = "Allow"
	// EnvFromForbid leaves the workload as it is.
	EnvFromForbid EnvFromPolicy = "Forbid"
)

// VerifyPolicy says whether a handle must have been verified.
//
// +kubebuilder:validation:Enum=Always;Never
type VerifyPolicy string

const (
	// VerifyAlways waits until the handle was verified.
	VerifyAlways VerifyPolicy = "Always"
	// VerifyNever does not wait.
	VerifyNever VerifyPolicy = "Never"
)

// FailurePolicy says what happens to a rollout that fails.
//
// +kubebuilder:validation:Enum=Rollback;Hold
type FailurePolicy string

const (
	// FailureRollback puts back what the workload carried before.
	FailureRollback FailurePolicy = "Rollback"
	// FailureHold leaves the workload as it is.
	FailureHold FailurePolicy = "Hold"
)

// WorkloadReference names a workload in the same namespace.
type WorkloadReference struct {
	// apiVersion of the workload. Default: apps/v1.
	// +optional
	// +kubebuilder:default="apps/v1"
	// +kubebuilder:validation:Enum=apps/v1
	APIVersion string `json:"apiVersion,omitempty"`

	// kind of the workload: Deployment, StatefulSet or DaemonSet. Default: Deployment.
	// +optional
	// +kubebuilder:default=Deployment
	// +kubebuilder:validation:Enum=Deployment;StatefulSet;DaemonSet
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
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('BINDERY_')",message="must not begin with BINDERY_: Bindery gives such names to the parts of a handle that it composes"
	Name string `json:"name"`

	// key of the service's Secret. uri stands for the handle itself, whatever key the Secret keeps it under. A Secret
	// that Bindery made has type, provider, host, port and uri, and where there are credentials username and password.
	// ca.crt stands for the authority of a service that has a spec.external.caRef. Default: uri.
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

	// injection is what a workload of this name carries when it is created, or replaced, now. It is never a handle that
	// still has to be verified. Absent = nothing.
	// +optional
	Injection *Injection `json:"injection,omitempty"`

	// stopped says that the workload is scaled to 0, while data is copied to the service that it is to move to. Absent = it
	// is not.
	// +optional
	Stopped *Stop `json:"stopped,omitempty"`

	// history are the last ten attachments and swaps, the newest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	History []Swap `json:"history,omitempty"`
}

// Stop is a workload that is scaled to 0 for a while.
type Stop struct {
	// move that the workload is stopped for: status.move.id of the service that it is to move to.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Move string `json:"move"`

	// replicas that the workload had, and gets back.
	// +required
	Replicas int32 `json:"replicas"`

	// since is when it was scaled to 0.
	// +required
	Since metav1.Time `json:"since"`

	// endedAt is when its last Pod had ended. Absent = not yet.
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`
}

// Attachment is a handle in a Pod template.
type Attachment struct {
	// service that the handle belongs to.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Service string `json:"service"`

	// type of the service.
	// +optional
	Type ServiceType `json:"type,omitempty"`

	// secretName is the Secret that the variables refer to.
	// +required
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`

	// env are the variables. Example: [REDIS_URL].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=320
	// +kubebuilder:validation:items:MaxLength=280
	Env []string `json:"env,omitempty"`

	// content identifies what the Secrets of the handle held when the Pods got it (status.handle.content of the service).
	// Absent = no change of them was seen until then.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Content string `json:"content,omitempty"`

	// since is when the Pod template got it.
	// +optional
	Since metav1.Time `json:"since,omitempty"`

	// state says how far the rollout is that put it into the Pods. Absent: it has settled, under an earlier version.
	// +optional
	State AttachmentState `json:"state,omitempty"`

	// settledAt is when every Pod had carried it, and had been available, for the settling time. Absent = not yet.
	// +optional
	SettledAt *metav1.Time `json:"settledAt,omitempty"`

	// rollout tells the rollout under way from others. Absent when the attachment has settled.
	// +optional
	Rollout *Rollout `json:"rollout,omitempty"`

	// workloadUID and workloadGeneration are the workload, and the generation of it, that carried it first. They tell
	// the rollout that the attachment caused from those that the workload's owner causes.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	WorkloadUID string `json:"workloadUID,omitempty"`
	// +optional
	WorkloadGeneration int64 `json:"workloadGeneration,omitempty"`
}

// AttachmentState says how far the rollout is that puts an attachment into the Pods of a workload.
//
// +kubebuilder:validation:Enum=RollingOut;Held;Settling;Draining;Settled;Failed
type AttachmentState string

const (
	// AttachmentRollingOut means that the workload replaces its Pods. spec.swap.timeout, and the workload's own deadline, run.
	AttachmentRollingOut AttachmentState = "RollingOut"
	// AttachmentHeld means that something holds the rollout which has nothing to do with the attachment: it is paused, has a
	// partition, waits for Pods to be deleted, a quota is full, or no Pod is to run. No time counts.
	AttachmentHeld AttachmentState = "Held"
	// AttachmentSettling means that every Pod carries the attachment and is available. Only spec.swap.settlingTime runs.
	AttachmentSettling AttachmentState = "Settling"
	// AttachmentDraining means that the attachment has settled, and that older Pods have not ended yet.
	AttachmentDraining AttachmentState = "Draining"
	// AttachmentSettled means that the attachment has proved itself, and no older Pod is left.
	AttachmentSettled AttachmentState = "Settled"
	// AttachmentFailed means that the rollout failed and was not rolled back.
	AttachmentFailed AttachmentState = "Failed"
)

// Rollout tells one rollout of a workload from others.
type Rollout struct {
	// template is a digest of the Pod template. Another template is another rollout, and its time begins anew.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Template string `json:"template"`

	// images is a digest of the containers and their images, as the API server stored them with the attachment. A rollout
	// that fails with other images is not rolled back: they may be what failed.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Images string `json:"images"`

	// since is when spec.swap.timeout began to count: with the attachment, a new Pod template, or the end of what held the
	// rollout.
	// +required
	Since metav1.Time `json:"since"`
}

// Injection is what a Pod template is to carry for a Binding.
type Injection struct {
	// secretName is the Secret that the variables refer to.
	// +required
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`

	// env are the variables, and the keys of the Secret that they refer to.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=320
	Env []InjectedVar `json:"env"`

	// by says who puts the variables into a workload that is created or replaced. Absent: the API server does, in the same
	// request, where the policy for that is installed. Controller: only Bindery does, one rollout later, because the
	// Bindings of the workload together have more variables than the API server can look through in a request.
	// +optional
	By InjectedBy `json:"by,omitempty"`
}

// InjectedBy says who puts variables into a workload that is created or replaced.
//
// +kubebuilder:validation:Enum=Controller
type InjectedBy string

// InjectedByController leaves it to Bindery.
const InjectedByController InjectedBy = "Controller"

// InjectedVar is a variable that refers to a key of a Secret or of a ConfigMap, or that is composed of such variables.
type InjectedVar struct {
	// name of the variable. Example: REDIS_URL.
	// +required
	// +kubebuilder:validation:MaxLength=280
	Name string `json:"name"`

	// key of the Secret. Absent = the variable is composed. Example: uri.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`

	// secretName is the Secret that has the key, where it is not the one of the handle.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`

	// configMapName is the ConfigMap that has the key, where it is not in a Secret.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ConfigMapName string `json:"configMapName,omitempty"`

	// value is what the variable is composed of: text, and references to variables before it.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Value string `json:"value,omitempty"`
}

// Swap is a change of what a workload carried for a Binding.
type Swap struct {
	// from is the service that it carried before. Absent = none: a first attachment.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	From string `json:"from,omitempty"`

	// to is the service that it should carry.
	// +required
	// +kubebuilder:validation:MaxLength=253
	To string `json:"to"`

	// secretName is the Secret of the handle of `to`.
	// +required
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`

	// startedAt is when the Pod template got it.
	// +optional
	StartedAt metav1.Time `json:"startedAt,omitempty"`

	// bindingGeneration is the generation of the Binding that asked for it.
	// +optional
	BindingGeneration int64 `json:"bindingGeneration,omitempty"`

	// outcome of the rollout.
	// +required
	Outcome SwapOutcome `json:"outcome"`

	// podSpec is a digest of the owner's part of the spec of the Pods that failed, where a first attachment was rolled back. It
	// is tried once more when the owner has changed that.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PodSpec string `json:"podSpec,omitempty"`
}

// SwapOutcome says how a swap went.
//
// +kubebuilder:validation:Enum=InProgress;Succeeded;RolledBack;Failed;Superseded
type SwapOutcome string

const (
	// SwapInProgress means that the rollout has not ended, or its Pods have not settled yet.
	SwapInProgress SwapOutcome = "InProgress"
	// SwapSucceeded means that every Pod carries the handle, and stayed available for the settling time.
	SwapSucceeded SwapOutcome = "Succeeded"
	// SwapRolledBack means that the rollout failed, and what was before was put back.
	SwapRolledBack SwapOutcome = "RolledBack"
	// SwapFailed means that the rollout failed, and was left as it is.
	SwapFailed SwapOutcome = "Failed"
	// SwapSuperseded means that another swap, or a detachment, began before it had ended.
	SwapSuperseded SwapOutcome = "Superseded"
)
