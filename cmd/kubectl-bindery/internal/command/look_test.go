package command_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/command"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory/inventorytest"
)

// shopServer is an API server that has the shop of the overview, and whose faults can be chosen. It answers reads of what the
// commands that look ask for.
type shopServer struct {
	*httptest.Server

	mu       sync.Mutex
	objects  map[string][]any // by the path of their list
	requests []string
	// refuse answers a request with a status other than 200; nil = it answers none so.
	refuse func(*http.Request) int
	// changed ends each watch with an event when it is closed.
	changed chan struct{}
}

func newShop(t *testing.T) *shopServer {
	t.Helper()
	s := &shopServer{objects: map[string][]any{}, changed: make(chan struct{})}
	for _, object := range inventorytest.Objects(t, "../overview/testdata/shop.yaml") {
		kind := object.GetObjectKind().GroupVersionKind()
		s.objects[fmt.Sprintf("/apis/%s/namespaces/shop/%ss", kind.GroupVersion(), strings.ToLower(kind.Kind))] = append(
			s.objects[fmt.Sprintf("/apis/%s/namespaces/shop/%ss", kind.GroupVersion(), strings.ToLower(kind.Kind))], object)
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *shopServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if s.refuse != nil {
		if code := s.refuse(r); code != 0 {
			s.fail(w, code)
			return
		}
	}
	switch {
	case r.URL.Query().Get("watch") != "":
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-s.changed:
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{"kind": "Binding", "apiVersion": "bindery.dev/v1alpha1"}})
		}
	case r.URL.Path == "/version":
		_ = json.NewEncoder(w).Encode(map[string]string{"gitVersion": "v1.36.3"})
	case r.Method == http.MethodPost:
		body, err := io.ReadAll(r.Body)
		review := map[string]any{}
		if err != nil || json.Unmarshal(body, &review) != nil {
			s.fail(w, http.StatusBadRequest)
			return
		}
		review["status"] = map[string]any{"allowed": true}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(review)
	case strings.Contains(r.URL.Path, "/customresourcedefinitions/"):
		s.fail(w, http.StatusNotFound)
	default:
		s.list(w, r.URL.Path)
	}
}

// list answers with the objects of one namespace, or of all, of which there is one.
func (s *shopServer) list(w io.Writer, path string) {
	group, resource := path[:strings.LastIndex(path, "/")], path[strings.LastIndex(path, "/"):]
	if !strings.Contains(group, "/namespaces/") {
		group += "/namespaces/shop"
	}
	s.mu.Lock()
	items := append([]any{}, s.objects[group+resource]...)
	s.mu.Unlock()
	version, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(group, "/apis/"), "/api/"), "/namespaces/")
	kind := map[string]string{
		"/bindings": "Binding", "/backingservices": "BackingService", "/deployments": "Deployment", "/statefulsets": "StatefulSet",
		"/daemonsets": "DaemonSet", "/events": "Event", "/pods": "Pod",
		"/validatingadmissionpolicies": "ValidatingAdmissionPolicy", "/validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding",
		"/mutatingadmissionpolicies": "MutatingAdmissionPolicy", "/mutatingadmissionpolicybindings": "MutatingAdmissionPolicyBinding",
	}[resource]
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind + "List", "apiVersion": version, "metadata": map[string]any{}, "items": items})
}

func (s *shopServer) fail(w http.ResponseWriter, code int) {
	reason := map[int]metav1.StatusReason{
		http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusNotFound: metav1.StatusReasonNotFound, http.StatusBadRequest: metav1.StatusReasonBadRequest,
	}[code]
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: "the server says no",
	})
}

// asked are the requests so far.
func (s *shopServer) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// plugin runs the plugin with a kubeconfig that has the contexts shop, test (another namespace) and nowhere (no cluster).
func plugin(ctx context.Context, t *testing.T, url string, args ...string) (code int, out, said *command.LockedBuffer) {
	t.Helper()
	out, said = &command.LockedBuffer{}, &command.LockedBuffer{}
	return start(ctx, t, url, out, said, args...)(), out, said
}

// start returns what runs the plugin.
func start(ctx context.Context, t *testing.T, url string, out, said *command.LockedBuffer, args ...string) func() int {
	t.Helper()
	path := kubeconfigIn(t, url)
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: said}
	return func() int {
		return command.Run(ctx, streams, command.Build{Version: "v0.1.0", Commit: "abcdef"}, append(args, "--kubeconfig="+path))
	}
}

