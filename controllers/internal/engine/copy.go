package engine

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	abatchv1 "k8s.io/client-go/applyconfigurations/batch/v1"
	acorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// The variables that carry the two handles of a copy.
const (
	CopyFromVariable = "BINDERY_MOVE_FROM_HANDLE"
	CopyToVariable   = "BINDERY_MOVE_TO_HANDLE"

	copyFromParts, copyToParts = "MOVE_FROM", "MOVE_TO"
	copyFromPrefix             = "from-"
	copyToPrefix               = "to-"
)

const (
	// checkSeconds is how long a check may take, and startSeconds how long a Pod may take to start.
	checkSeconds = 60
	startSeconds = 120

	programContainer = "program"
	programVolume    = "program"
	programFolder    = "/bindery"
	programFile      = programFolder + "/bindery-job"
	programSize      = "128Mi"
)

// Copy is the data of one service that is copied to another one of its type.
type Copy struct {
	Move
	From, To *v1alpha1.Handle
	// Limit is how long the copy may take.
	Limit time.Duration
}

// Job makes one step of the copy, MoveCheck or MoveCopy: its exit code says what has come of it. The Pod gets both handles
// from the kubelet, and runs the tools of the database, from an image that somebody else makes: so the program comes to them,
// by an init container.
func (c *Copy) Job(step, name string) *abatchv1.JobApplyConfiguration {
	s, seconds := c.Service, int64(checkSeconds)
	if step == MoveCopy {
		seconds = int64(c.Limit.Seconds())
	}
	granted := moveResources(s)
	fromEnv, fromArgs := handleTo(c.From, CopyFromVariable, copyFromParts, copyFromPrefix)
	toEnv, toArgs := handleTo(c.To, CopyToVariable, copyToParts, copyToPrefix)
	args := []string{"move", step, "--id=" + c.ID, "--type=" + string(s.Spec.Type), fmt.Sprintf("--timeout=%ds", seconds)}
	if s.MayReplaceData() {
		args = append(args, "--replace-data")
	}
	if room := s.Spec.SeedFrom.Capacity; room != nil {
		args = append(args, fmt.Sprintf("--room-bytes=%d", room.Value()))
	}
	container := acorev1.Container().
		WithName(moveContainer).
		WithImage(c.Images.Probe).
		WithArgs(args...).WithArgs(fromArgs...).WithArgs(toArgs...).
		WithEnv(fromEnv...).WithEnv(toEnv...).WithEnv(goMemory(*granted.Limits)).
		WithResources(granted).
		WithSecurityContext(containerSecurity())
	spec := acorev1.PodSpec().
		WithRestartPolicy("Never").
		WithActiveDeadlineSeconds(seconds + startSeconds).
		WithEnableServiceLinks(false).
		WithAutomountServiceAccountToken(false).
		WithImagePullSecrets(c.Images.pullSecrets()...).
		WithSecurityContext(podSecurity(probeUID)).
		WithTerminationGracePeriodSeconds(5)
	if tools := c.tools(); tools != "" {
		size := resource.MustParse(programSize)
		mount := acorev1.VolumeMount().WithName(programVolume).WithMountPath(programFolder)
		spec.WithVolumes(acorev1.Volume().WithName(programVolume).WithEmptyDir(acorev1.EmptyDirVolumeSource().WithSizeLimit(size))).
			WithInitContainers(acorev1.Container().
				WithName(programContainer).
				WithImage(c.Images.Probe).
				WithArgs("install", programFile).
				WithVolumeMounts(mount).
				WithResources(moveResources(s)).
				WithSecurityContext(containerSecurity()))
		container.WithImage(tools).WithCommand(programFile).
			WithVolumeMounts(acorev1.VolumeMount().WithName(programVolume).WithMountPath(programFolder).WithReadOnly(true))
	}
	for _, side := range []struct {
		handle *v1alpha1.Handle
		prefix string
	}{{c.From, copyFromPrefix}, {c.To, copyToPrefix}} {
		if side.handle.Authority != nil {
			trust(side.handle.Authority, side.prefix, spec, container)
		}
	}
	job, _ := c.jobWith(step, name, spec.WithContainers(container))
	job.WithAnnotations(map[string]string{v1alpha1.MoveHandlesAnnotation: HandlesOf(c.From, c.To)})
	job.Spec.WithBackoffLimit(0).
		WithActiveDeadlineSeconds(seconds + 2*startSeconds).
		WithTTLSecondsAfterFinished(verifyKeepSeconds).
		WithPodFailurePolicy(saysItsCode())
	return job
}

// HandlesOf names the revisions of two handles. What a Job has found out, or copied, is about these only.
func HandlesOf(from, to *v1alpha1.Handle) string {
	return fmt.Sprintf("%s/%d %s/%d", from.SecretName, from.Revision, to.SecretName, to.Revision)
}

// tools is the image with the tools that the type needs; "" = none.
func (c *Copy) tools() string {
	switch c.Service.Spec.Type {
	case v1alpha1.TypePostgreSQL:
		return c.Images.PostgreSQLTools
	case v1alpha1.TypeMySQL:
		return c.Images.MySQLTools
	default:
		return ""
	}
}
