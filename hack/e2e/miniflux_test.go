//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const (
	// kept is a category that Miniflux has in its first database.
	kept = "kept"
	// authorityFile is where testdata/miniflux.yaml has the authority of the managed database.
	authorityFile = "/etc/database-authority/ca.pem"
	// nextLook is the time between two looks at the app's health.
	nextLook = 20 * time.Millisecond
)

// Miniflux is an app that nobody here has written: https://miniflux.app. It moves from a PostgreSQL of its own to one that
// somebody manages, with a certificate of a private authority, and back. Bindery moves the app and not its data: so the
// managed database is empty, and the first one has it all when the app is back.
func TestMiniflux(t *testing.T) {
	t.Parallel()
	var local, managed server
	suite.Test(t, features.New("an app of somebody else's").
		Setup(in(func(s *scene) {
			local, managed = s.runServer(v1alpha1.TypePostgreSQL, "local"), s.runSecureServer(v1alpha1.TypePostgreSQL, "managed")
			s.external("local-database", v1alpha1.TypePostgreSQL, local.handle, "")
			s.external("managed-database", v1alpha1.TypePostgreSQL, withAuthorityFile(managed.handle), managed.authority)
			s.bind("miniflux-database", "miniflux", "local-database")
			manifest, err := os.ReadFile("testdata/miniflux.yaml")
			s.no(err)
			s.kubectlReads(string(manifest), "apply", "-f", "-")
			s.awaitBinding("miniflux-database")
		})).
		Assess("works with the database that its Binding names", in(func(s *scene) {
			m := s.miniflux()
			if user := m.user(); user != "admin" {
				s.Errorf("the API says that the administrator is %q", user)
			}
			m.addCategory(kept)
			m.requireCategories("All", kept)
		})).
		Assess("moves to a managed one in one rollout, and fails no request", in(func(s *scene) {
			since := s.rollouts("miniflux")
			s.requireHealthy(func() {
				s.swap("miniflux-database", "managed-database")
				s.awaitBinding("miniflux-database")
			})
			s.requireRollouts(since, 1)
			if at := s.variables("miniflux", "miniflux")["DATABASE_URL"]; at.Name != "managed-database-handle" {
				s.Errorf("DATABASE_URL comes from Secret %s", at.Name)
			}
			// It has made its tables and its administrator there, and has found nothing.
			m := s.miniflux()
			if user := m.user(); user != "admin" {
				s.Errorf("the API says that the administrator is %q", user)
			}
			m.requireCategories("All")
		})).
		Assess("and back, to all that it had", in(func(s *scene) {
			since := s.rollouts("miniflux")
			s.requireHealthy(func() {
				s.swap("miniflux-database", "local-database")
				s.awaitBinding("miniflux-database")
			})
			s.requireReturn(since)
			s.miniflux().requireCategories("All", kept)
		})).
		Assess("is not touched by a swap that cannot work", in(func(s *scene) {
			host, password := "@"+managed.name+":", managed.values["PASSWORD"]
			refused := []struct{ reason, handle, authority string }{
				{v1alpha1.ReasonCredentialsRefused, strings.Replace(managed.handle, password, newWord(), 1), managed.authority},
				{v1alpha1.ReasonDatabaseNotFound, strings.Replace(managed.handle, "/shop", "/nothing", 1), managed.authority},
				{v1alpha1.ReasonCertificateNameMismatch, strings.Replace(managed.handle, host, "@"+managed.name+"."+s.namespace+":", 1), managed.authority},
				{v1alpha1.ReasonCertificateUntrusted, managed.handle, ""},
			}
			for _, r := range refused {
				if r.authority != "" {
					r.handle = withAuthorityFile(r.handle)
				}
				s.external(strings.ToLower(r.reason), v1alpha1.TypePostgreSQL, r.handle, r.authority)
			}
			s.awaitDeployment("miniflux")
			since, before := s.rollouts("miniflux"), s.podsOf("miniflux")
			s.requireHealthy(func() {
				for _, r := range refused {
					s.swap("miniflux-database", strings.ToLower(r.reason))
					s.awaitUnverified(strings.ToLower(r.reason), r.reason)
					s.awaitReason("miniflux-database", v1alpha1.ReasonServiceNotVerified)
				}
				s.swap("miniflux-database", "local-database")
				s.awaitBinding("miniflux-database")
			})
			s.requireRolloutsOf(since, 0, 0)
			if after := s.podsOf("miniflux"); !slices.Equal(before, after) {
				s.Errorf("its Pods were %q, and are %q", before, after)
			}
			s.miniflux().requireCategories("All", kept)
		})).
		Assess("has told nobody its credentials", in(func(s *scene) {
			s.requireNoCanary()
			for _, name := range []string{"miniflux", local.name, managed.name} {
				s.requireNone(canary, "the log of "+name, s.kubectl("logs", "deployment/"+name))
			}
		})).
		Feature())
}

