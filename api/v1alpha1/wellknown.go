package v1alpha1

// Names that Bindery puts on objects.
const (
	// AttachmentsAnnotation is on every attached workload. It says which entries of the Pod template are Bindery's, so
	// that they can be removed when their Binding is gone. It is on the workload, not on its Pod template: to change it
	// restarts nothing.
	AttachmentsAnnotation = "bindery.dev/attachments"

	// WaitForBindingsAnnotation on a Deployment names Bindings, with commas between them. Where the Deployment is paused, and
	// has been since it was created, the patch that attaches the last of them resumes it. A policy pauses it where it is
	// created, or its owner does.
	WaitForBindingsAnnotation = "bindery.dev/wait-for-bindings"

	// RenderedAnnotation is on each StatefulSet and Deployment that Bindery provisions: the generation of the
	// BackingService and a digest of what Bindery made of it. An upgrade of Bindery that would make something else of
	// the same generation leaves the object alone, so that it restarts nothing.
	RenderedAnnotation = "bindery.dev/rendered"

	// HandleAnnotation is on the claim of each Redis with a volume: the Secret that the Redis started with first. The claim
	// outlives the BackingService, and one of the same name finds the Secret by it.
	HandleAnnotation = "bindery.dev/handle"

	// DeleteInUseAnnotation with the value "true" on a BackingService lets it be deleted while apps are attached to it.
	DeleteInUseAnnotation = "bindery.dev/delete-in-use"

	// ServiceLabel is on each object that Bindery provisions: the name of its BackingService.
	ServiceLabel = "bindery.dev/service"

	// FollowLabel with the value FollowValue on a Secret asks Bindery to follow the changes of its content, where the
	// operator may do that: the new content is verified, and then the Pods of the apps that carry it are replaced.
	FollowLabel = "bindery.dev/follow"
	FollowValue = "true"

	// SecretRevisionAnnotation is in the Pod template of a workload whose Pods were replaced because a followed Secret was
	// changed: which content each Binding was rolled out for.
	SecretRevisionAnnotation = "bindery.dev/secret-revision"

	// VerifyRequestedAtAnnotation on a BackingService asks Bindery to try its handle: once for each value that was not used
	// before, such as the time. What was asked last is in status.verification.requested.
	VerifyRequestedAtAnnotation = "bindery.dev/verify-requested-at"

	// VerifyLabel is on each Job that verifies a handle, and on its Pod: the name of the BackingService.
	VerifyLabel = "bindery.dev/verify"

	// StoppedAnnotation is on a workload that is scaled to 0 while its data is copied: the replicas that it had.
	StoppedAnnotation = "bindery.dev/stopped"

	// MoveLabel is on each Job that moves the data of spec.seedFrom, and on its Pod: the name of the BackingService that gets
	// the data. MoveStepAnnotation and MoveIDAnnotation are on the Job: what it does, and for which move.
	MoveLabel          = "bindery.dev/move"
	MoveStepAnnotation = "bindery.dev/move-step"
	MoveIDAnnotation   = "bindery.dev/move-id"

	// MoveHandlesAnnotation is on each Job of a copy: which revisions of the two handles it has.
	MoveHandlesAnnotation = "bindery.dev/move-handles"

	// RelayLabel is on the Pod that leads apps to the source of a move until the data is cut over: the name of the
	// BackingService that gets the data.
	RelayLabel = "bindery.dev/relay"

	// SeededFromAnnotation is on the Service of a BackingService whose data came from another one: which move that was. It
	// is there from the cut-over on.
	SeededFromAnnotation = "bindery.dev/seeded-from"

	// ManagedByLabel with the value ManagedBy is on each object that Bindery provisions.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedBy is also the field manager of every write.
	ManagedBy = "bindery"
)

// Keys of the Secret of a handle, after the well-known Secret entries of the Service Binding Specification 1.1.
const (
	KeyType     = "type"
	KeyProvider = "provider"
	KeyHost     = "host"
	KeyPort     = "port"
	KeyUsername = "username"
	KeyPassword = "password"
	KeyDatabase = "database"
	// KeyURI is the handle itself. In spec.env of a Binding it stands for the handle of any service, whatever key the
	// service's Secret keeps it under.
	KeyURI = "uri"
	// KeyAuthority is the certificate of the authority. In spec.env of a Binding it stands for that of spec.external.caRef,
	// whatever object and key it is in.
	KeyAuthority = "ca.crt"
)
