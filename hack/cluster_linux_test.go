package hack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	envFile   = "bin/cluster/env"
	kindState = "kind-state/bindery-cluster"
)

// newCluster is a machine with the scripts of the cluster. Whatever they keep outside of the tree, they keep in the copy.
func newCluster(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t, "hack/cluster", "hack/images", "hack/tools")
	for _, file := range []string{"lib.sh", "local.sh", "process.sh", "engine.sh"} {
		path := filepath.Join(m.root, "hack/cluster", file)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer(
			"/var/lib/bindery-cluster", m.root+"/state",
			"/run/bindery-cluster", m.root+"/run",
			"/var/lib/bindery-engine", m.root+"/engine-state",
			"/run/bindery-engine", m.root+"/engine-run",
			"/usr/lib/cni", m.root+"/cni",
			"LOCK=/var/lib ", "LOCK="+m.root+" ",
		).Replace(string(content))
		if file == "lib.sh" {
			// What takes root, or reaches for what the machine has only one of.
			text += "become_root() { :; }\nremove_traces() { :; }\nunmount() { :; }\nremember_sysctls() { :; }\nanswers() { :; }\nengine_remove_traces() { :; }\n"
		}
		m.write(path, text, 0o755)
	}
	m.installs("docker", "exit 1")
	m.installs("make", "")
	m.write(filepath.Join(m.root, "bin/images/operator.image"), "localhost/bindery/operator:dev sha256:1\n", 0o644)
	m.write(filepath.Join(m.root, "bin/images/operator.tar"), "an archive", 0o644)
	return m
}

// runsIn writes down that a cluster of this kind is up.
func (m *machine) runsIn(kind string) {
	m.Helper()
	m.write(filepath.Join(m.root, envFile), "CLUSTER_KIND="+kind+"\n", 0o644)
	m.write(filepath.Join(m.root, "bin/cluster/kubeconfig"), "", 0o644)
	if err := os.MkdirAll(filepath.Join(m.root, "state/images"), 0o755); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) onKind() []string {
	return []string{"CLUSTER=kind", "XDG_STATE_HOME=" + m.root + "/kind-state"}
}

const load = "hack/cluster/load.sh"

func TestLoad(t *testing.T) {
	tests := map[string]func(m *machine){
		"a load into the local node that fails is said, is not written down, and is tried again": func(m *machine) {
			m.runsIn("local")
			m.installs("ctr", "echo 'ctr: unexpected EOF' >&2; exit 1")
			m.fails("ctr: unexpected EOF", nil, load)
			if m.has("state/images/*") {
				m.Error("the image is written down as loaded")
			}
			m.fails("ctr: unexpected EOF", nil, load)
			m.installs("ctr", "")
			m.succeeds("loaded localhost/bindery/operator:dev", nil, load)
			m.succeeds("has localhost/bindery/operator:dev already", nil, load)
		},
		"a load into the local node that fails makes what was loaded before doubtful": func(m *machine) {
			m.runsIn("local")
			m.installs("ctr", "")
			m.succeeds("loaded", nil, load)
			m.write(filepath.Join(m.root, "bin/images/operator.image"), "localhost/bindery/operator:dev sha256:2\n", 0o644)
			m.installs("ctr", "exit 1")
			m.fails("", nil, load)
			m.installs("ctr", "")
			m.write(filepath.Join(m.root, "bin/images/operator.image"), "localhost/bindery/operator:dev sha256:1\n", 0o644)
			m.succeeds("loaded", nil, load)
		},
		"a load into kind that fails is said, and is tried again": func(m *machine) {
			m.runsIn("kind")
			m.builds("kind", "echo 'ERROR: failed to load image' >&2; exit 1")
			m.fails("ERROR: failed to load image", nil, load)
			m.builds("kind", "")
			m.succeeds("loaded localhost/bindery/operator:dev", nil, load)
			m.installs("docker", "echo sha256:1")
			m.succeeds("has localhost/bindery/operator:dev already", nil, load)
		},
		"a load that fails ends the run, whatever is loaded after it": func(m *machine) {
			m.runsIn("local")
			m.write(filepath.Join(m.root, "bin/images/pinger.image"), "localhost/bindery/pinger:dev sha256:1\n", 0o644)
			m.installs("ctr", `case "$*" in *operator*) exit 1 ;; esac`)
			m.fails("", nil, load, "operator", "pinger")
		},
		"where no image was built, nothing is loaded": func(m *machine) {
			m.runsIn("local")
			if err := os.RemoveAll(filepath.Join(m.root, "bin/images")); err != nil {
				m.Fatal(err)
			}
			m.fails("no images", nil, load)
		},
		"an env that names no kind of cluster is said": func(m *machine) {
			m.runsIn("")
			m.fails("make cluster-up", nil, load)
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(newCluster(t)) })
	}
}

