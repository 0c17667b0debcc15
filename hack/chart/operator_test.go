package chart

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The operator itself takes the arguments that the chart gives it, and becomes ready with the rights that the chart gives
// it: in all namespaces, and in some. One right less, and it does not start, and names it.
func TestTheOperatorStarts(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	program := filepath.Join(t.TempDir(), "bindery")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, root+"/cmd/bindery").CombinedOutput()
	if err != nil {
		t.Fatalf("building the operator: %v: %s", err, output)
	}
	everything := []string{
		"--set=scope.namespaces={a,b}", "--set=pprof.enabled=true", "--set=pprof.port=" + freePort(t), "--set=burstWindow=2s",
		"--set=logging.level=debug", "--set=logging.format=console", "--set-json=probe.resources={\"limits\":{\"cpu\":\"50m\"}}",
		"--set=metrics.secure=false", "--set=serviceImagePullSecrets={mirror}",
	}

	c.must(c.helm("helm", "install", release, folder))
	c.awaitServed()
	c.mustBecomeReady(program)
	c.must(c.helm("helm", append([]string{"upgrade", release, folder}, everything...)...))
	c.mustBecomeReady(program, everything...)

	role := &rbacv1.Role{}
	c.must(c.Get(t.Context(), client.ObjectKey{Namespace: "b", Name: operator}, role))
	for i, rule := range role.Rules {
		if rule.Resources[0] == "jobs" {
			role.Rules[i].Verbs = []string{"get", "list", "watch", "delete"}
		}
	}
	c.must(c.Update(t.Context(), role))
	const lacks = "the operator lacks rights in namespace b: create jobs.batch"
	c.await("the refusal", func() string {
		ended, said := c.runOperator(program, everything...)
		if !ended || !strings.Contains(said, lacks) {
			return "the operator does not say: " + lacks + ":\n" + said
		}
		return ""
	})
}

// mustBecomeReady requires that the operator becomes ready. The API server may need a moment to know its rights.
func (c *cluster) mustBecomeReady(program string, arguments ...string) {
	c.Helper()
	c.await("the operator is ready", func() string {
		if ended, said := c.runOperator(program, arguments...); ended {
			return "it has ended:\n" + said
		}
		return ""
	})
}

// runOperator runs the operator as the chart does that is rendered with these arguments, until it is ready or has ended.
func (c *cluster) runOperator(program string, arguments ...string) (ended bool, said string) {
	c.Helper()
	health := "127.0.0.1:" + freePort(c.T)
	var flags []string
	for _, argument := range operatorArguments(c.T, render(c.T, arguments...)) {
		flags = append(flags, argument.(string))
	}
	// Of two flags the later one counts: the addresses of this machine, and what a Pod knows by itself.
	flags = append(flags, "--health-probe-bind-address="+health, "--metrics-bind-address=127.0.0.1:0", "--leader-election-namespace="+namespace)

	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, flags...)
	command.Env = []string{"KUBECONFIG=" + c.kubeconfigOfOperator(), "MEMORY_LIMIT=536870912"}
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	c.must(command.Start())
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	for {
		select {
		case err := <-done:
			return true, fmt.Sprintf("%s%v", &log, err)
		case <-time.After(100 * time.Millisecond):
		}
		if isReady(ctx, "http://"+health+"/readyz") {
			c.must(command.Process.Signal(os.Interrupt))
			c.must(<-done)
			return false, log.String()
		}
	}
}

func isReady(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// kubeconfigOfOperator is a file by which a program has the rights of the operator's ServiceAccount.
func (c *cluster) kubeconfigOfOperator() string {
	c.Helper()
	config, err := clientcmd.LoadFromFile(c.kubeconfig)
	c.must(err)
	for _, user := range config.AuthInfos {
		user.Impersonate = "system:serviceaccount:" + namespace + ":" + operator
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
	}
	file := filepath.Join(c.home, "operator.kubeconfig")
	c.must(clientcmd.WriteToFile(*config, file))
	return file
}

// freePort is a port of this machine that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	must(t, err)
	return port
}
