package preflight

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// oldest is the oldest Kubernetes with everything that Bindery needs: ValidatingAdmissionPolicy is v1 since then.
const oldest = "1.30"

// checkServer refuses an API server that is too old.
func checkServer(cluster *rest.Config) error {
	api, err := discovery.NewDiscoveryClientForConfig(cluster)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	server, err := api.ServerVersion()
	if err != nil {
		return fmt.Errorf("asking the API server for its version: %w", err)
	}
	return checkVersion(server.GitVersion)
}

func checkVersion(text string) error {
	server, err := version.ParseGeneric(text)
	if err != nil {
		return fmt.Errorf("reading the version of the API server: %w", err)
	}
	if server.LessThan(version.MustParseGeneric(oldest)) {
		return fmt.Errorf("the API server is Kubernetes %s, and Bindery needs %s or later: upgrade the cluster", text, oldest)
	}
	return nil
}