func kubeconfigIn(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: shop,
clusters: [{name: c, cluster: {server: %q}}, {name: nowhere, cluster: {server: "http://127.0.0.1:1"}}],
contexts: [{name: shop, context: {cluster: c, namespace: shop, user: u}}, {name: test, context: {cluster: c, namespace: test, user: u}},
  {name: nowhere, context: {cluster: nowhere, namespace: shop, user: u}}],
users: [{name: u, user: {}}]}`, url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var looks = [][]string{{"status"}, {"status", "deploy/pinger"}, {"status", "-w"}, {"history", "pinger"}, {"report", "-o", "-"}, {"doctor"}}

func TestWithoutAClusterEachSaysSo(t *testing.T) {
	for _, args := range looks {
		code, out, said := plugin(t.Context(), t, "http://127.0.0.1:1", args...)
		if code != 1 || out.String() != "" || !strings.HasPrefix(said.String(), "error: the cluster does not answer: dial tcp 127.0.0.1:1") {
			t.Errorf("%q: %d, %q, %q", args, code, out, said)
		}
	}
}

func TestWithoutTheKindsEachSaysHowToInstall(t *testing.T) {
	s := newShop(t)
	s.refuse = func(r *http.Request) int {
		if strings.HasPrefix(r.URL.Path, "/apis/bindery.dev/") {
			return http.StatusNotFound
		}
		return 0
	}
	for _, args := range looks[:4] {
		code, _, said := plugin(t.Context(), t, s.URL, args...)
		if code != 1 || !strings.HasPrefix(said.String(), "error: the cluster does not know the kinds of Bindery: install it with `helm install") {
			t.Errorf("%q: %d, %q", args, code, said)
		}
	}
	code, out, said := plugin(t.Context(), t, s.URL, "doctor")
	if code != 1 || !strings.Contains(out.String(), "it does not exist: Bindery is not installed") || !strings.Contains(said.String(), "found a problem") {
		t.Errorf("doctor: %d, %q, %q", code, out, said)
	}
}

func TestWithoutAnyRightEachSaysWhatToAskFor(t *testing.T) {
	s := newShop(t)
	s.refuse = func(*http.Request) int { return http.StatusForbidden }
	for _, args := range looks[:4] {
		code, _, said := plugin(t.Context(), t, s.URL, args...)
		if code != 1 || !strings.Contains(said.String(), "listing Bindings") || !strings.Contains(said.String(), "ask for the role bindery-view") {
			t.Errorf("%q: %d, %q", args, code, said)
		}
	}
	code, out, said := plugin(t.Context(), t, s.URL, "doctor")
	if code != 0 || said.String() != "" || !strings.Contains(out.String(), "0 problems, 0 warnings, 10 not known, 0 ok") {
		t.Errorf("doctor: %d, %q, %q", code, out, said)
	}
	code, out, said = plugin(t.Context(), t, s.URL, "report", "-o", "-")
	if code != 0 || said.String() != "" || !strings.Contains(namesInTar(t, out.String()), "unread.txt") {
		t.Errorf("report: %d, %q", code, said)
	}
}

func namesInTar(t *testing.T, content string) string {
	t.Helper()
	unzipped, err := gzip.NewReader(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	var names strings.Builder
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		names.WriteString(header.Name + "\n")
	}
}

func TestOnlyWorkloadsThatMayNotBeListedAreNotShown(t *testing.T) {
	s := newShop(t)
	s.refuse = func(r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "/deployments") {
			return http.StatusForbidden
		}
		return 0
	}
	code, out, said := plugin(t.Context(), t, s.URL, "status")
	if code != 0 || said.String() != "" || !strings.Contains(out.String(), "You may not list Deployments") || !strings.Contains(out.String(), "sts/cart  rollout 2/3") {
		t.Errorf("%d, %q, %q", code, out, said)
	}
}

