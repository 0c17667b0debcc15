//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// An app is attached, swapped and put back with nothing but the kubectl plugin. Its exit codes tell what became of a change.
// docs/plugin.md, whose commands TestDocuments types, has what goes well.
func TestPlugin(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("with the plugin").
		Setup(in(func(s *scene) {
			manifest, err := os.ReadFile("testdata/picky.yaml")
			s.no(err)
			s.kubectlReads(strings.ReplaceAll(string(manifest), "{app: picky}", "{app.kubernetes.io/name: picky}"), "apply", "-f", "-")
			s.apply("visits.yaml", "visits2.yaml", "somebody-elses-redis.yaml", "elsewhere.yaml")
			s.awaitService("visits", unwelcome, "elsewhere")
			s.awaitDeployment("picky")
		})).
		Assess("a dry run asks the API server, and creates nothing", in(func(s *scene) {
			s.pluginSays(0, "binding.bindery.dev/picky-visits created (server dry run)", "attach", "picky", "visits", "--dry-run=server")
			if _, err := find[v1alpha1.Binding](s, "picky-visits"); !apierrors.IsNotFound(err) {
				s.Errorf("the Binding is there: %v", err)
			}
		})).
		Assess("an app is attached", in(func(s *scene) {
			s.pluginSays(0, "settled", "attach", "picky", "visits", "--wait")
			s.requireAllOn("visits", "picky", "REDIS_URL")
		})).
		Assess("a swap that is turned back ends with 3, and the app is where it was", in(func(s *scene) {
			s.pluginSays(3, "", "swap", "picky", "--to", unwelcome)
			s.awaitDeployment("picky")
			s.requireAllOn("visits", "picky", "REDIS_URL")
			s.pluginSays(0, "RolledBack", "history", "picky")
			s.pluginSays(0, "RolledBack", "status", "picky")
			since := s.rollouts("picky")
			s.pluginSays(0, "settled", "undo", "picky")
			s.requireRollouts(since, 0)
		})).
		Assess("a swap whose command is interrupted goes on", in(func(s *scene) {
			s.interrupt("swapped from", "swap", "picky", "--to", "elsewhere")
			s.awaitBinding("picky-visits")
			s.requireAllOn("elsewhere", "picky", "REDIS_URL")
		})).
		Assess("a time that is too short ends with 4, and the swap goes on", in(func(s *scene) {
			s.pluginSays(4, "goes on", "undo", "picky", "--timeout", "1s")
			s.awaitBinding("picky-visits")
			s.requireAllOn("visits", "picky", "REDIS_URL")
		})).
		Assess("somebody who may only look sees the same, and changes nothing", in(func(s *scene) {
			viewer := s.user("viewer", "view")
			s.as(viewer).pluginSays(0, "REDIS_URL  visits", "status")
			s.as(viewer).pluginSays(0, "visits", "graph")
			s.as(viewer).pluginSays(1, "bindery-edit", "swap", "picky", "--to", "elsewhere")
			s.as(viewer).pluginSays(1, "bindery-edit", "detach", "picky", "visits")
		})).
		Assess("a policy refuses somebody who may edit Bindings, but not the app", in(func(s *scene) {
			s.create(&rbacv1.Role{
				ObjectMeta: metav1.ObjectMeta{Name: "bindings-only"},
				Rules: []rbacv1.PolicyRule{{
					APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"bindings", "backingservices"},
					Verbs: []string{"get", "list", "create", "update", "patch", "delete"},
				}, {
					APIGroups: []string{"apps", ""}, Resources: []string{"deployments", "statefulsets", "daemonsets", "replicasets", "pods"},
					Verbs: []string{"get", "list"},
				}},
			})
			since := s.rollouts("picky")
			author := s.user("author", "")
			said := s.as(author).pluginSays(1, "may not", "swap", "picky", "--to", "elsewhere")
			s.Logf("the policy says: %s", said)
			if to := get[v1alpha1.Binding](s, "picky-visits").Spec.ServiceRef.Name; to != "visits" {
				s.Errorf("the Binding names %s", to)
			}
			s.requireRollouts(since, 0)
		})).
		Assess("an app is detached", in(func(s *scene) {
			s.pluginSays(0, "is detached", "detach", "picky", "visits")
			s.awaitDetached("picky")
		})).
		Feature())
}

// somebody is who types a command.
type somebody struct {
	*scene
	kubeconfig string
}

func (s *scene) as(kubeconfig string) *somebody { return &somebody{scene: s, kubeconfig: kubeconfig} }

// user makes a ServiceAccount with a role in this namespace, a ClusterRole or else the Role bindings-only, and returns a
// kubeconfig with its token.
func (s *scene) user(name, clusterRole string) (kubeconfig string) {
	s.Helper()
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole}
	if clusterRole == "" {
		ref.Kind, ref.Name = "Role", "bindings-only"
	}
	token := s.tokenOf(name)
	s.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: ref,
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: s.namespace}},
	})
	kubeconfig = filepath.Join(s.TempDir(), name)
	text, err := os.ReadFile(cluster.kubeconfig)
	s.no(err)
	s.no(os.WriteFile(kubeconfig, text, 0o600))
	for _, arguments := range [][]string{
		{"config", "set-credentials", name, "--token", token}, {"config", "set-context", "--current", "--user", name},
	} {
		command := exec.CommandContext(s.ctx, cluster.kubectl, append([]string{"--kubeconfig", kubeconfig}, arguments...)...)
		if output, err := command.CombinedOutput(); err != nil {
			s.Fatalf("kubectl %s: %v: %s", strings.Join(arguments, " "), err, output)
		}
	}
	return kubeconfig
}

