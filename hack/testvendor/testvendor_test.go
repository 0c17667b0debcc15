package testvendor_test

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/hack/standin"
	"github.com/bindery-dev/bindery/hack/testvendor"
)

func TestWhatIsCounted(t *testing.T) {
	vendors := testvendor.Start(t, "good")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: vendors.Authority.Pool}}}
	send := func(method, path string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, vendors.URL+path, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if got := send("GET", "/2.0/?api_key=good"); got != 200 {
		t.Errorf("a good key: %d", got)
	}
	if got := send("GET", "/2.0/?api_key=bad"); got != 403 {
		t.Errorf("a bad key: %d", got)
	}
	if vendors.Writes() != 0 || !slices.Equal(vendors.Requests(), []string{"GET /2.0/", "GET /2.0/"}) {
		t.Errorf("%d writes, requests %v", vendors.Writes(), vendors.Requests())
	}
	for _, write := range []string{"GET /inputs/x", "POST /bulk/x", "POST /email", "POST /agent_listener/invoke_raw_method?method=connect"} {
		vendors.Behave(standin.Serves)
		method, path, _ := strings.Cut(write, " ")
		if send(method, path); vendors.Writes() != 1 || len(vendors.Requests()) != 1 {
			t.Errorf("%s: %d writes, requests %v", write, vendors.Writes(), vendors.Requests())
		}
	}
	vendors.Behave(standin.Busy)
	if got := send("GET", "/server"); got != 429 {
		t.Errorf("it is busy: %d", got)
	}
}
