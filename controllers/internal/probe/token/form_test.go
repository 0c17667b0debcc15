package token

import (
	"strings"
	"testing"
	"unicode"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

const canary = "c4n4ry"

func TestWhatATokenLooksLike(t *testing.T) {
	for name, test := range map[string]struct {
		raw  string
		want int32
		says string
	}{
		"a token":                           {raw: canary},
		"one of X, with percent signs":      {raw: "AAAAAAAAAAAAAAAAAAAAA" + canary + "%2Fx%3D"},
		"one in base64":                     {raw: canary + "+/x=="},
		"one with dots and colons":          {raw: "a.b-c_d~e:" + canary},
		"a space at its end":                {raw: canary + " "},
		"nothing":                           {"", exitcode.HandleEmpty, "empty"},
		"white space":                       {" \t\r\n", exitcode.HandleEmpty, "empty"},
		"a line break at its end":           {canary + "\n", exitcode.TokenMalformed, "line break"},
		"a line break at its beginning":     {"\n" + canary, exitcode.TokenMalformed, "line break"},
		"two lines":                         {canary + "\r\n" + canary, exitcode.TokenMalformed, "line break"},
		"double quotes":                     {`"` + canary + `"`, exitcode.TokenMalformed, "quotes"},
		"single quotes":                     {"'" + canary + "'", exitcode.TokenMalformed, "quotes"},
		"one quote":                         {canary + `"`, exitcode.TokenMalformed, "quotes"},
		"JSON":                              {`{"token":"` + canary + `"}`, exitcode.TokenMalformed, "quotes"},
		"the word Bearer":                   {"Bearer " + canary, exitcode.TokenMalformed, "Bearer"},
		"the word Bearer, otherwise":        {" bearer  " + canary, exitcode.TokenMalformed, "Bearer"},
		"a token that begins with the word": {raw: "bearer" + canary},
		"the name of its variable":          {"TWITTER_BEARER_TOKEN=" + canary, exitcode.TokenMalformed, "variable"},
		"a URL":                             {"https://example.com/?token=" + canary, exitcode.TokenMalformed, "URL"},
		"a space":                           {canary + " " + canary, exitcode.TokenMalformed, "white space"},
		"a tab":                             {canary + "\t" + canary, exitcode.TokenMalformed, "white space"},
		"a mark of an editor":               {"\uFEFF" + canary, exitcode.TokenMalformed, "ASCII"},
		"a space of no width":               {canary + "\u200B", exitcode.TokenMalformed, "ASCII"},
		"a byte that is no text":            {canary + "\x00", exitcode.TokenMalformed, "ASCII"},
		"three dots":                        {canary + "…", exitcode.TokenMalformed, "ASCII"},
	} {
		t.Run(name, func(t *testing.T) {
			token, failed := form(v1alpha1.TypeTwitter, test.raw)
			if failed == nil {
				if test.want != 0 || token != strings.Trim(test.raw, blank) {
					t.Errorf("it takes %q, want %d", token, test.want)
				}
				return
			}
			if failed.Code != test.want || !strings.Contains(failed.Sentence, test.says) || strings.Contains(failed.Sentence, canary) {
				t.Errorf("%d: %q, want %d, %q", failed.Code, failed.Sentence, test.want, test.says)
			}
		})
	}
}

func TestTheCatalogKnowsTheVendors(t *testing.T) {
	for _, kind := range catalog.Types() {
		entry := catalog.Lookup(kind)
		if asks := vendors[kind] != nil; asks != entry.Vendor || entry.Vendor && !entry.Token {
			t.Errorf("%s: a token: %v, the catalog says that its vendor can be asked: %v, and there is a way to: %v", kind, entry.Token, entry.Vendor, asks)
		}
	}
	for kind, other := range alternatives {
		if entry := catalog.Lookup(kind); !entry.Token || entry.Family == "" || entry.Family != catalog.Lookup(other.kind).Family {
			t.Errorf("a URL of type %s is no handle of type %s", other.kind, kind)
		}
	}
}

// The usual addresses. No test asks there.
func TestWhereVendorsAre(t *testing.T) {
	for key, want := range map[string]string{
		"0123456789abcdef0123456789abcdef01234567": "collector.newrelic.com",
		"eu01xx6789abcdef0123456789abcdef0123NRAL": "collector.eu01.nr-data.net",
		"gov01x6789abcdef0123456789abcdef01234567": "collector.gov01.nr-data.net",
		"secretpartx": "collector.newrelic.com",
	} {
		if got := (newRelic{}).endpoint(key).String(); got != "https://"+want {
			t.Errorf("%s is asked about at %s", key, got)
		}
	}
	for kind, want := range map[v1alpha1.ServiceType]string{
		v1alpha1.TypePostmark: "https://api.postmarkapp.com/server", v1alpha1.TypeTwitter: "https://api.x.com/2/usage/tweets",
		v1alpha1.TypeGoogleMaps: "https://maps.googleapis.com/maps/api/geocode/json", v1alpha1.TypeLastFM: "https://ws.audioscrobbler.com/2.0/",
		v1alpha1.TypeNewRelic: "https://collector.newrelic.com/agent_listener/invoke_raw_method",
	} {
		request, err := vendors[kind].inquiry(canary).to(t.Context(), vendors[kind].endpoint(canary))
		if err != nil {
			t.Fatal(err)
		}
		if request.URL.RawQuery = ""; request.URL.String() != want {
			t.Errorf("%s: %s, want %s", kind, request.URL, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for raw, ok := range map[string]bool{
		"": true, "https://a": true, "https://a:8443": true, "https://a/b/c": true, "https://[::1]:1": true,
		"http://a": false, "a": false, "https://": false, "https://u@a": false, "https://u:p@a": false, "https://a?b": false, "https://a/?": false,
		"https://a#b": false, "https://a b": false, "//a": false, "mailto:a": false, "https://:1": false,
	} {
		if _, got := ParseEndpoint(raw); got != ok {
			t.Errorf("%q: %v", raw, got)
		}
	}
	endpoint, _ := ParseEndpoint("https://proxy.example:8443/to/postmark/")
	request, err := postmark{}.inquiry(canary).to(t.Context(), endpoint)
	if err != nil || request.URL.String() != "https://proxy.example:8443/to/postmark/server" {
		t.Errorf("%v, %v", request.URL, err)
	}
}

func TestVerdicts(t *testing.T) {
	for name, test := range map[string]struct {
		kind   v1alpha1.ServiceType
		status int
		body   string
		want   verdict
	}{
		"Postmark takes it":                     {v1alpha1.TypePostmark, 200, `{}`, good},
		"Postmark refuses it":                   {v1alpha1.TypePostmark, 401, `{"ErrorCode":10}`, bad},
		"something before Postmark refuses it":  {v1alpha1.TypePostmark, 403, ``, unsaid},
		"X takes it":                            {v1alpha1.TypeTwitter, 200, `{}`, good},
		"a page instead of Postmark":            {v1alpha1.TypePostmark, 200, `<html>`, unsaid},
		"nothing instead of X":                  {v1alpha1.TypeTwitter, 200, `null`, unsaid},
		"X refuses it":                          {v1alpha1.TypeTwitter, 401, `{}`, bad},
		"the plan at X is too small":            {v1alpha1.TypeTwitter, 403, `{}`, unsaid},
		"New Relic takes it":                    {v1alpha1.TypeNewRelic, 200, `{"return_value":{"redirect_host":"a"}}`, good},
		"New Relic refuses it":                  {v1alpha1.TypeNewRelic, 401, `{}`, bad},
		"New Relic refuses it, as in the past":  {v1alpha1.TypeNewRelic, 200, `{"exception":{"error_type":"NewRelic::Agent::LicenseException"}}`, bad},
		"New Relic has another fault":           {v1alpha1.TypeNewRelic, 200, `{"exception":{"error_type":"RuntimeError"}}`, unsaid},
		"New Relic says nothing":                {v1alpha1.TypeNewRelic, 200, `{"return_value":null}`, unsaid},
		"New Relic is gone":                     {v1alpha1.TypeNewRelic, 410, ``, unsaid},
		"a page instead of New Relic":           {v1alpha1.TypeNewRelic, 200, `<html>`, unsaid},
		"Google takes it":                       {v1alpha1.TypeGoogleMaps, 400, `{"status":"INVALID_REQUEST"}`, good},
		"Google refuses it, or its use here":    {v1alpha1.TypeGoogleMaps, 200, `{"status":"REQUEST_DENIED"}`, unsaid},
		"Google says that it was used too much": {v1alpha1.TypeGoogleMaps, 200, `{"status":"OVER_DAILY_LIMIT"}`, unsaid},
		"a page instead of Google":              {v1alpha1.TypeGoogleMaps, 200, `<html>`, unsaid},
		"Last.fm takes it":                      {v1alpha1.TypeLastFM, 200, `{"tags":{}}`, good},
		"Last.fm does not know it":              {v1alpha1.TypeLastFM, 403, `{"error":10}`, bad},
		"Last.fm does not know it, with 200":    {v1alpha1.TypeLastFM, 200, `{"error":10}`, bad},
		"Last.fm has suspended it":              {v1alpha1.TypeLastFM, 403, `{"error":26}`, bad},
		"Last.fm is asked too often":            {v1alpha1.TypeLastFM, 200, `{"error":29}`, unsaid},
		"Last.fm is offline":                    {v1alpha1.TypeLastFM, 200, `{"error":11}`, unsaid},
		"a page instead of Last.fm":             {v1alpha1.TypeLastFM, 200, `<html>`, unsaid},
	} {
		t.Run(name, func(t *testing.T) {
			if got := vendors[test.kind].verdict(answer{test.status, []byte(test.body)}); got != test.want {
				t.Errorf("verdict %d, want %d", got, test.want)
			}
		})
	}
}

// Whatever is in a Secret, what passes as a token can be sent in a header and in a URL, and a sentence has nothing of it.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{canary, `"a"`, "Bearer a", "a\n", "https://a", "TWITTER_BEARER_TOKEN=a", "\uFEFFa", "a b", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for kind, v := range vendors {
			token, failed := form(kind, raw)
			if failed != nil {
				if text := strings.TrimSpace(raw); len(text) > 40 && strings.Contains(failed.Sentence, text) {
					t.Errorf("the sentence repeats %q", raw)
				}
				continue
			}
			if token == "" || strings.ContainsAny(token, "\"'`\r\n") || strings.ContainsFunc(token, unicode.IsSpace) {
				t.Errorf("%q passes as a token: %q", raw, token)
			}
			request, err := v.inquiry(token).to(t.Context(), v.endpoint(token))
			if err != nil {
				t.Fatal(err)
			}
			if host := request.URL.Hostname(); strings.Contains(host, token) && len(token) > 4 && kind != v1alpha1.TypeNewRelic {
				t.Errorf("the token is in the name of the host: %s", host)
			}
		}
	})
}

