// Command bindery is the operator: it provisions backing services and attaches them to apps. As `bindery probe` it is what
// the operator runs in a Job to try a handle.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/bindery-dev/bindery/controllers"
)

// version of this program: the tag of a release in git, and of its images. By default an installation runs the collector
// and the probe of the operator's own release. config/manager names the same tag.
const version = "v0.1.0"

func main() {
	if len(os.Args) > 1 && os.Args[1] == probeCommand {
		ctx := ctrl.SetupSignalHandler()
		os.Exit(probe(ctx, os.Args[2:], os.LookupEnv, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == selfTestCommand {
		os.Exit(selfTest(ctrl.SetupSignalHandler(), os.Args[2:], os.LookupEnv, os.Stdout))
	}
	options, log := parse()
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	if err := run(options); err != nil {
		log.Error(err, "the operator ended")
		os.Exit(1)
	}
}

func parse() (controllers.Options, logr.Logger) {
	var options controllers.Options
	flag.StringVar(&options.RedisImage, "redis-image", "docker.io/library/redis:7.4.6-alpine",
		"The `image` of a provisioned Redis that names none; spec.redis.version replaces its tag.")
	flag.StringVar(&options.CollectorImage, "collector-image", "ghcr.io/bindery-dev/collector:"+version,
		"The `image` of a provisioned collector that names none.")
	flag.StringVar(&options.ProbeImage, "probe-image", "ghcr.io/bindery-dev/operator:"+version,
		"The `image` of the operator itself, which the Jobs that verify a handle run.")
	flag.StringVar(&options.ProbeResources, "probe-resources", "",
		"The `resources` of these Jobs as JSON, for what spec.probe.resources of a BackingService leaves out; "+
			`for example {"requests":{"cpu":"50m"},"limits":{"cpu":"50m"}}.`)
	flag.StringVar(&options.MetricsAddress, "metrics-bind-address", ":8080", "The `address` of /metrics; 0 = none.")
	flag.StringVar(&options.HealthAddress, "health-probe-bind-address", ":8081", "The `address` of /healthz and /readyz; 0 = none.")
	flag.DurationVar(&options.BurstWindow, "burst-window", controllers.DefaultBurstWindow,
		"How long nothing more must have been changed, at most, until a workload is: what comes in meanwhile is one rollout.")
	flag.BoolVar(&options.LeaderElection, "leader-elect", false, "Let only one of several operators work at a time.")
	flag.StringVar(&options.LeaderElectionNamespace, "leader-election-namespace", "",
		"The `namespace` of the lease. Default: the one that the operator runs in.")
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	return options, zap.New(zap.UseFlagOptions(&logging))
}

func run(options controllers.Options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the API server: %w", err)
	}
	ctx := ctrl.SetupSignalHandler()
	mgr, err := controllers.NewManager(ctx, config, options)
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}
