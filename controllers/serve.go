package controllers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// servesMetrics says whether there are metrics at all. The metrics server takes no address for its own default.
func (o Options) servesMetrics() bool { return o.MetricsAddress != "" && o.MetricsAddress != "0" }

// metricsOptions serve metrics over HTTPS, to those who may read them: the API server says who asks (TokenReview), and
// whether this one may get /metrics (SubjectAccessReview).
func metricsOptions(options Options) (metricsserver.Options, error) {
	secure := options.servesMetrics() && !options.MetricsInsecure
	switch {
	case !secure && options.MetricsCertDir != "":
		return metricsserver.Options{}, errors.New("--metrics-cert-dir is set, but nothing is served with its certificate: " +
			"leave it out, or set --metrics-bind-address and --metrics-secure")
	case !options.servesMetrics():
		return metricsserver.Options{BindAddress: "0"}, nil
	case !secure:
		return metricsserver.Options{BindAddress: options.MetricsAddress}, nil
	}
	if dir := options.MetricsCertDir; dir != "" {
		// The metrics server would make a certificate itself if there were no files.
		if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")); err != nil {
			return metricsserver.Options{}, fmt.Errorf("reading the certificate in --metrics-cert-dir: %w", err)
		}
	}
	return metricsserver.Options{
		BindAddress:    options.MetricsAddress,
		SecureServing:  true,
		CertDir:        options.MetricsCertDir,
		FilterProvider: filters.WithAuthenticationAndAuthorization,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.MinVersion = tls.VersionTLS12
			c.NextProtos = []string{"http/1.1"} // a scrape needs no more, and HTTP/2 has more to attack
		}},
	}, nil
}

// checkLoopback refuses to serve profiles to others than this machine: they show memory, and nothing protects them.
func checkLoopback(address string) error {
	if address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--pprof-bind-address=%s: %w", address, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--pprof-bind-address=%s can be reached by others: use a loopback address, such as localhost:6060", address)
}

// syncWait is how long a check of readiness waits for a cache.
const syncWait = time.Second

// addHealth adds the checks of /healthz and /readyz. The operator is healthy when it answers, and when it does not lead
// with a lease that has ended. It is ready when each cache is full: one that does not lead is then ready to take over.
func addHealth(mgr manager.Manager, caches map[string]cache.Cache, lease healthz.Checker) error {
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddHealthzCheck("lease", lease)); err != nil {
		return fmt.Errorf("adding the health checks: %w", err)
	}
	for name, objects := range caches {
		err := mgr.AddReadyzCheck(name, func(request *http.Request) error {
			ctx, cancel := context.WithTimeout(request.Context(), syncWait)
			defer cancel()
			if !objects.WaitForCacheSync(ctx) {
				return errors.New("the cache is not full yet")
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("adding the readiness check: %w", err)
		}
	}
	return nil
}
