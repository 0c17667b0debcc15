package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

// apiServer is a small API server: it keeps objects by their path, and does as much of the protocol as the commands use.
type apiServer struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	objects map[string]map[string]any
	// requests are the method and the path of each.
	requests []string
	// answer is asked first; a status is the answer.
	answer func(*http.Request) *metav1.Status
	// changed is told each write, when it was made; it may make others.
	changed func(method, path string)
	// denied are the verbs and resources that nobody may, as in "patch deployments".
	denied []string
	// withoutKinds: it knows no kind of Bindery.
	withoutKinds bool
}

func newAPIServer(t *testing.T, objects ...client.Object) *apiServer {
	t.Helper()
	s := &apiServer{t: t, objects: map[string]map[string]any{}}
	for _, object := range objects {
		s.put(object)
	}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

// put stores an object, as it is.
func (s *apiServer) put(object client.Object) {
	s.t.Helper()
	gvks, _, err := scheme.ObjectKinds(object)
	if err != nil {
		s.t.Fatal(err)
	}
	gvk := gvks[0]
	body, err := json.Marshal(object)
	if err != nil {
		s.t.Fatal(err)
	}
	var content map[string]any
	if err := json.Unmarshal(body, &content); err != nil {
		s.t.Fatal(err)
	}
	content["apiVersion"], content["kind"] = gvk.GroupVersion().String(), gvk.Kind
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[fmt.Sprintf("/apis/%s/namespaces/%s/%ss/%s", gvk.GroupVersion(), object.GetNamespace(), strings.ToLower(gvk.Kind), object.GetName())] = content
}

// get reads an object; false = it is not there.
func (s *apiServer) get(object client.Object) bool {
	s.t.Helper()
	gvks, _, err := scheme.ObjectKinds(object)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	content, ok := s.objects[fmt.Sprintf("/apis/%s/namespaces/%s/%ss/%s",
		gvks[0].GroupVersion(), object.GetNamespace(), strings.ToLower(gvks[0].Kind), object.GetName())]
	body, err := json.Marshal(content)
	s.mu.Unlock()
	if err != nil || ok && json.Unmarshal(body, object) != nil {
		s.t.Fatalf("%s is no %T", body, object)
	}
	return ok
}

// sent are the writes that were sent.
func (s *apiServer) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.requests), func(r string) bool { return strings.HasPrefix(r, "GET ") || strings.Contains(r, "accessreviews") })
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		if status := answer(r); status != nil {
			reply(w, int(status.Code), status)
			return
		}
	}
	if s.withoutKinds && strings.HasPrefix(r.URL.Path, "/apis/bindery.dev/") {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		reply(w, http.StatusBadRequest, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error()))
		return
	}
	code, content := s.serve(r, body)
	reply(w, code, content)
	if s.changed != nil && r.Method != http.MethodGet && code < 300 {
		s.changed(r.Method, r.URL.Path)
	}
}

func reply(w http.ResponseWriter, code int, content any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(content) // the client has gone
}

func failure(code int32, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}
}

func notFound(path string) *metav1.Status {
	name := path[strings.LastIndex(path, "/")+1:]
	status := failure(http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%q not found", name))
	status.Details = &metav1.StatusDetails{Name: name, Kind: "kind"}
	return status
}

// serve does one request, and returns what to answer.
func (s *apiServer) serve(r *http.Request, body []byte) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, dryRun := r.URL.Path, r.URL.Query().Get("dryRun") == "All"
	content, exists := s.objects[path]
	switch {
	case strings.HasSuffix(path, "/selfsubjectaccessreviews"):
		return s.review(body)
	case r.Method == http.MethodPost:
		var created map[string]any
		if err := json.Unmarshal(body, &created); err != nil {
			return 400, failure(400, metav1.StatusReasonBadRequest, err.Error())
		}
		meta := created["metadata"].(map[string]any)
		meta["uid"], meta["generation"], meta["resourceVersion"] = "uid-new", 1, "1"
		if !dryRun {
			s.objects[path+"/"+meta["name"].(string)] = created
		}
		return 201, created
	// /apis/GROUP/VERSION/RESOURCE and /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE are lists.
	case r.Method == http.MethodGet && (strings.Count(path, "/") == 4 || strings.Count(path, "/") == 6):
		return 200, s.list(path)
	case !exists:
		return 404, notFound(path)
	case r.Method == http.MethodGet:
		return 200, content
	case r.Method == http.MethodDelete:
		var options metav1.DeleteOptions
		if err := json.Unmarshal(body, &options); err != nil {
			return 400, failure(400, metav1.StatusReasonBadRequest, err.Error())
		}
		uid := content["metadata"].(map[string]any)["uid"]
		if p := options.Preconditions; p == nil || p.UID == nil || string(*p.UID) != uid {
			return 409, failure(409, metav1.StatusReasonConflict, "the UID is another one")
		}
		if len(options.DryRun) == 0 {
			delete(s.objects, path)
		}
		return 200, &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}
	}
	return s.patch(path, r.Header.Get("Content-Type"), body, dryRun)
}