// Whatever a vendor answers, it is read without a crash. A status alone refuses a token only if it is 401, and Google never
// does.
func FuzzVerdict(f *testing.F) {
	for _, seed := range []string{`{"status":"REQUEST_DENIED"}`, `{"error":10}`, `{"return_value":{"redirect_host":"a"}}`, `[]`, `null`, "<html>", ""} {
		f.Add(200, []byte(seed))
		f.Add(401, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for kind, v := range vendors {
			refused := answer{status, body}.judge(v).Code == exitcode.CredentialsRefused
			if byStatus := kind == v1alpha1.TypePostmark || kind == v1alpha1.TypeTwitter; byStatus && refused != (status == 401) {
				t.Errorf("%s: %d refuses the token: %v", kind, status, refused)
			}
			if kind == v1alpha1.TypeGoogleMaps && refused {
				t.Errorf("%d %q refuses the token", status, body)
			}
		}
	})
}

// Whatever somebody writes into the spec, a token goes to a host over TLS, or nowhere.
func FuzzParseEndpoint(f *testing.F) {
	for _, seed := range []string{"https://a", "https://a:1/b", "https://u:p@a", "http://a", "https://a?b#c", "https://a/%2f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		endpoint, ok := ParseEndpoint(raw)
		if !ok || endpoint == nil {
			return
		}
		if endpoint.Scheme != "https" || endpoint.Hostname() == "" || endpoint.User != nil || endpoint.RawQuery != "" || endpoint.Fragment != "" {
			t.Errorf("%q is taken: %s", raw, endpoint)
		}
	})
}
