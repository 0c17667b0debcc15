package controllers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bindery-dev/bindery/controllers"
)

// An operator that cannot work says why, and has changed nothing.
func TestAnOperatorRefusesToStart(t *testing.T) {
	t.Parallel()
	const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
	tests := map[string]struct {
		options func(*controllers.Options)
		path    string // of the request whose answer is changed
		answer  func(object map[string]any) map[string]any
		want    string
	}{
		"an API server that is too old": {
			path:   "/version",
			answer: func(v map[string]any) map[string]any { v["gitVersion"] = "v1.29.14-gke.100"; return v },
			want:   "the operator does not start: the API server is Kubernetes v1.29.14-gke.100, and Bindery needs 1.30 or later: upgrade the cluster",
		},
		"no definition of Bindings": {
			path:   definitions + "bindings.bindery.dev",
			answer: func(map[string]any) map[string]any { return nil },
			want: "the operator does not start: CustomResourceDefinition bindings.bindery.dev does not exist: install those of this release, " +
				"by the chart with crds.enabled=true or by kubectl apply --server-side -k config/crd",
		},
		"a definition that serves another version": {
			path: definitions + "backingservices.bindery.dev",
			answer: func(d map[string]any) map[string]any {
				versionsOf(d)[0].(map[string]any)["name"] = "v1beta1"
				return d
			},
			want: "the operator does not start: CustomResourceDefinition backingservices.bindery.dev serves version v1beta1, and this operator " +
				"knows only v1alpha1: run the operator of the release that the definition is of",
		},
		"a definition that serves our version no more": {
			path: definitions + "bindings.bindery.dev",
			answer: func(d map[string]any) map[string]any {
				versionsOf(d)[0].(map[string]any)["served"] = false
				return d
			},
			want: "the operator does not start: CustomResourceDefinition bindings.bindery.dev serves no version, and",
		},
		"a definition of an earlier release": {
			path: definitions + "bindings.bindery.dev",
			answer: func(d map[string]any) map[string]any {
				unstructured.RemoveNestedField(versionsOf(d)[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "status", "properties", "current")
				return d
			},
			want: "the operator does not start: CustomResourceDefinition bindings.bindery.dev is of an earlier release: it lacks status.current, ",
		},
		"profiles for everybody": {
			options: func(o *controllers.Options) { o.PprofAddress = "0.0.0.0:6060" },
			want:    "--pprof-bind-address=0.0.0.0:6060 can be reached by others: use a loopback address, such as localhost:6060",
		},
		"profiles on every address": {
			options: func(o *controllers.Options) { o.PprofAddress = ":6060" },
			want:    "--pprof-bind-address=:6060 can be reached by others",
		},
		"profiles without a port": {
			options: func(o *controllers.Options) { o.PprofAddress = "localhost" },
			want:    "--pprof-bind-address=localhost: address localhost: missing port in address",
		},
		"a certificate that is not there": {
			options: func(o *controllers.Options) { o.MetricsAddress, o.MetricsCertDir = ":0", "/nowhere" },
			want:    "reading the certificate in --metrics-cert-dir: open /nowhere/tls.crt: no such file or directory",
		},
		"a certificate for no TLS": {
			options: func(o *controllers.Options) {
				o.MetricsAddress, o.MetricsCertDir, o.MetricsInsecure = ":0", "/certs", true
			},
			want: "--metrics-cert-dir is set, but nothing is served with its certificate",
		},
		"an empty name in the scope": {
			options: func(o *controllers.Options) { o.Namespaces = []string{"a", ""} },
			want:    `the operator does not start: --namespaces has "", which is no name of a namespace: `,
		},
		"a name twice in the scope": {
			options: func(o *controllers.Options) { o.Namespaces = []string{"a", "a"} },
			want:    "the operator does not start: --namespaces has a twice",
		},
		"a scope that does not exist at all": {
			options: func(o *controllers.Options) { o.Namespaces = []string{"no-such-one", "nor-this"} },
			want: "the operator does not start: of --namespaces, these do not exist, or give the operator no right: no-such-one, nor-this. Create them, " +
				"and then install the chart again with them in scope.namespaces; or leave them out there. There is no other namespace to work in",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := &counter{}
			config := as(operatorUser)
			config.Wrap(func(next http.RoundTripper) http.RoundTripper { return sent.count(changing(tt.path, tt.answer, next)) })
			options := serving()
			if tt.options != nil {
				tt.options(&options)
			}
			if got := runError(t, config, options); !strings.HasPrefix(got, tt.want) {
				t.Errorf("it says\n%s\nwant\n%s", got, tt.want)
			}
			for what := range sent.posts() {
				if what != "reviews" {
					t.Errorf("it sends %s", what)
				}
			}
		})
	}
}