// withAuthorityFile is a handle that names the file in which Miniflux has the authority.
func withAuthorityFile(handle string) string { return handle + "&sslrootcert=" + authorityFile }

// requireHealthy requires that Miniflux, which asks its database for that, says that it is healthy all the time, until the
// function has returned.
func (s *scene) requireHealthy(during func()) {
	s.Helper()
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()
	var asked int
	var failures []string
	var asking sync.WaitGroup
	asking.Go(func() {
		wait.UntilWithContext(ctx, func(ctx context.Context) {
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), soon) // the last one, too, may be answered
			defer cancel()
			asked++
			if err := s.request(http.MethodGet, "services", "miniflux:80", "/healthcheck").MaxRetries(0).Do(within).Error(); err != nil {
				failures = append(failures, err.Error())
			}
		}, nextLook)
	})
	during()
	stop()
	asking.Wait()
	s.Logf("Miniflux was asked %d times whether it is healthy, and %d requests failed", asked, len(failures))
	if len(failures) > 0 || asked == 0 {
		s.Errorf("these failed: %s", strings.Join(failures, "; "))
	}
}

// miniflux is the API of Miniflux, for its administrator: https://miniflux.app/docs/api.html.
type miniflux struct {
	*scene
	address string
}

// miniflux leads to the Pod that runs now. One that ends goes on to serve for a while, with the database that it has.
func (s *scene) miniflux() miniflux {
	s.Helper()
	s.awaitDeployment("miniflux")
	return miniflux{s, s.forward(s.namespace, "service/miniflux", 80)}
}

// ask sends a request, and reads the answer. Its status has to be the one that is wanted.
func (m miniflux) ask(method, path, body string, status int, into any) {
	m.Helper()
	request, err := http.NewRequestWithContext(m.ctx, method, "http://"+m.address+path, strings.NewReader(body))
	m.no(err)
	request.SetBasicAuth("admin", "test123")
	response, err := http.DefaultClient.Do(request)
	m.no(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	m.no(err)
	if response.StatusCode != status {
		m.Fatalf("%s %s: %s: %s", method, path, response.Status, text)
	}
	m.no(json.Unmarshal(text, into))
}

// user is who is logged in.
func (m miniflux) user() string {
	m.Helper()
	var user struct{ Username string }
	m.ask(http.MethodGet, "/v1/me", "", http.StatusOK, &user)
	return user.Username
}

type category struct{ Title string }

func (m miniflux) addCategory(title string) {
	m.Helper()
	var added category
	m.ask(http.MethodPost, "/v1/categories", fmt.Sprintf(`{"title":%q}`, title), http.StatusCreated, &added)
	if added.Title != title {
		m.Errorf("it has added the category %q", added.Title)
	}
}

// requireCategories requires that the administrator has these, and no other. Miniflux makes All for each user.
func (m miniflux) requireCategories(want ...string) {
	m.Helper()
	var found []category
	m.ask(http.MethodGet, "/v1/categories", "", http.StatusOK, &found)
	var titles []string
	for _, c := range found {
		titles = append(titles, c.Title)
	}
	slices.Sort(titles)
	if !slices.Equal(titles, want) {
		m.Errorf("it has the categories %q, want %q", titles, want)
		return
	}
	m.Logf("it has the categories %q", titles)
}
