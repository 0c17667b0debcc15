package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestStandins(t *testing.T) {
	const password = "c4n4ry"
	all := services(password + ",another")
	for name, test := range map[string]struct {
		service, path string
		want          int
	}{
		"a good token":                   {"vendors", "/2.0/?api_key=another", http.StatusOK},
		"a bad token":                    {"vendors", "/2.0/?api_key=bad", http.StatusForbidden},
		"a vendor that is busy":          {"vendors", "/busy/2.0/?api_key=another", http.StatusTooManyRequests},
		"a vendor that fails":            {"vendors", "/fails/2.0/?api_key=another", http.StatusInternalServerError},
		"a CouchDB":                      {"couchdb", "/_up", http.StatusOK},
		"a CouchDB in maintenance":       {"couchdb-maintenance", "/_up", http.StatusNotFound},
		"its databases are there though": {"couchdb-maintenance", "/shop", http.StatusOK},
		"a search engine":                {"opensearch", "/", http.StatusOK},
		"a page of the web":              {"web", "/anything", http.StatusOK},
		"one that is not available":      {"web", "/unavailable", http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, http.NoBody)
			request.SetBasicAuth("app", password+",another")
			if got := answer(all[test.service], request).Code; got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
			request.SetBasicAuth("app", "wrong")
			if got := answer(all[test.service], request).Code; test.service != "vendors" && got != http.StatusUnauthorized {
				t.Errorf("status %d to a wrong password", got)
			}
		})
	}
	counts := httptest.NewRecorder()
	all["vendors"].(*vendors).counts(counts, nil)
	if body := counts.Body.String(); strings.Count(body, "GET /2.0/") != 8 || !strings.Contains(body, `"writes":0`) {
		t.Errorf("counted %s", body)
	}
}

func answer(service http.Handler, request *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	service.ServeHTTP(recorder, request)
	return recorder
}

func TestCommandLine(t *testing.T) {
	for _, arguments := range [][]string{nil, {"nothing"}, {"web", "web"}} {
		if err := run(t.Context(), arguments, "", ""); err == nil {
			t.Errorf("%q was accepted", arguments)
		}
	}
}
