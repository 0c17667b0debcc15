package command

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/progress"
)

// verifyPatience is longer than two trials: one may run already.
const verifyPatience = 3 * time.Minute

func newVerify(o *Options) *cobra.Command {
	timeout := verifyPatience
	cmd := &cobra.Command{
		Use:   "verify SERVICE",
		Short: "Have the handle of a service tried now, and say what was found",
		Long: `Ask the operator to try the handle of a service: a Job in the service's namespace speaks the protocol of its type with it. No
app is touched, whatever is found. The exit code is 0 if the service is Verified, and 1 if it is not.`,
		Example: `  kubectl bindery verify visits`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.cluster()
			if err != nil {
				return err
			}
			name, err := serviceName(args[0])
			if err != nil {
				return err
			}
			return c.verify(cmd.Context(), name, timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", verifyPatience, "Stop following after this time, with exit code 4. 0 = never")
	return cmd
}

func (c *cluster) verify(ctx context.Context, name string, timeout time.Duration) error {
	key := types.NamespacedName{Namespace: c.namespace, Name: name}
	var s v1alpha1.BackingService
	switch err := c.client.Get(ctx, key, &s); {
	case apierrors.IsNotFound(err) && !c.isUnknownKind(err):
		return fmt.Errorf("there is no BackingService %s in namespace %s: `kubectl bindery status%s` lists what there is", name, c.namespace, c.again())
	case err != nil:
		return fmt.Errorf("reading BackingService %s: %w", name, err)
	}
	if err := c.isTriedAtAll(ctx, name); err != nil {
		return err
	}
	request := c.Now().UTC().Format(time.RFC3339Nano)
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": s.UID, "annotations": map[string]string{v1alpha1.VerifyRequestedAtAnnotation: request},
	}})
	if err != nil {
		return fmt.Errorf("encoding the patch: %w", err)
	}
	asked := &v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
	if err := c.client.Patch(ctx, asked, client.RawPatch(types.MergePatchType, body), client.FieldOwner(fieldManager)); err != nil {
		return fmt.Errorf("asking for a trial of BackingService %s: %w", name, err)
	}
	return c.follow(ctx, course{
		timeout: timeout, goOn: "kubectl bindery status bsvc/" + name + c.again(),
		look: func(ctx context.Context) (progress.Stage, error) {
			now := &v1alpha1.BackingService{}
			err := c.client.Get(ctx, key, now)
			if apierrors.IsNotFound(err) {
				return progress.OfVerification(nil, request), nil
			}
			if err != nil {
				return progress.Stage{}, fmt.Errorf("reading BackingService %s: %w", name, err)
			}
			return progress.OfVerification(now, request), nil
		},
	})
}

// isTriedAtAll refuses where every Binding does without: then the operator tries nothing.
func (c *cluster) isTriedAtAll(ctx context.Context, service string) error {
	var bindings v1alpha1.BindingList
	if err := c.client.List(ctx, &bindings, client.InNamespace(c.namespace)); err != nil {
		return fmt.Errorf("listing Bindings: %w", err)
	}
	named := slices.DeleteFunc(bindings.Items, func(b v1alpha1.Binding) bool {
		return b.Spec.ServiceRef.Name != service || b.DeletionTimestamp != nil
	})
	if len(named) > 0 && !slices.ContainsFunc(named, func(b v1alpha1.Binding) bool { return b.Spec.Swap.Verifies() }) {
		return fmt.Errorf("BackingService %s is not tried, because each of its Bindings has spec.swap.verify: Never: set that of one to Always (%s)",
			service, listOf(named))
	}
	return nil
}