const up, down = "hack/cluster/up.sh", "hack/cluster/down.sh"

func TestUpAndDown(t *testing.T) {
	tests := map[string]func(m *machine){
		"a create in kind that fails leaves no env, and down removes what it left": func(m *machine) {
			m.runsIn("kind")
			m.installs("docker", `case "$*" in info) ;; *image*) ;; *"container ls"*) ;; *) exit 1 ;; esac`)
			m.builds("kind", "echo 'ERROR: failed to create cluster' >&2; exit 1")
			m.fails("ERROR: failed to create cluster", m.onKind(), up)
			m.mustNotHave(envFile, "bin/cluster/kubeconfig")
			m.succeeds("", m.onKind(), down)
			m.mustNotHave(kindState, "bin/cluster")
		},
		"a node in kind that does not get ready is no cluster": func(m *machine) {
			m.installs("docker", `case "$*" in info) ;; *image*) ;; *"container ls"*) ;; *) exit 1 ;; esac`)
			m.builds("kind", "echo ' • WARNING: Timed out waiting for Ready'")
			m.builds("kubectl", "echo 'error: timed out waiting for the condition on nodes' >&2; exit 1")
			m.fails("timed out waiting for the condition", m.onKind(), up)
			m.mustNotHave(envFile)
			m.hasKind()
			m.builds("kubectl", `[ "$3" != wait ] || { echo 'error: timed out waiting for the condition on nodes' >&2; exit 1; }`)
			m.fails("timed out waiting for the condition", m.onKind(), up)
			m.fails("timed out waiting for the condition", m.onKind(), up)
			m.mustNotHave(envFile)
		},
		"kind that was asked for needs an engine, the mend is said, and what runs is left alone": func(m *machine) {
			m.runsIn("local")
			m.fails("no Docker engine answers. Start Docker, or install and start one: make cluster-engine", m.onKind(), up)
			if !m.has(envFile) {
				m.Error("the env of the local node is gone")
			}
		},
		"a cluster in kind that cannot be looked for is not gone": func(m *machine) {
			m.runsIn("kind")
			m.write(filepath.Join(m.root, kindState, "audit/audit.log"), "", 0o644)
			m.fails("no Docker engine answers", m.onKind(), down)
			m.fails("no Docker engine answers", m.onKind()[1:], down)
			if !m.has(envFile) || !m.has(kindState) {
				m.Error("what is known of the cluster is gone")
			}
		},
		"a delete in kind that fails is said": func(m *machine) {
			m.runsIn("kind")
			m.write(filepath.Join(m.root, kindState, "audit/audit.log"), "", 0o644)
			m.installs("docker", `case "$*" in *"container ls"*) echo 0123456789ab ;; esac`)
			m.builds("kind", "echo 'ERROR: failed to delete cluster' >&2; exit 1")
			m.fails("ERROR: failed to delete cluster", m.onKind(), down)
			if !m.has(envFile) || !m.has(kindState) {
				m.Error("what is known of the cluster is gone")
			}
		},
		"a create of the local node that fails leaves no env, and down removes what it left": func(m *machine) {
			m.runsIn("local")
			m.hasNode()
			m.installs("openssl", "echo 'openssl: no space left on device' >&2; exit 1")
			m.fails("no space left on device", []string{"CLUSTER=local"}, up)
			m.mustNotHave(envFile, "bin/cluster/kubeconfig")
			m.succeeds("", []string{"CLUSTER=local"}, down)
			m.mustNotHave("state", "run", "bin/cluster")
		},
		"a local node that can be made is told of, and down leaves nothing of it": func(m *machine) {
			m.hasNode()
			m.succeeds("is up after", []string{"CLUSTER=local"}, up)
			if !m.has(envFile) || !m.has("bin/cluster/kubeconfig") || !m.has("state/up") {
				m.Error("nobody is told")
			}
			m.succeeds("", []string{"CLUSTER=local"}, down)
			m.mustNotHave("state", "run", "bin/cluster")
		},
		"a cluster in kind that can be made is told of, and found again, and down leaves nothing of it": func(m *machine) {
			m.hasKind()
			m.succeeds("", m.onKind(), up)
			if !m.has(envFile) || !m.has("bin/cluster/kubeconfig") || !m.has(kindState) {
				m.Error("nobody is told")
			}
			m.succeeds("it is up already", m.onKind(), up)
			m.succeeds("", m.onKind(), down)
			m.mustNotHave("container", kindState, "bin/cluster")
		},
		"a node that cannot be pulled is built here, has a network of its own, and is found again": func(m *machine) {
			m.hasKind()
			m.cannotPull()
			m.succeeds("pulling kindest/node", m.onKind()[1:], up)
			if !m.says("created", "localhost/bindery/node:v1.") || !m.says("configuration", "disableDefaultCNI: true") {
				m.Error("the cluster is not made of what was built")
			}
			if !m.says("images-removed", "localhost/bindery/node:old\n") || m.says("images-removed", "v1.") {
				m.Error("what is removed is not the image of an earlier build")
			}
			m.succeeds("it is up already", m.onKind(), up)
		},
		"a node that was built here is not tried to be pulled, and is built again where what it is made of has changed": func(m *machine) {
			m.hasKind()
			m.cannotPull()
			m.write(filepath.Join(m.root, "bin/node-image.name"), "localhost/bindery/node:v1.0.0-0", 0o644)
			m.write(filepath.Join(m.root, "bin/node-image.tar"), "of something else", 0o644)
			m.installs("make", `case "$*" in *node-image.tar*) [ -e bin/node-image.tar ] || { echo >bin/node-image.tar; echo >built; } ;; esac`)
			if output, ok := m.run(m.onKind(), up); !ok || strings.Contains(output, "pulling") || !m.has("built") {
				m.Error("it must be built, and not pulled")
			}
		},
		"a node that can be pulled has the network that kind gives it": func(m *machine) {
			m.hasKind()
			m.succeeds("", m.onKind(), up)
			if !m.says("configuration", "networking: {}") || m.says("created", "localhost") {
				m.Error("the cluster is not made of what is published")
			}
		},
		"a node that can neither be pulled nor built leaves no env": func(m *machine) {
			m.hasKind()
			m.cannotPull()
			m.installs("make", `case "$*" in *node-image.tar*) echo 'debootstrap: no space left' >&2; exit 2 ;; esac`)
			m.fails("debootstrap: no space left", m.onKind(), up)
			m.mustNotHave(envFile, "container")
		},
		"another image that was asked for and cannot be pulled is not replaced by ours": func(m *machine) {
			m.hasKind()
			m.cannotPull()
			m.fails("no such host", append(m.onKind(), "KIND_IMAGE=kindest/node:v1.35.8"), up)
			m.mustNotHave(envFile, "container", "imported")
		},
		"a local node that cannot be built leaves no env": func(m *machine) {
			m.runsIn("local")
			m.hasNode()
			m.installs("make", "exit 2")
			m.fails("", []string{"CLUSTER=local"}, up)
			m.mustNotHave(envFile)
		},
		"a route that cannot be looked for is said": func(m *machine) {
			m.hasNode()
			m.installs("ip", `echo "ip: no netlink" >&2; exit 1`)
			m.installs("openssl", "echo 'the certificates are made' >&2; exit 1")
			output, ok := m.run([]string{"CLUSTER=local"}, up)
			if ok || strings.Contains(output, "the certificates are made") {
				m.Error("it must fail before it makes anything")
			}
		},
		"down of both kinds leaves nothing of what is known of either": func(m *machine) {
			m.hasKind()
			m.hasNode()
			m.succeeds("", m.onKind(), up)
			if err := os.MkdirAll(filepath.Join(m.root, "state"), 0o755); err != nil {
				m.Fatal(err)
			}
			m.succeeds("taking down the local node", m.onKind()[1:], down)
			m.mustNotHave("container", kindState, "state", "bin/cluster")
		},
		"down of one kind leaves what is known of the other": func(m *machine) {
			m.runsIn("local")
			m.installs("docker", "")
			m.succeeds("", m.onKind(), down)
			if !m.has(envFile) {
				m.Error("the env of the local node is gone")
			}
		},
		"down of an unknown kind is refused": func(m *machine) {
			m.runsIn("local")
			m.fails("it is 'local' or 'kind'", []string{"CLUSTER=knid"}, down)
			if !m.has(envFile) {
				m.Error("the env of the local node is gone")
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(newCluster(t)) })
	}
}