func (s *apiServer) list(path string) any {
	parts := strings.Split(path, "/")
	resource, namespace := parts[len(parts)-1], ""
	if len(parts) == 7 {
		namespace = parts[5]
	}
	items := []any{}
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		of := strings.Split(key, "/")
		if of[2] == parts[2] && of[3] == parts[3] && of[6] == resource && (namespace == "" || of[5] == namespace) {
			items = append(items, s.objects[key])
		}
	}
	kind := map[string]string{
		"bindings": "BindingList", "backingservices": "BackingServiceList", "deployments": "DeploymentList", "statefulsets": "StatefulSetList",
		"daemonsets": "DaemonSetList",
	}[resource]
	return map[string]any{"kind": kind, "apiVersion": parts[2] + "/" + parts[3], "metadata": map[string]any{}, "items": items}
}

func (s *apiServer) patch(path, contentType string, body []byte, dryRun bool) (int, any) {
	before, err := json.Marshal(s.objects[path])
	if err != nil {
		s.t.Error(err)
	}
	var after []byte
	if contentType == "application/json-patch+json" {
		patch, err := jsonpatch.DecodePatch(body)
		if err != nil {
			return 400, failure(400, metav1.StatusReasonBadRequest, err.Error())
		}
		if after, err = patch.Apply(before); err != nil {
			return 422, failure(422, metav1.StatusReasonInvalid, "the server rejected our request: "+err.Error())
		}
	} else if after, err = jsonpatch.MergePatch(before, body); err != nil {
		return 400, failure(400, metav1.StatusReasonBadRequest, err.Error())
	}
	var content map[string]any
	if err := json.Unmarshal(after, &content); err != nil {
		s.t.Error(err)
	}
	if fmt.Sprint(content["spec"]) != fmt.Sprint(s.objects[path]["spec"]) {
		meta := content["metadata"].(map[string]any)
		generation, _ := meta["generation"].(float64)
		meta["generation"] = generation + 1
	}
	if !dryRun {
		s.objects[path] = content
	}
	return 200, content
}

// review says whether a right is denied. The client sends kinds of Kubernetes in another form than JSON.
func (s *apiServer) review(body []byte) (int, any) {
	review := &authorizationv1.SelfSubjectAccessReview{}
	if _, _, err := serializer.NewCodecFactory(scheme).UniversalDeserializer().Decode(body, nil, review); err != nil {
		return 400, failure(400, metav1.StatusReasonBadRequest, err.Error())
	}
	review.TypeMeta = metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"}
	asks := review.Spec.ResourceAttributes
	review.Status.Allowed = !slices.Contains(s.denied, asks.Verb+" "+asks.Resource)
	return 201, review
}

// kubeconfig is a file that leads to a URL.
func kubeconfig(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: shop,
clusters: [{name: c, cluster: {server: %q}}, {name: nowhere, cluster: {server: "http://127.0.0.1:1"}}],
contexts: [{name: shop, context: {cluster: c, namespace: shop, user: u}}, {name: away, context: {cluster: nowhere, namespace: shop, user: u}}],
users: [{name: u, user: {}}]}`, url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// patience is how long a command may take: one that follows something that never ends is interrupted.
const patience = 5 * time.Second

// ran is what a command has come to.
type ran struct {
	code     int
	out, err string
}

// run runs a command against the server.
func (s *apiServer) run(args ...string) ran {
	s.t.Helper()
	return runAt(s.t.Context(), s.t, s.server.URL, nil, args...)
}

// runAt runs a command against a URL, on a terminal or not.
func runAt(ctx context.Context, t *testing.T, url string, shown *terminal.Terminal, args ...string) ran {
	t.Helper()
	var out, errOut LockedBuffer
	config := genericclioptions.NewConfigFlags(true)
	path := kubeconfig(t, url)
	config.KubeConfig = &path
	o := &Options{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, Config: config, Now: time.Now,
		Every: time.Millisecond, Terminal: shown,
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	code := o.execute(ctx, args)
	return ran{code, out.String(), errOut.String()}
}

// LockedBuffer is written by a command, and read by a test.
type LockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *LockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *LockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