func TestArgumentsThatCannotBeMeant(t *testing.T) {
	s := newShop(t)
	for sentence, c := range map[string]struct {
		args []string
		want string
	}{
		"a name that nothing has":            {[]string{"status", "nobody"}, "there is no workload, BackingService or Binding nobody that Bindery knows in namespace shop"},
		"a workload that is none":            {[]string{"history", "bsvc/visits"}, "bsvc/visits is a BackingService: name a workload or Binding"},
		"two things of one name":             {[]string{"status", "fresh"}, "fresh can mean deploy/fresh or bnd/fresh: name the one that you mean"},
		"an output that there is not":        {[]string{"status", "-o", "xml"}, `there is no output "xml": it is json, yaml, wide or name`},
		"an output that cannot be watched":   {[]string{"status", "-w", "-o", "json"}, "-w does not go with -o json"},
		"an output of history that is none":  {[]string{"history", "pinger", "-o", "name"}, `there is no output "name": it is json or yaml`},
		"an output of doctor that is none":   {[]string{"doctor", "-o", "wide"}, `there is no output "wide": it is json or yaml`},
		"a context that the file has not":    {[]string{"status", "--context=absent"}, `context "absent" does not exist`},
		"a shell that nobody has":            {[]string{"completion", "csh"}, `invalid argument "csh"`},
		"history without saying of what":     {[]string{"history"}, "accepts 1 arg(s), received 0"},
		"a folder that a report cannot have": {[]string{"report", "-o", "/nowhere/at/all.tar.gz"}, "no such file or directory"},
	} {
		t.Run(sentence, func(t *testing.T) {
			code, out, said := plugin(t.Context(), t, s.URL, c.args...)
			if code != 1 || out.String() != "" || !strings.Contains(said.String(), c.want) {
				t.Errorf("%d, %q, %q", code, out, said)
			}
		})
	}
}

func TestContextAndNamespaceAreThoseOfKubectl(t *testing.T) {
	s := newShop(t)
	for sentence, c := range map[string]struct {
		args []string
		want string
	}{
		"the namespace of the context":              {[]string{"status"}, "GET /apis/bindery.dev/v1alpha1/namespaces/shop/bindings"},
		"the namespace of another context":          {[]string{"status", "--context=test"}, "GET /apis/bindery.dev/v1alpha1/namespaces/test/bindings"},
		"a namespace that was named":                {[]string{"status", "-n", "other"}, "GET /apis/bindery.dev/v1alpha1/namespaces/other/bindings"},
		"all namespaces, in spite of that":          {[]string{"status", "-A", "-n", "other"}, "GET /apis/bindery.dev/v1alpha1/bindings"},
		"the namespace of history":                  {[]string{"history", "pinger", "-n", "shop"}, "GET /apis/bindery.dev/v1alpha1/namespaces/shop/bindings"},
		"the namespace that a doctor is to look at": {[]string{"doctor", "-n", "other"}, "GET /apis/bindery.dev/v1alpha1/namespaces/other/bindings"},
	} {
		t.Run(sentence, func(t *testing.T) {
			before := len(s.asked())
			_, _, said := plugin(t.Context(), t, s.URL, c.args...)
			if !slices.Contains(s.asked()[before:], c.want) {
				t.Errorf("it asked %q, and said %q", s.asked()[before:], said)
			}
		})
	}
}

func TestStatusMakesOneListOfEachKind(t *testing.T) {
	s := newShop(t)
	if code, _, said := plugin(t.Context(), t, s.URL, "status"); code != 0 {
		t.Fatalf("%d, %s", code, said)
	}
	asked := s.asked()
	slices.Sort(asked)
	if len(asked) != 4 || len(slices.Compact(slices.Clone(asked))) != 4 { // no DaemonSet is named
		t.Errorf("it asked %q", asked)
	}
}

func TestPipedOutputHasNoColourAndWholeLines(t *testing.T) {
	s := newShop(t)
	for _, args := range [][]string{{"status"}, {"status", "pinger-visits"}, {"history", "pinger"}, {"doctor"}} {
		_, out, _ := plugin(t.Context(), t, s.URL, args...)
		if strings.Contains(out.String(), "\x1b") || out.String() == "" {
			t.Errorf("%q: %q", args, out)
		}
	}
}