// hasNode installs and builds all that the local node is made of.
func (m *machine) hasNode() {
	m.Helper()
	for _, program := range []string{
		"containerd", "containerd-shim-runc-v2", "runc", "iptables", "nft", "conntrack", "socat", "ip", "nsenter", "openssl", "find", "mount",
	} {
		m.installs(program, "")
	}
	for _, binary := range []string{
		"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl", "coredns",
	} {
		m.builds(binary, "")
	}
	m.write(filepath.Join(m.root, "cni/ptp"), "", 0o755)
	m.write(filepath.Join(m.root, "bin/images/pause.tar"), "an archive", 0o644)
	m.installs("unshare", "")
	m.installs("ctr", "")
	m.installs("openssl", `while [ $# -gt 0 ]; do [ "$1" != -out ] || echo "$2" >"$2"; shift; done; [ -t 0 ] || cat >/dev/null`)
	m.builds("kubectl", `[ "$3" != create ] || cat >/dev/null`)
}

// hasKind installs a Docker engine and a kind, whose cluster is a file.
func (m *machine) hasKind() {
	m.Helper()
	m.installs("docker", `case "$*" in
		*"container ls"*) cat container 2>/dev/null || true ;;
		*"container inspect"*) test -e container && sed -n 's/^PUBLISHED_IMAGE=/true /p' hack/cluster/kind.sh ;;
		esac`)
	m.builds("kind", `case "$*" in
		*create*) cat >configuration; echo 0123456789ab >container; echo >bin/cluster/kubeconfig; echo "$*" >created ;;
		*delete*) rm container ;;
		esac`)
	m.builds("kubectl", "")
}