func (s *scene) pluginSays(code int, part string, arguments ...string) string {
	s.Helper()
	return s.as(cluster.kubeconfig).pluginSays(code, part, arguments...)
}

// pluginSays runs `kubectl bindery`, requires its exit code and a part of what it says, and returns all of it.
func (s *somebody) pluginSays(code int, part string, arguments ...string) string {
	s.Helper()
	output, err := s.plugin(arguments...).CombinedOutput()
	have := 0
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		have = ended.ExitCode()
	} else {
		s.no(err)
	}
	s.Logf("$ kubectl bindery %s\n%s", strings.Join(arguments, " "), output)
	if have != code || !bytes.Contains(output, []byte(part)) {
		s.Errorf("kubectl bindery %s: exit code %d, want %d, with %q in:\n%s", strings.Join(arguments, " "), have, code, part, output)
	}
	return string(output)
}

// plugin is a command as users type it: kubectl finds the plugin in the PATH.
func (s *somebody) plugin(arguments ...string) *exec.Cmd {
	command := exec.CommandContext(s.ctx, cluster.kubectl, slices.Concat([]string{"bindery"}, arguments, []string{"--namespace", s.namespace})...)
	command.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig, "PATH="+filepath.Dir(cluster.kubectl)+string(os.PathListSeparator)+os.Getenv("PATH"))
	return command
}

// interrupt runs the plugin, and presses Ctrl-C when it has said something.
func (s *scene) interrupt(part string, arguments ...string) {
	s.Helper()
	command := s.as(cluster.kubeconfig).plugin(arguments...)
	output, writer := io.Pipe()
	command.Stdout, command.Stderr = writer, writer
	s.no(command.Start())
	ended := make(chan error, 1)
	go func() {
		ended <- command.Wait()
		_ = writer.Close() // it never fails
	}()
	var said []string
	for lines := bufio.NewScanner(output); lines.Scan(); {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), part) {
			s.no(command.Process.Signal(syscall.SIGINT))
		}
	}
	err := <-ended
	s.Logf("$ kubectl bindery %s, and Ctrl-C\n%s", strings.Join(arguments, " "), strings.Join(said, "\n"))
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 130 {
		s.Errorf("it ended with %v, want exit code 130", err)
	}
}

// A namespace with many Bindings is looked at with one LIST of each kind, in about the time in which kubectl gets them.
//
// Not in parallel with other tests: it measures.
func TestPluginManyBindings(t *testing.T) {
	needTime(t)
	const many, tries = 500, 5
	suite.Test(t, features.New("a namespace with 500 Bindings").
		Setup(in(func(s *scene) {
			s.provision("partner", v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeHTTP, External: &v1alpha1.ExternalSource{URL: "http://partner/v1"}})
			s.awaitService("partner")
			s.parallel(many, func(i int) error {
				name := fmt.Sprintf("app-%03d", i)
				d := deploymentWithoutPods(name)
				d.Namespace = s.namespace
				if err := cluster.client.Create(s.ctx, d); err != nil {
					return err
				}
				b := bindingOf(name, name, "partner")
				b.Namespace, b.Spec.Swap.Verify = s.namespace, v1alpha1.VerifyNever
				return cluster.client.Create(s.ctx, b)
			})
			s.await("all are attached", 4*patience, func() string {
				if attached := get[v1alpha1.BackingService](s, "partner").Status.AttachmentCount; attached != many {
					return fmt.Sprintf("the service counts %d attachments", attached)
				}
				return ""
			})
		})).
		Assess("is looked at with a LIST of each kind, within three times what kubectl takes", in(func(s *scene) {
			bare := s.fastest(tries, func() {
				s.kubectl("get", "bnd,bsvc,deployments") // what the plugin looks at
			})
			for _, what := range []string{"status", "graph", "tree"} {
				asked := s.asked(func(server string) { s.pluginSays(0, "app-499", what, "--server", server) })
				took := s.fastest(tries, func() { s.no(s.as(cluster.kubeconfig).plugin(what).Run()) })
				s.Logf("%s: %.2f times what kubectl takes (%s), with the requests\n%s", what, took.Seconds()/bare.Seconds(), bare, strings.Join(asked, "\n"))
				if took > 3*bare {
					s.Errorf("%s takes %s, and kubectl %s", what, took, bare)
				}
				slices.Sort(asked)
				if len(asked) == 0 || len(slices.Compact(slices.Clone(asked))) < len(asked) {
					s.Errorf("%s asks for a kind more than once", what)
				}
			}
		})).
		Feature())
}

// asked are the requests, method and path, that somebody sends to the API server at an address that is good for that.
func (s *scene) asked(do func(server string)) []string {
	s.Helper()
	transport, err := rest.TransportFor(cluster.config)
	s.no(err)
	api, err := url.Parse(cluster.config.Host)
	s.no(err)
	var (
		mutex sync.Mutex
		all   []string
	)
	server := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(api)
		mutex.Lock()
		defer mutex.Unlock()
		all = append(all, r.In.Method+" "+r.In.URL.Path)
	}})
	do(server.URL)
	server.Close()
	return all
}

// fastest is the shortest time that something takes, of some tries.
func (s *scene) fastest(tries int, do func()) time.Duration {
	s.Helper()
	var took []time.Duration
	for range tries {
		began := time.Now()
		do()
		took = append(took, time.Since(began))
	}
	return slices.Min(took)
}
