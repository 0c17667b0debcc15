package v1alpha1

// Conditions of a BackingService and of a Binding. Those that both kinds have mean the same on both.
const (
	// ConditionReady sums up the others.
	//
	// On a BackingService: its handle can be bound now.
	// On a Binding: every running Pod of the workload carries the current handle and no older Pod is left.
	ConditionReady = "Ready"

	// ConditionStalled is True while nothing will change without a person; its message says what to do.
	// It is absent otherwise. Tools that read kstatus show such an object as Failed.
	ConditionStalled = "Stalled"

	// ConditionProvisioned says whether the objects of a service that Bindery provisions exist and serve.
	// It is absent on a service that somebody else runs.
	ConditionProvisioned = "Provisioned"

	// ConditionVerified says whether the handle of a service was tried: a Job has spoken the type's protocol with the
	// service, with the credentials of the handle. A new revision of the handle is tried again. A Binding waits for it
	// before it touches an app, unless its spec.swap.verify is Never.
	ConditionVerified = "Verified"

	// ConditionSeeded says whether the data of the service that spec.seedFrom names is in this service, and is written here. It
	// is absent on a service without spec.seedFrom. A Binding is not Ready before it is True.
	ConditionSeeded = "Seeded"

	// ConditionServiceReady says whether the service that spec.serviceRef of a Binding names is Ready.
	ConditionServiceReady = "ServiceReady"

	// ConditionInjected says whether the Pod template of the workload carries what spec of a Binding asks for.
	// While it is False, the app keeps what it has.
	ConditionInjected = "Injected"

	// ConditionRolledOut says whether the rollout that the injection caused has ended, and its Pods have stayed available
	// for the settling time.
	ConditionRolledOut = "RolledOut"
)

// Reasons on a BackingService.
const (
	// ReasonReady is the reason of Ready=True on both kinds.
	ReasonReady = "Ready"
	// ReasonProvisioned: everything that was provisioned exists and serves.
	ReasonProvisioned = "Provisioned"
	// ReasonProvisioning: the objects exist and are not serving yet.
	ReasonProvisioning = "Provisioning"
	// ReasonNotServing: the objects exist, and have not served for longer than a start takes.
	ReasonNotServing = "NotServing"
	// ReasonNameConflict: an object that Bindery needs to create exists already and belongs to somebody else.
	ReasonNameConflict = "NameConflict"
	// ReasonRefused: the API server refused a write of Bindery (a quota, an admission policy).
	ReasonRefused = "Refused"
	// ReasonInvalidSpec: the spec contradicts itself in a way that the schema cannot express.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonStoreNotAttached: the collector has not been attached to the Redis of storeRef yet.
	ReasonStoreNotAttached = "StoreNotAttached"
	// ReasonSecretNotFound: the Secret with the handle does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretUnknown: Bindery could not find out whether the Secret with the handle exists.
	ReasonSecretUnknown = "SecretUnknown"
	// ReasonResourceNotFound: the object of spec.resourceRef does not exist.
	ReasonResourceNotFound = "ResourceNotFound"
	// ReasonResourceKindNotFound: the API server does not serve the kind of spec.resourceRef.
	ReasonResourceKindNotFound = "ResourceKindNotFound"
	// ReasonResourceForbidden: Bindery may not read the kind of spec.resourceRef.
	ReasonResourceForbidden = "ResourceForbidden"
	// ReasonResourceNotBindable: the object of spec.resourceRef has no status.binding.name yet.
	ReasonResourceNotBindable = "ResourceNotBindable"
)

