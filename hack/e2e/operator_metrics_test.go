//go:build e2e

package e2e

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// operatorMetrics are the metrics of an operator, which are for those who may read them alone.
func (s *scene) operatorMetrics(pod *corev1.Pod) string {
	s.Helper()
	url := s.metricsURL(pod)
	ask := func(token string) (status int, text string) {
		s.retry("the operator answers", soon, func() string {
			var err error
			if status, text, err = s.fetch(url, token); err != nil {
				url = s.metricsURL(pod) // kubectl forwards no more after a connection that broke
			}
			return errorText(err)
		})
		return status, text
	}
	scraper := s.tokenOf("scraper")
	for _, refused := range []struct {
		whose, token string
		want         int
	}{{"nobody", "", http.StatusUnauthorized}, {"somebody who may not", scraper, http.StatusForbidden}} {
		if status, text := ask(refused.token); status != refused.want {
			s.Errorf("the metrics for %s: status %d, want %d: %s", refused.whose, status, refused.want, text)
		}
	}
	// Another account: the operator remembers for half a minute who may not.
	token, revoke := s.metricsReader()
	defer revoke()
	status, text := ask(token)
	s.requireMetrics(status, text)
	return text
}

func (s *scene) metricsURL(pod *corev1.Pod) string {
	s.Helper()
	return "https://" + s.forward(pod.Namespace, "pod/"+pod.Name, 8443) + "/metrics"
}

// metricsReader makes a ServiceAccount that may read the metrics, and returns a token of it.
func (s *scene) metricsReader() (token string, revoke func()) {
	s.Helper()
	token = s.tokenOf("reader")
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace, Name: "reader"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "bindery-metrics-reader"},
	}
	s.no(cluster.client.Create(s.ctx, binding))
	return token, func() { s.no(cluster.client.Delete(s.ctx, binding)) }
}

// metricsFor are the metrics for somebody who may read them.
func (s *scene) metricsFor(url, token string) string {
	s.Helper()
	status, text, err := s.fetch(url, token)
	s.no(err)
	s.requireMetrics(status, text)
	return text
}

func (s *scene) requireMetrics(status int, text string) {
	s.Helper()
	if status != http.StatusOK {
		s.Fatalf("the metrics for somebody who may read them: status %d: %s", status, text)
	}
}

// tokenOf makes a ServiceAccount, and returns a token of it.
func (s *scene) tokenOf(name string) string {
	s.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	s.no(cluster.client.Create(s.ctx, account))
	request := &authenticationv1.TokenRequest{}
	s.no(cluster.client.SubResource("token").Create(s.ctx, account, request))
	return request.Status.Token
}

// fetch asks for a page whose server has a certificate that nobody has signed.
func (s *scene) fetch(url, token string) (status int, text string, err error) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, url, nil)
	s.no(err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	by := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := by.Do(request)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
}