func TestOutputs(t *testing.T) {
	s := newShop(t)
	for sentence, c := range map[string]struct {
		args []string
		want string
	}{
		"names":                 {[]string{"status", "-o", "name"}, "binding.bindery.dev/pinger-visits\n"},
		"YAML":                  {[]string{"status", "deploy/pinger", "-o", "yaml"}, "workloads:\n- attachments:\n"},
		"JSON":                  {[]string{"history", "pinger", "-o", "json"}, `"outcome": "RolledBack"`},
		"wide":                  {[]string{"status", "-o", "wide"}, "bindery-visits2.shop.svc:6379"},
		"the way back, with -n": {[]string{"status", "pinger-visits", "-n", "shop"}, "kubectl bindery undo bnd/pinger-visits -n shop"},
		"findings":              {[]string{"doctor", "-o", "json"}, `"verdict": "problem"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, out, said := plugin(t.Context(), t, s.URL, c.args...)
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("%q, %q", out, said)
			}
		})
	}
}

func TestAWatchPrintsWhatChangedAndEndsWithCtrlC(t *testing.T) {
	s := newShop(t)
	ctx, interrupt := context.WithCancel(t.Context())
	out, said := &command.LockedBuffer{}, &command.LockedBuffer{}
	ended := make(chan int)
	run := start(ctx, t, s.URL, out, said, "status", "-w")
	go func() { ended <- run() }()
	await(t, "the first lines", func() bool { return strings.Contains(out.String(), "shop sts/cart") })
	s.mu.Lock()
	s.objects["/apis/bindery.dev/v1alpha1/namespaces/shop/bindings"] = s.objects["/apis/bindery.dev/v1alpha1/namespaces/shop/bindings"][:1]
	s.mu.Unlock()
	before := out.String()
	close(s.changed)
	await(t, "what is gone", func() bool { return strings.Contains(out.String(), "shop/cart-sessions is gone") })
	if after := strings.TrimPrefix(out.String(), before); strings.Contains(after, "deploy/pinger") {
		t.Errorf("what did not change is printed again: %s", after)
	}
	interrupt()
	if code := <-ended; code != command.ExitInterrupted || said.String() != "" {
		t.Errorf("it exits with %d, and says %q", code, said)
	}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}

func TestNamesAreCompletedFromTheCluster(t *testing.T) {
	s := newShop(t)
	for sentence, c := range map[string]struct {
		args []string
		want []string
	}{
		"a workload, by its name or its form": {[]string{"history", "pin"}, []string{"pinger", "pinger-logs", "pinger-visits"}},
		"a kind":                              {[]string{"status", "sts/"}, []string{"sts/cart"}},
		"a name of two things, by their forms": {
			[]string{"status", "deploy/f"}, []string{"deploy/fresh"},
		},
		"no name of two things":    {[]string{"status", "fre"}, nil},
		"nothing after the last":   {[]string{"history", "pinger", ""}, nil},
		"a service to swap to":     {[]string{"swap", "pinger", "--to", "sess"}, []string{"sessions", "sessions-big"}},
		"a context":                {[]string{"status", "--context", "no"}, []string{"nowhere"}},
		"a subcommand of its own":  {[]string{"his"}, []string{"history"}},
		"nothing, where no rights": {[]string{"status", "--context", "nowhere", "pin"}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			// The kubeconfig has to stand before what is completed.
			out, said := &command.LockedBuffer{}, &command.LockedBuffer{}
			path := kubeconfigIn(t, s.URL)
			code := command.Run(t.Context(), genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: said}, command.Build{},
				append([]string{"__completeNoDesc", "--kubeconfig=" + path}, c.args...))
			var got []string
			for line := range strings.Lines(out.String()) {
				if !strings.HasPrefix(line, ":") {
					got = append(got, strings.TrimSuffix(line, "\n"))
				}
			}
			if code != 0 || !slices.Equal(got, c.want) {
				t.Errorf("%d, %q, %q", code, got, said)
			}
		})
	}
}

func TestEachShellGetsAScript(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, out, said := plugin(t.Context(), t, "http://127.0.0.1:1", "completion", shell)
		if code != 0 || !strings.Contains(out.String(), "kubectl-bindery") {
			t.Errorf("%s: %d, %q, %q", shell, code, out, said)
		}
	}
}

func TestTheVersionNamesTheCommit(t *testing.T) {
	code, out, _ := plugin(t.Context(), t, "http://127.0.0.1:1", "--version")
	if code != 0 || out.String() != "kubectl bindery version v0.1.0 (abcdef)\n" {
		t.Errorf("%d, %q", code, out)
	}
}

func TestAReportGoesWhereItIsTold(t *testing.T) {
	s := newShop(t)
	folder := t.TempDir()
	if code, _, said := plugin(t.Context(), t, s.URL, "report", "-o", folder); code != 0 {
		t.Fatalf("%d, %s", code, said)
	}
	if text, err := os.ReadFile(filepath.Join(folder, "bindings.yaml")); err != nil || !strings.Contains(string(text), "pinger-visits") {
		t.Errorf("%s, %v", text, err)
	}
	file := filepath.Join(folder, "report.tar.gz")
	for want, says := range []string{"is written", "exists: name another file"} {
		if code, _, said := plugin(t.Context(), t, s.URL, "report", "-o", file); code != want || !strings.Contains(said.String(), says) {
			t.Errorf("%d, %s", code, said)
		}
	}
	packed, err := os.ReadFile(file)
	if err != nil || !strings.Contains(namesInTar(t, string(packed)), "/status.txt") {
		t.Errorf("%v", err)
	}
}