// Reasons of the condition Verified of a BackingService. Those from ReasonUnreachable on are what the Job found out.
const (
	// ReasonVerified: the service was spoken to in its protocol, with the credentials of the handle; or the vendor of a token
	// has taken the token.
	ReasonVerified = "Verified"
	// ReasonReachable: a connection was opened (with TLS where the scheme says so); no more could be tried.
	ReasonReachable = "Reachable"
	// ReasonNotProbed: the handle was read, and a connection was opened if it names a host and a port. It need not name
	// them: its type is one whose handle is a token, of which the form was tried, or may be anything.
	ReasonNotProbed = "NotProbed"
	// ReasonVerifying: the Job has not ended yet.
	ReasonVerifying = "Verifying"
	// ReasonVerifyOff: each Binding of the service has spec.swap.verify: Never.
	ReasonVerifyOff = "VerifyOff"
	// ReasonServiceNotServing: there is nothing to verify before the service is Ready.
	ReasonServiceNotServing = "ServiceNotServing"
	// ReasonUnreachable: no connection was made: refused, no route, or no answer in time.
	ReasonUnreachable = "Unreachable"
	// ReasonNameNotFound: the name of the host does not resolve.
	ReasonNameNotFound = "NameNotFound"
	// ReasonTLSRefused: the TLS handshake failed: there may be no TLS at all, or none that both ends know.
	ReasonTLSRefused = "TLSRefused"
	// ReasonTLSRequired: the service takes the handle only over TLS, and the handle asks for none.
	ReasonTLSRequired = "TLSRequired"
	// ReasonCertificateUntrusted: the certificate of the service is of an authority that is not trusted, or has expired.
	ReasonCertificateUntrusted = "CertificateUntrusted"
	// ReasonCertificateNameMismatch: the certificate of the service is for another name than the host of the handle.
	ReasonCertificateNameMismatch = "CertificateNameMismatch"
	// ReasonCredentialsRefused: the service refused the credentials of the handle.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonNotPermitted: the service took the credentials, and lets their user not use what the handle names.
	ReasonNotPermitted = "NotPermitted"
	// ReasonWrongProtocol: what answers does not speak the protocol of the type.
	ReasonWrongProtocol = "WrongProtocol"
	// ReasonReadOnly: the service takes no writes: a replica, one that has lost its primary, or one that is draining or short of disk.
	ReasonReadOnly = "ReadOnly"
	// ReasonOutOfMemory: the service takes no writes, because its memory is full.
	ReasonOutOfMemory = "OutOfMemory"
	// ReasonInvalidHandle: what a Job of an earlier Bindery has found: any of the reasons from ReasonHandleMissing to
	// ReasonDatabaseNotFound.
	ReasonInvalidHandle = "InvalidHandle"
	// ReasonHandleMissing: there is no such Secret, or it has no such key.
	ReasonHandleMissing = "HandleMissing"
	// ReasonHandleEmpty: the key of the Secret holds nothing, or white space.
	ReasonHandleEmpty = "HandleEmpty"
	// ReasonHandleNotURL: the handle is no URL, nor another form that clients of the type take.
	ReasonHandleNotURL = "HandleNotURL"
	// ReasonSchemeMismatch: the scheme of the handle belongs to another type.
	ReasonSchemeMismatch = "SchemeMismatch"
	// ReasonHostMissing: the handle names no host.
	ReasonHostMissing = "HostMissing"
	// ReasonHostInvalid: what the handle has for a host is none.
	ReasonHostInvalid = "HostInvalid"
	// ReasonPortInvalid: what the handle has for a port is no number from 1 to 65535.
	ReasonPortInvalid = "PortInvalid"
	// ReasonHandleNotEncoded: a character of the user, the password or the path has to be percent-encoded.
	ReasonHandleNotEncoded = "HandleNotEncoded"
	// ReasonHandleUntrimmed: the handle is good, but has white space at one of its ends, which not every client takes.
	ReasonHandleUntrimmed = "HandleUntrimmed"
	// ReasonDatabaseNotFound: the service has no database, virtual host or bucket of the name in the handle.
	ReasonDatabaseNotFound = "DatabaseNotFound"
	// ReasonTokenMalformed: the handle of a type whose handle is a token has a form that no token has.
	ReasonTokenMalformed = "TokenMalformed"
	// ReasonVendorUnavailable: the vendor that was asked about a token did not say: it is busy, fails, cannot be reached, or
	// gave an answer that can mean several things. The token passes.
	ReasonVendorUnavailable = "VendorUnavailable"
	// ReasonProbeHeld: the Job has no Pod: it is suspended, or something refuses its Pod, or no controller looks after it.
	ReasonProbeHeld = "ProbeHeld"
	// ReasonProbeFailed: the Job could not do its work: the API server refused it, or its Pod did not run the probe to its end.
	ReasonProbeFailed = "ProbeFailed"
)

