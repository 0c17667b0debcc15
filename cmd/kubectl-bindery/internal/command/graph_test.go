package command

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/terminal"
)

func TestGraphDrawsEachFormat(t *testing.T) {
	for format, want := range map[string]string{
		"text": "│ REDIS_URL", "mermaid": "flowchart LR", "dot": "digraph", "svg": "<svg ", "json": `"binding": "b"`,
	} {
		t.Run(format, func(t *testing.T) {
			s := shop(t)
			got := s.run("graph", "-o", format)
			checkRan(t, got, 0, []string{want, "pinger", "visits2"}, nil)
			if strings.Contains(got.out, "\x1b[") {
				t.Error("it is coloured, and goes to no terminal")
			}
			if format == "json" && !json.Valid([]byte(got.out)) {
				t.Errorf("it is no JSON:\n%s", got.out)
			}
			s.isRead(t)
		})
	}
}

// isRead checks that nothing was written, that each kind was listed once, and that no Secret was asked for.
func (s *apiServer) isRead(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, request := range s.requests {
		path, _, _ := strings.Cut(request, "?")
		if !strings.HasPrefix(path, "GET ") || strings.Contains(path, "/secrets") || seen[path] {
			t.Errorf("%s: more than one LIST of a kind, or no LIST", request)
		}
		seen[path] = true
	}
}

func TestGraphAndTreeHaveRoomOnTheTerminal(t *testing.T) {
	for _, width := range []int{40, 80} {
		for _, command := range []string{"graph", "tree"} {
			got := runAt(t.Context(), t, shop(t).server.URL, &terminal.Terminal{Width: width, Height: 24, Colour: true}, command)
			checkRan(t, got, 0, []string{"pinger", "visits", "\x1b["}, nil)
			for line := range strings.Lines(got.out) {
				if n := terminal.Columns(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%s: %d of %d columns: %s", command, n, width, line)
				}
			}
		}
	}
}

func TestTree(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
		out  string
		err  string
	}{
		"of all":                            {[]string{"tree"}, 0, "└── REDIS_URL ── visits  redis", ""},
		"of one workload":                   {[]string{"tree", "deploy/pinger"}, 0, "└── REDIS_URL ── visits  redis", ""},
		"of another namespace":              {[]string{"tree", "-n", "elsewhere"}, 0, "", "no Bindings and no BackingServices in namespace elsewhere"},
		"of an unknown name":                {[]string{"tree", "pinker"}, 1, "", "pinker"},
		"of a service":                      {[]string{"tree", "bsvc/visits"}, 1, "", "bsvc/visits is a BackingService"},
		"of a workload attached to nothing": {[]string{"tree", "deploy/idle"}, 0, "", "deploy/idle is attached to nothing: `kubectl bindery attach deploy/idle SERVICE`"},
	} {
		t.Run(name, func(t *testing.T) {
			s := shop(t)
			s.put(app("idle"))
			var says []string
			if test.err != "" {
				says = []string{test.err}
			}
			got := s.run(test.args...)
			checkRan(t, got, test.code, []string{test.out}, says)
			if test.out == "" && utf8.RuneCountInString(got.out) > 0 {
				t.Errorf("stdout: %s", got.out)
			}
		})
	}
}

func TestAllNamespacesAreOneList(t *testing.T) {
	for _, command := range []string{"graph", "tree"} {
		s := shop(t)
		s.run(command, "-A", "-n", "elsewhere")
		want := "GET /apis/bindery.dev/v1alpha1/bindings GET /apis/bindery.dev/v1alpha1/backingservices GET /apis/apps/v1/deployments"
		if got := strings.Join(s.requests, " "); got != want {
			t.Errorf("%s -A asks for %s", command, got)
		}
	}
}

func TestGraphWithoutRightsOrKinds(t *testing.T) {
	t.Run("Deployments that may not be listed are drawn without their Pods", func(t *testing.T) {
		s := shop(t)
		s.answer = func(r *http.Request) *metav1.Status {
			if strings.HasSuffix(r.URL.Path, "/deployments") {
				return failure(http.StatusForbidden, metav1.StatusReasonForbidden, "deployments is forbidden")
			}
			return nil
		}
		got := s.run("graph")
		checkRan(t, got, 0, []string{"│ Deployment "}, []string{"warning: nothing is known of the Pods of Deployments", "bindery-view"})
	})
	t.Run("Bindings that may not be listed", func(t *testing.T) {
		s := shop(t)
		s.answer = func(r *http.Request) *metav1.Status {
			return failure(http.StatusForbidden, metav1.StatusReasonForbidden, r.URL.Path+" is forbidden")
		}
		checkRan(t, s.run("graph"), ExitFailure, nil, []string{"listing Bindings", "bindery-view"})
	})
	t.Run("no kinds", func(t *testing.T) {
		s := shop(t)
		s.withoutKinds = true
		checkRan(t, s.run("tree"), ExitFailure, nil, []string{"helm install bindery"})
	})
	t.Run("no cluster", func(t *testing.T) {
		checkRan(t, shop(t).run("graph", "--context", "away"), ExitFailure, nil, []string{"the cluster does not answer"})
	})
	t.Run("an unknown format", func(t *testing.T) {
		checkRan(t, shop(t).run("graph", "-o", "png"), ExitFailure, nil, []string{`there is no output "png": it is text, mermaid, dot, svg, json`})
	})
}
