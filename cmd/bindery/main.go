// Command bindery is the operator: it provisions backing services and attaches them to apps. As `bindery self-test` it is
// the test of the chart.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/bindery-dev/bindery/controllers"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == selfTestCommand {
		os.Exit(selfTest(ctrl.SetupSignalHandler(), os.Args[2:], os.LookupEnv, os.Stdout))
	}
	options, printVersion, log := parse()
	if printVersion {
		_, _ = fmt.Fprintf(os.Stdout, "bindery %s (commit %s, %s)\n", version, commitOf(), runtime.Version())
		return
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	slog.SetDefault(slog.New(logr.ToSlogHandler(log))) // the standard library logs too: about connections that break
	if err := run(options, log); err != nil {
		log.Error(err, "the operator ended")
		os.Exit(1)
	}
}

func parse() (options controllers.Options, printVersion bool, log logr.Logger) {
	addFlags(flag.CommandLine, &options)
	secure := flag.Bool("metrics-secure", true,
		"Serve metrics over HTTPS, and only to those who may get /metrics; false = over HTTP, and to everybody who reaches the address.")
	flag.BoolVar(&printVersion, "version", false, "Print the version and the commit, and end.")
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	options.MetricsInsecure = !*secure
	return options, printVersion, zap.New(zap.UseFlagOptions(&logging))
}

func addFlags(flags *flag.FlagSet, options *controllers.Options) {
	flags.StringVar(&options.RedisImage, "redis-image", "docker.io/library/redis:7.4.6-alpine",
		"The `image` of a provisioned Redis that names none; spec.redis.version replaces its tag.")
	flags.StringVar(&options.CollectorImage, "collector-image", "ghcr.io/bindery-dev/collector:"+version,
		"The `image` of a provisioned collector that names none.")
	flags.StringVar(&options.ProbeImage, "probe-image", "ghcr.io/bindery-dev/job:"+version,
		"The `image` of the Jobs that verify a handle.")
	flags.StringVar(&options.PostgreSQLToolsImage, "postgresql-tools-image", "docker.io/library/postgres:18.1-alpine3.22",
		"An `image` with pg_dump and psql, of the version of the latest PostgreSQL whose data is copied, or later.")
	flags.StringVar(&options.MySQLToolsImage, "mysql-tools-image", "docker.io/library/mariadb:11.8.3",
		"An `image` with mariadb-dump and mariadb.")
	flags.StringVar(&options.ProbeResources, "probe-resources", "",
		"The `resources` of these Jobs as JSON, for what spec.probe.resources of a BackingService leaves out; "+
			`for example {"requests":{"cpu":"50m"},"limits":{"cpu":"50m"}}.`)
	flags.Func("image-pull-secrets", "The `names` of Secrets to pull these images with, with a comma between them, in the namespace of each "+
		"service. Default: those of the namespace's default ServiceAccount.", list(&options.ImagePullSecrets))
	flags.Func("namespaces", "The only `namespaces` to watch and to work in, with a comma between them. Default: all of the cluster.",
		list(&options.Namespaces))
	flags.StringVar(&options.MetricsAddress, "metrics-bind-address", ":8443", "The `address` of /metrics; 0 = none.")
	flags.StringVar(&options.MetricsCertDir, "metrics-cert-dir", "",
		"The `directory` of the certificate of /metrics, tls.crt and tls.key. It is read again when it changes. Default: the operator makes one.")
	flags.StringVar(&options.HealthAddress, "health-probe-bind-address", ":8081", "The `address` of /healthz and /readyz; 0 = none.")
	flags.StringVar(&options.PprofAddress, "pprof-bind-address", "",
		"The `address` of /debug/pprof, on the loopback interface, for example localhost:6060. Default: none.")
	flags.DurationVar(&options.BurstWindow, "burst-window", controllers.DefaultBurstWindow,
		"How long nothing more must have been changed, at most, until a workload is: what comes in meanwhile is one rollout.")
	flags.BoolVar(&options.FollowSecrets, "follow-secrets", false,
		"Follow the changes of Secrets with the label bindery.dev/follow=true: verify the new content, and then replace the Pods of the apps "+
			"that carry it. It needs the right to list and watch Secrets, and asks for their metadata only.")
	flags.IntVar(&options.MaxParallelRollouts, "max-parallel-rollouts", 1,
		"How many workloads of a namespace are rolled at the same time because Secrets were changed.")
	flags.BoolVar(&options.LeaderElection, "leader-elect", false, "Let only one of several operators work at a time.")
	flags.StringVar(&options.LeaderElectionNamespace, "leader-election-namespace", "",
		"The `namespace` of the lease. Default: the one that the operator runs in.")
}

// list reads a value with a comma between its parts.
func list(into *[]string) func(string) error {
	return func(value string) error {
		*into = nil
		if value != "" {
			*into = strings.Split(value, ",")
		}
		return nil
	}
}

func run(options controllers.Options, log logr.Logger) error {
	limit, err := limitMemory(os.LookupEnv)
	if err != nil {
		return err
	}
	log.Info("the operator starts", "version", version, "commit", commitOf(), "go", runtime.Version(),
		"namespaces", cmp.Or(strings.Join(options.Namespaces, ","), "all"), "goMemoryLimit", limit)
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the API server: %w", err)
	}
	return controllers.Run(ctrl.SetupSignalHandler(), config, options)
}
