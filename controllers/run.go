package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/bindery-dev/bindery/controllers/internal/preflight"
)

// Run runs the operator until the context ends. It refuses to start where the API server, the definitions of Bindery's
// kinds or the rights of the operator do not fit. A namespace of the scope that does not exist is left out until it does:
// the operator works in the others, and is not ready.
func Run(ctx context.Context, cluster *rest.Config, options Options) error {
	if _, err := managerOptions(options); err != nil { // before the API server is asked anything
		return err
	}
	cluster = unlimited(cluster)
	findings, err := preflight.Check(ctx, cluster, preflight.Need{
		Namespaces:     options.Namespaces,
		LeaseNamespace: leaseNamespace(options),
		Metrics:        options.servesMetrics() && !options.MetricsInsecure,
		FollowSecrets:  options.FollowSecrets,
	})
	if err != nil {
		return fmt.Errorf("the operator does not start: %w", err)
	}
	options.Namespaces = findings.Namespaces
	mgr, err := NewManager(ctx, cluster, options)
	if err != nil {
		return err
	}
	for _, note := range findings.Notes {
		mgr.GetLogger().Info(note)
	}
	if len(findings.Absent) > 0 {
		mgr.GetLogger().Error(nil, preflight.Absence(findings.Absent), "worksIn", strings.Join(findings.Namespaces, ","))
		if err := addAbsent(mgr, findings.Absent); err != nil {
			return err
		}
	}
	return mgr.Start(ctx)
}

// unlimited has no limit on the client side: Priority and Fairness of the API server decides what is too much.
func unlimited(cluster *rest.Config) *rest.Config {
	cluster = rest.CopyConfig(cluster)
	cluster.QPS = -1
	return cluster
}

// podNamespace is where Kubernetes tells a Pod its namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// leaseNamespace is the namespace of the lease; "" = there is no lease, or the manager will say that it has no namespace.
func leaseNamespace(options Options) string {
	if !options.LeaderElection {
		return ""
	}
	if options.LeaderElectionNamespace != "" {
		return options.LeaderElectionNamespace
	}
	own, err := os.ReadFile(podNamespace)
	if err != nil {
		return ""
	}
	return string(own)
}

// lookAgain is how often the operator looks for a namespace of its scope that was absent when it started.
const lookAgain = 30 * time.Second

// addAbsent says in /readyz which namespaces of the scope are absent, and ends the operator when one of them is there:
// Kubernetes starts it again, and then it works there too.
func addAbsent(mgr manager.Manager, namespaces []string) error {
	err := mgr.AddReadyzCheck("namespaces", func(*http.Request) error { return errors.New(preflight.Absence(namespaces)) })
	if err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	if err := mgr.Add(everyReplica(func(ctx context.Context) error {
		return awaitNamespace(ctx, mgr.GetAPIReader(), namespaces)
	})); err != nil {
		return fmt.Errorf("adding the search for namespaces: %w", err)
	}
	return nil
}

// awaitNamespace returns an error as soon as one of the namespaces is there.
func awaitNamespace(ctx context.Context, api client.Reader, namespaces []string) error {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		for _, namespace := range namespaces {
			there, err := preflight.IsThere(ctx, api, namespace)
			if err != nil {
				log.FromContext(ctx).Error(err, "looking for namespaces of the scope")
			}
			if there {
				return fmt.Errorf("namespace %s of --namespaces is there now: the operator ends, so that it starts again with it", namespace)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// everyReplica runs a function whether this operator leads or not.
type everyReplica func(context.Context) error

// Start implements manager.Runnable.
func (f everyReplica) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everyReplica) NeedLeaderElection() bool { return false }