// cannotPull leaves an engine that has no image but those that are built here.
func (m *machine) cannotPull() {
	m.Helper()
	m.installs("docker", `case "$*" in
		*"container ls"*) cat container 2>/dev/null || true ;;
		*"container inspect"*) test -e container && echo true "$(cat imported)" ;;
		*"image inspect localhost"*) test -e imported && [ "$3" = "$(cat imported)" ] ;;
		*"image inspect"*) exit 1 ;;
		*"image ls"*) cat imported; echo localhost/bindery/node:old ;;
		*"image rm"*) echo "$3" >>images-removed ;;
		import*) for name; do :; done; echo "$name" >imported ;;
		pull*) echo 'dial tcp: lookup registry: no such host' >&2; exit 1 ;;
		esac`)
	m.installs("make", `case "$*" in *node-image.tar*) echo >>built; touch bin/node-image.tar ;; esac`)
}

// says tells whether the file at this path has this text.
func (m *machine) says(path, text string) bool {
	m.Helper()
	content, err := os.ReadFile(filepath.Join(m.root, path))
	if err != nil {
		m.Fatal(err)
	}
	return strings.Contains(string(content), text)
}

const engineUp, engineDown = "hack/cluster/engine-up.sh", "hack/cluster/engine-down.sh"

func TestEngine(t *testing.T) {
	tests := map[string]func(m *machine){
		"one that answers is left alone": func(m *machine) {
			m.hasEngine("")
			m.installs("docker", "")
			m.succeeds("a Docker engine answers already", nil, engineUp)
			m.succeeds("there is no engine of our own", nil, engineDown)
			m.mustNotHave("engine-state", "engine-run", "removed")
		},
		"one of our own answers to those who come later, and down leaves nothing of it, nor of the cluster in it": func(m *machine) {
			m.hasKind()
			m.hasEngine("echo >" + m.root + "/engine-run/docker.sock; sleep 1") // it lives until somebody has asked it
			m.succeeds("an engine of our own answers", nil, engineUp)
			m.succeeds("answers already at unix://"+m.root+"/engine-run/docker.sock", nil, engineUp)
			m.runsIn("kind")
			m.succeeds("taking down the engine", m.onKind(), engineDown)
			if !m.has("removed") {
				m.Error("its containers are still there")
			}
			m.mustNotHave("engine-state", "engine-run", "bin/cluster")
		},
		"one that ends at once is said, with the end of its log": func(m *machine) {
			m.hasEngine("echo 'failed to start daemon: no cgroups' >&2")
			m.fails("failed to start daemon: no cgroups", nil, engineUp)
		},
		"without a machine's own runtime it is said": func(m *machine) {
			m.hasEngine("")
			if err := os.Remove(filepath.Join(m.path, "runc")); err != nil {
				m.Fatal(err)
			}
			if output, ok := m.run(nil, engineUp); ok || strings.Contains(output, "answers") {
				m.Error("it must fail")
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(newCluster(t)) })
	}
}

