package command

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// The exit codes. A script can tell by them what has become of a swap.
const (
	// ExitFailure: nothing was done, or not all of it.
	ExitFailure = 1
	// ExitUnused is not used: shells, and Go programs that panic, exit with it.
	_ = 2
	// ExitTurnedBack: the change was made, failed, and was rolled back.
	ExitTurnedBack = 3
	// ExitUnderWay: the change was made, and has not come to its end in the time that was waited.
	ExitUnderWay = 4
	// ExitInterrupted: somebody has ended the command. What it had begun goes on.
	ExitInterrupted = 130
)

// ExitError is an error with an exit code of its own.
type ExitError struct {
	Code int
	Text string
}

func (e *ExitError) Error() string { return e.Text }

// explain says what is wrong, and the mend.
func (o *Options) explain(err error) string {
	var (
		refused *net.OpError
		request *url.Error
		status  apierrors.APIStatus
	)
	switch {
	case clientcmd.IsEmptyConfig(err):
		return "there is no cluster to ask: set KUBECONFIG or --kubeconfig, or choose a context with `kubectl config use-context`"
	case errors.As(err, &status) && apierrors.IsNotFound(err) && isOfUnknownKind(status):
		return "the cluster does not know the kinds of Bindery: install it with " +
			"`helm install bindery oci://ghcr.io/bindery-dev/charts/bindery --namespace bindery-system --create-namespace`"
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "denied request"):
		return err.Error() // by a policy, which says the mend itself
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("%v: ask for the role bindery-view (to look) or bindery-edit (to change) in this namespace", err)
	case apierrors.IsUnauthorized(err):
		return "the cluster does not take these credentials: log in again"
	case errors.As(err, &request) && errors.As(err, &refused):
		return fmt.Sprintf("the cluster does not answer: %v: check the context with `kubectl config current-context`, and --request-timeout", refused)
	default:
		return err.Error()
	}
}

// isOfUnknownKind says whether the kind, and not the object, was not found. An API server that knows no such kind answers with
// text, and not with a status: client-go makes one of it, with a cause that says so.
func isOfUnknownKind(status apierrors.APIStatus) bool {
	details := status.Status().Details
	return details == nil || details.Name == "" || slices.ContainsFunc(details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse
	})
}