// Reasons on a Binding.
const (
	// ReasonWorkloadNotFound: the workload does not exist yet.
	ReasonWorkloadNotFound = "WorkloadNotFound"
	// ReasonServiceNotFound: the BackingService does not exist yet.
	ReasonServiceNotFound = "ServiceNotFound"
	// ReasonServiceNotReady: the BackingService is not Ready; the workload stays as it is.
	ReasonServiceNotReady = "ServiceNotReady"
	// ReasonServiceNotVerified: the handle of the BackingService was not verified; the workload stays as it is.
	ReasonServiceNotVerified = "ServiceNotVerified"
	// ReasonServiceReady: the BackingService is Ready.
	ReasonServiceReady = "ServiceReady"
	// ReasonConflict: a variable is set by the workload itself or belongs to another Binding; or the Binding is of a
	// BackingService, and the workload is not.
	ReasonConflict = "Conflict"
	// ReasonContainerNotFound: spec.containers names a container that the workload does not have.
	ReasonContainerNotFound = "ContainerNotFound"
	// ReasonKeyNotFound: the handle's Secret is known not to have a key that spec.env asks for.
	ReasonKeyNotFound = "KeyNotFound"
	// ReasonEnvRequired: the type of the service has no usual variable, so spec.env must name one.
	ReasonEnvRequired = "EnvRequired"
	// ReasonTypeMismatch: the BackingService is of another type than the one that the variable carries now, and cannot take its
	// place; or it is of another type than the store of a collector must be.
	ReasonTypeMismatch = "TypeMismatch"
	// ReasonEnvFrom: a container may have the variable from its envFrom too, and spec.envFrom is Forbid.
	ReasonEnvFrom = "EnvFrom"
	// ReasonTimeoutTooShort: no rollout of the workload can end within spec.swap.timeout.
	ReasonTimeoutTooShort = "TimeoutTooShort"
	// ReasonPatchRefused: the API server refused the change of the workload, or the workload has more Bindings than Bindery can
	// write down.
	ReasonPatchRefused = "PatchRefused"
	// ReasonContested: something keeps taking the variables out of the workload; they are put back more and more rarely.
	ReasonContested = "Contested"
	// ReasonInjected: the Pod template carries the handle.
	ReasonInjected = "Injected"
	// ReasonNotInjected: there is no rollout to watch, because the handle is not in the Pod template.
	ReasonNotInjected = "NotInjected"
	// ReasonRollingOut: Pods are being replaced.
	ReasonRollingOut = "RollingOut"
	// ReasonSettling: every Pod carries the handle, but has not been available for the settling time yet.
	ReasonSettling = "Settling"
	// ReasonRolledOut: every Pod carries the handle.
	ReasonRolledOut = "RolledOut"
	// ReasonRolloutPaused: the workload is paused by its owner.
	ReasonRolloutPaused = "RolloutPaused"
	// ReasonRolloutPartitioned: the StatefulSet has a partition, so some of its Pods keep what they have.
	ReasonRolloutPartitioned = "RolloutPartitioned"
	// ReasonRolloutOnDelete: the workload replaces a Pod only when somebody deletes it.
	ReasonRolloutOnDelete = "RolloutOnDelete"
	// ReasonRolloutQuotaExceeded: a quota of the namespace has no room for the next new Pod of the workload.
	ReasonRolloutQuotaExceeded = "RolloutQuotaExceeded"
	// ReasonNoPods: the Pod template carries the handle, and no Pod is to run, so nothing was proved. It is the reason of a
	// condition that is True.
	ReasonNoPods = "NoPods"
	// ReasonDraining: every Pod carries the handle and has settled, and older Pods have not ended yet.
	ReasonDraining = "Draining"
	// ReasonProgressDeadlineExceeded: the rollout missed spec.swap.timeout, or the workload's own deadline.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"
	// ReasonAvailabilityLost: Pods with the new handle were available, and are not any more.
	ReasonAvailabilityLost = "AvailabilityLost"
	// ReasonRolledBack: the rollout failed, and the workload has the handle again that it had before.
	ReasonRolledBack = "RolledBack"

	// ReasonSeeded: the data is here, and is written here.
	ReasonSeeded = "Seeded"
	// ReasonSeeding: the data is on its way.
	ReasonSeeding = "Seeding"
	// ReasonWaitingForOthers: the data is written at the source until every Binding of the source names this service.
	ReasonWaitingForOthers = "WaitingForOthers"
	// ReasonWaitingForClients: the cut-over is tried again, because somebody is connected to the source, or an app is in the
	// middle of a command.
	ReasonWaitingForClients = "WaitingForClients"
	// ReasonSourceNotReady: the source does not exist, or is not Ready.
	ReasonSourceNotReady = "SourceNotReady"
	// ReasonSourceInUse: the source is part of another move, or cannot be one: it is a service of another type, is not provisioned
	// by Bindery, or gets its own data from elsewhere.
	ReasonSourceInUse = "SourceInUse"
	// ReasonSourceUnreachable: the Jobs cannot reach the source.
	ReasonSourceUnreachable = "SourceUnreachable"
	// ReasonSourceRefuses: the source does not take the password for moves.
	ReasonSourceRefuses = "SourceRefuses"
	// ReasonSourceTooOld: nothing can follow the source.
	ReasonSourceTooOld = "SourceTooOld"
	// ReasonSourceReadOnly: the source follows another server itself.
	ReasonSourceReadOnly = "SourceReadOnly"
	// ReasonTargetInUse: apps are attached to this service, and use its data.
	ReasonTargetInUse = "TargetInUse"
	// ReasonTargetNotEmpty: this service has data.
	ReasonTargetNotEmpty = "TargetNotEmpty"
	// ReasonTargetTooSmall: the data does not fit.
	ReasonTargetTooSmall = "TargetTooSmall"
	// ReasonTargetTooOld: this service runs an older version than the source.
	ReasonTargetTooOld = "TargetTooOld"
	// ReasonTargetRefuses: this service does not take the password for moves.
	ReasonTargetRefuses = "TargetRefuses"
	// ReasonTargetUnreachable: the Jobs cannot reach this service.
	ReasonTargetUnreachable = "TargetUnreachable"
	// ReasonSeedTimeout: the data was not here in spec.seedFrom.timeout.
	ReasonSeedTimeout = "SeedTimeout"
	// ReasonDataDiffers: what was copied is not what the source has.
	ReasonDataDiffers = "DataDiffers"
	// ReasonToolFailed: a tool of the database is missing, is too old, or could not do its work.
	ReasonToolFailed = "ToolFailed"
	// ReasonTargetReadOnly: this service does not take writes.
	ReasonTargetReadOnly = "TargetReadOnly"
	// ReasonCopying: the apps are stopped, and the data is copied.
	ReasonCopying = "Copying"
	// ReasonAppsNotStopped: an app could not be stopped, or was started again while its data was copied.
	ReasonAppsNotStopped = "AppsNotStopped"
	// ReasonDataMoving: the data is still written at the service that the app comes from.
	ReasonDataMoving = "DataMoving"
	// ReasonMaintenanceRefused: the data can only be copied while the app is stopped, and it must not, or cannot, be stopped.
	ReasonMaintenanceRefused = "MaintenanceRefused"
	// ReasonScaledUp: something has scaled the app up while its data was copied.
	ReasonScaledUp = "ScaledUp"
)