// hasEngine installs the programs of an engine that does this when it is started. It answers where its socket is.
func (m *machine) hasEngine(starts string) {
	m.Helper()
	m.installs("dockerd", starts)
	for _, program := range []string{"docker-proxy", "containerd", "containerd-shim-runc-v2", "runc", "iptables", "find"} {
		m.installs(program, "")
	}
	m.builds("engine-runtime", "")
	m.installs("docker", `case "$*" in
		info) test -e engine-run/docker.sock ;;
		*"container ls --all --quiet") [ "$#" != 4 ] || echo 0123456789ab ;;
		*"container rm"*) echo "$*" >removed ;;
		esac`)
}

func TestEngineTakesARuntimeOfItsOwnOnlyWhereACapabilityIsMissing(t *testing.T) {
	for name, test := range map[string]struct{ answer, runtime string }{
		"it is there":   {"true", "runc"},
		"it is missing": {"false", "engine-runtime"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newCluster(t)
			m.hasEngine("")
			m.succeeds("", nil, "bash", "-c", "source hack/cluster/lib.sh; engine_has_sys_resource() { "+test.answer+"; }; engine_folders")
			content, err := os.ReadFile(filepath.Join(m.root, "engine-state/daemon.json"))
			if err != nil {
				t.Fatal(err)
			}
			var config struct {
				Default  string                           `json:"default-runtime"`
				Runtimes map[string]struct{ Path string } `json:"runtimes"`
				IPTables *bool                            `json:"iptables"`
			}
			if err := json.Unmarshal(content, &config); err != nil {
				t.Fatalf("%s: %v", content, err)
			}
			if config.Default != test.runtime {
				t.Errorf("it runs %q", config.Default)
			}
			if path := config.Runtimes[test.runtime].Path; test.runtime != "runc" && !strings.HasPrefix(path, m.root) {
				t.Errorf("the runtime is at %q", path)
			}
			if config.IPTables == nil || *config.IPTables {
				t.Error("it changes the machine's firewall")
			}
		})
	}
}

func (m *machine) mustNotHave(paths ...string) {
	m.Helper()
	for _, path := range paths {
		if m.has(path) {
			m.Errorf("%s is there", path)
		}
	}
}

func TestAProcessThatEndedAtOnceIsNotAlive(t *testing.T) {
	m := newCluster(t)
	m.succeeds("it has ended", nil, "timeout", "10", "bash", "-c", `
		source hack/cluster/lib.sh
		mkdir -p "$RUN/pids" "$LOGS"
		started_at() { :; } # it was too late to look
		start something true
		stop something
		is_alive something || echo 'it has ended'`)
}

func TestAVolumeThatCannotBeEmptiedIsGivenToNobody(t *testing.T) {
	m := newMachine(t, "hack/cluster/recycle.sh")
	m.write(filepath.Join(m.root, "volumes/volume-01/dump.rdb"), "somebody's", 0o644)
	// Two watches that each end after the list; then the cluster is gone.
	m.installs("kubectl", `case "$*" in
		*--watch*) echo >>watches; [ "$(wc -l <watches)" -lt 3 ] || rm -r volumes; echo volume-01 Released ;;
		*phase*) printf Released ;;
		*patch*) echo >>patched ;;
		esac`)
	m.installs("sleep", "")
	m.installs("find", "echo 'find: Operation not permitted' >&2; exit 1")
	m.succeeds("volume-01 stays as it is", nil, "bash", "hack/cluster/recycle.sh", filepath.Join(m.path, "kubectl"), "kubeconfig", "volumes")
	m.mustNotHave("patched")
}
