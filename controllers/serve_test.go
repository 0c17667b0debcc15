package controllers_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	certutil "k8s.io/client-go/util/cert"
)

// Metrics are for those who may get /metrics, with a token of the API server, over TLS.
func TestMetricsAreForThoseWhoMay(t *testing.T) {
	t.Parallel()
	s := newScene(t, "metrics")
	s.grant(operatorUser, "", metricsRules(s.T))
	reader, stranger := s.token("reader"), s.token("stranger")
	s.grant("system:serviceaccount:"+s.namespace+":reader", "", []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}})
	options := serving(s.namespace)
	options.MetricsAddress = freeAddress(t)
	s.run(as(operatorUser), options)
	url := "https://" + options.MetricsAddress
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

	s.awaitStatus(trusting, url+"/metrics", "", http.StatusUnauthorized)
	s.awaitStatus(trusting, url+"/metrics", "no-token-of-anybody", http.StatusInternalServerError) // so the library says it
	if body := s.awaitStatus(trusting, url+"/metrics", stranger, http.StatusForbidden); strings.Contains(body, "workqueue") {
		t.Errorf("somebody without the right gets %s", body)
	}
	if body := s.awaitStatus(trusting, url+"/metrics", reader, http.StatusOK); !strings.Contains(body, "controller_runtime_active_workers") {
		t.Errorf("these are no metrics: %s", body)
	}
	s.awaitStatus(trusting, url+"/debug/pprof/", reader, http.StatusNotFound)
	for _, refused := range []string{"http://" + options.MetricsAddress, url} { // without TLS; with a certificate that nobody has signed
		if status, _, err := fetch(t.Context(), http.DefaultClient, refused+"/metrics", reader); err == nil {
			t.Errorf("%s answers %d", refused, status)
		}
	}
}

// Without TLS, everybody gets the metrics, and the operator needs no right for it.
func TestMetricsInTheOpen(t *testing.T) {
	t.Parallel()
	s := newScene(t, "metrics")
	user := s.namespace
	s.grantScope(user, s.namespace)
	options := serving(s.namespace)
	options.MetricsAddress, options.MetricsInsecure = freeAddress(t), true
	s.run(as(user), options)
	s.awaitStatus(http.DefaultClient, "http://"+options.MetricsAddress+"/metrics", "", http.StatusOK)
}

// A certificate from a directory is served, and a new one without a restart.
func TestTheCertificateOfMetricsIsReadAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, "metrics")
	s.grant(operatorUser, "", metricsRules(s.T))
	options := serving(s.namespace)
	options.MetricsAddress, options.MetricsCertDir = freeAddress(t), t.TempDir()
	for i, name := range []string{"first.example.com", "second.example.com"} {
		authority := writeCertificate(t, options.MetricsCertDir, name)
		if i == 0 {
			s.run(as(operatorUser), options)
		}
		by := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: authority, ServerName: name},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, options.MetricsAddress)
			},
		}}
		s.awaitStatus(by, "https://"+name+"/metrics", "", http.StatusUnauthorized)
	}
}

// writeCertificate writes a certificate as the kubelet does: the folder that a link names is another one at once.
func writeCertificate(t *testing.T, dir, name string) *x509.CertPool {
	t.Helper()
	certificate, key, err := certutil.GenerateSelfSignedCertKey(name, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, ".."+name)
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{"tls.crt": certificate, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(data, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", file), filepath.Join(dir, file)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(".."+name, filepath.Join(dir, "..data-new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..data-new"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for block, rest := pem.Decode(certificate); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(c)
	}
	return pool
}

// token makes a ServiceAccount, and returns a token of it.
func (s *scene) token(name string) string {
	s.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	s.must(admin.Create(s.ctx, account))
	request := &authenticationv1.TokenRequest{}
	s.must(admin.SubResource("token").Create(s.ctx, account, request))
	return request.Status.Token
}

// Profiles are served on the loopback interface, and only if a flag asks for them.
func TestProfiles(t *testing.T) {
	t.Parallel()
	s := newScene(t, "profiles")
	for _, address := range []string{freeAddress(t), "localhost:0", "[::1]:0"} {
		options := serving(s.namespace)
		options.PprofAddress, options.HealthAddress = address, freeAddress(t)
		s.run(as(operatorUser), options)
		s.awaitStatus(http.DefaultClient, "http://"+options.HealthAddress+"/readyz", "", http.StatusOK)
		if !strings.HasSuffix(address, ":0") {
			s.awaitStatus(http.DefaultClient, "http://"+address+"/debug/pprof/goroutine?debug=1", "", http.StatusOK)
		}
	}
}
