package command

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// dataNotes say what somebody who goes back has to know about the data there.
func (c *cluster) dataNotes(ctx context.Context, b *v1alpha1.Binding, to string) []string {
	current := b.Status.Current
	if current == nil || current.Service == to {
		return nil
	}
	var service v1alpha1.BackingService
	err := c.client.Get(ctx, types.NamespacedName{Namespace: b.Namespace, Name: to}, &service)
	if err != nil {
		return nil // the swap says why
	}
	var notes []string
	if seed := service.Spec.SeedFrom; seed != nil && seed.Name == current.Service {
		notes = append(notes, fmt.Sprintf("note: the data of BackingService %s moves to %s with the app (spec.seedFrom)", current.Service, to))
	} else if at := leftAt(b, to); !at.IsZero() {
		notes = append(notes, fmt.Sprintf("note: the data in BackingService %s is that of %s, when the app left it; what was written since is in %s. "+
			"To take it along, set spec.seedFrom of %[1]s to %[3]s first", to, at.UTC().Format(time.RFC3339), current.Service))
	}
	if at := service.Status.DeprovisionAt; at != nil {
		notes = append(notes, fmt.Sprintf("note: BackingService %s was to be deleted at %s (spec.retention); with the app on it, it stays",
			to, at.UTC().Format(time.RFC3339)))
	}
	return notes
}