func versionsOf(definition map[string]any) []any {
	return definition["spec"].(map[string]any)["versions"].([]any)
}

// changing changes the answer to one request; nil = 404.
func changing(path string, change func(map[string]any) map[string]any, next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err != nil || path == "" || request.URL.Path != path {
			return response, err
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return nil, err
		}
		var object map[string]any
		if err := json.Unmarshal(body, &object); err != nil {
			return nil, err
		}
		if object = change(object); object == nil {
			response.StatusCode = http.StatusNotFound
			object = map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound}
		}
		if body, err = json.Marshal(object); err != nil {
			return nil, err
		}
		response.Header.Del("Content-Length")
		response.ContentLength = int64(len(body))
		response.Body = io.NopCloser(bytes.NewReader(body))
		return response, nil
	})
}

// A definition of a later release that serves our version does not keep the operator from its work.
func TestADefinitionOfALaterReleaseIsNoted(t *testing.T) {
	t.Parallel()
	s := newScene(t, "later")
	config := as(operatorUser)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return changing("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/bindings.bindery.dev", func(d map[string]any) map[string]any {
			err := unstructured.SetNestedField(versionsOf(d)[0].(map[string]any), map[string]any{"type": "string"},
				"schema", "openAPIV3Schema", "properties", "spec", "properties", "newerThan"+s.namespace)
			if err != nil {
				t.Error(err)
			}
			return d
		}, next)
	})
	options := serving(s.namespace)
	options.HealthAddress = freeAddress(t)
	s.run(config, options)
	s.awaitStatus(http.DefaultClient, "http://"+options.HealthAddress+"/readyz", "", http.StatusOK)
	want := "CustomResourceDefinition bindings.bindery.dev is of a later release: this operator does not know spec.newerThan" + s.namespace
	if !strings.Contains(logs.String(), want) {
		t.Errorf("the log does not say %q", want)
	}
}

// A namespace of the scope that does not exist does not keep the operator from its work in the others. It says so, and
// ends when the namespace is there, to be started again.
func TestANamespaceOfTheScopeThatDoesNotExist(t *testing.T) {
	t.Parallel()
	s := newScene(t, "absent")
	user := s.namespace
	absent := s.namespace + "-later"
	s.grantScope(user, s.namespace)
	s.awaitRights(as(user), s.namespace)
	options := serving(s.namespace, absent)
	options.HealthAddress = freeAddress(t)
	o := s.run(as(user), options)
	said := s.awaitStatus(http.DefaultClient, "http://"+options.HealthAddress+"/readyz/namespaces", "", http.StatusInternalServerError)
	if want := "of --namespaces, these do not exist, or give the operator no right: " + absent + ". Create them"; !strings.Contains(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
	if !strings.Contains(logs.about(absent), `"level":"error"`) {
		t.Error("the log does not say that the namespace is absent")
	}
	for _, cache := range []string{"cache", "cache-of-children", "cache-of-resources"} {
		s.awaitStatus(http.DefaultClient, "http://"+options.HealthAddress+"/readyz/"+cache, "", http.StatusOK)
	}
	s.awaitStatus(http.DefaultClient, "http://"+options.HealthAddress+"/readyz", "", http.StatusInternalServerError)
	s.awaitStatus(http.DefaultClient, "http://"+options.HealthAddress+"/healthz", "", http.StatusOK)

	s.must(admin.Create(s.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: absent}}))
	namespaced, _ := operatorRules(t)
	s.grant(user, absent, namespaced)
	select {
	case err := <-o.done:
		if want := "namespace " + absent + " of --namespaces is there now: the operator ends, so that it starts again with it"; err == nil || err.Error() != want {
			t.Errorf("it ended with %v, want %s", err, want)
		}
	case <-time.After(patience):
		t.Fatal("the operator does not see the namespace")
	}
	again := serving(s.namespace, absent)
	again.HealthAddress = freeAddress(t)
	s.run(as(user), again)
	s.awaitStatus(http.DefaultClient, "http://"+again.HealthAddress+"/readyz", "", http.StatusOK)
}
