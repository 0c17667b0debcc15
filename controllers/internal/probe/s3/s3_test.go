package s3

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask/asktest"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/testserver"
	"github.com/bindery-dev/bindery/hack/testversity"
)

const (
	canary = asktest.Canary

	passed    = exitcode.Passed
	reachable = exitcode.Reachable
)

// Each finding that a real store can be made to show.
func TestProbe(t *testing.T) {
	authority := testserver.NewAuthority(t)
	store, secure, stopped, paused := testversity.Start(t), testversity.StartTLS(t, authority), testversity.Start(t), testversity.Start(t)
	for _, s := range []*testversity.Server{store, secure, stopped, paused} {
		s.Bucket("visits")
	}
	store.User("nobody-"+canary, "nothing-"+canary)
	stopped.Kill()
	paused.Signal(syscall.SIGSTOP)
	trusting := wire.Dialer{Roots: authority.Pool}

	as := func(access, secret string) string {
		return strings.NewReplacer(store.Access, access, store.Secret, secret).Replace(store.URL("http", "visits", ""))
	}
	in := func(region string) string {
		return strings.Replace(store.URL("http", "visits", ""), testversity.Region, region, 1)
	}
	keys := "access_key=" + store.Access + "&secretKey=" + store.Secret
	noSuchName := strings.Replace(store.URL("http", "visits", ""), "127.0.0.1", strings.Repeat("a", 64)+".example", 1)
	for name, tt := range map[string]asktest.Trial{
		"a bucket":                       {Handle: store.URL("http", "visits", ""), Want: passed, Sentence: "listed"},
		"a bucket, and what is in it":    {Handle: strings.Replace(store.URL("http", "visits", ""), "?", "/photos/2026?", 1), Want: passed},
		"keys as options":                {Handle: "s3://visits?endpoint=http://" + store.Addr + "&region=" + testversity.Region + "&" + keys, Want: passed},
		"a server before the bucket":     {Handle: "s3://" + store.Access + ":" + store.Secret + "@" + store.Addr + "/visits?region=" + testversity.Region, Want: passed},
		"a URL of the web":               {Handle: "http://" + store.Access + ":" + store.Secret + "@" + store.Addr + "/visits?region=" + testversity.Region, Want: passed},
		"a URL of the web, and a prefix": {Handle: "http://" + store.Access + ":" + store.Secret + "@" + store.Addr + "/visits/a/b?region=" + testversity.Region, Want: passed},
		"no bucket":                      {Handle: "http://" + store.Access + ":" + store.Secret + "@" + store.Addr + "?region=" + testversity.Region, Want: passed},
		"an endpoint without a scheme":   {Handle: strings.Replace(store.URL("http", "visits", ""), "http://", "", 1), Want: passed},
		"a secret key that is encoded": {
			Handle: as(store.Access, strings.ReplaceAll(store.Secret, store.Secret[:1], "%"+hex(store.Secret[0]))), Want: passed,
		},
		"no region, which the server names": {Handle: strings.Replace(store.URL("http", "visits", ""), "&region="+testversity.Region, "", 1), Want: passed},

		"a path that only some send as it is": {Handle: "http://" + store.Access + ":" + store.Secret + "@" + store.Addr + "/" + canary + "%zz", Want: reachable},

		"an access key that is not there":   {Handle: as(canary, store.Secret), Want: exitcode.CredentialsRefused, Sentence: "access key"},
		"a wrong secret key":                {Handle: as(store.Access, canary), Want: exitcode.CredentialsRefused, Sentence: "secret key"},
		"a bucket that is not there":        {Handle: store.URL("http", "canary-"+canary, ""), Want: exitcode.DatabaseNotFound, Sentence: "no bucket"},
		"a name that no bucket can have":    {Handle: store.URL("http", "a_B", ""), Want: exitcode.DatabaseNotFound},
		"a user who may not list it":        {Handle: as("nobody-"+canary, "nothing-"+canary), Want: reachable, Sentence: "list"},
		"no keys":                           {Handle: "s3://visits?endpoint=http://" + store.Addr, Want: reachable, Sentence: "list"},
		"another region":                    {Handle: in("eu-other-2"), Want: exitcode.WrongProtocol, Sentence: "region"},
		"a key that no header can carry":    {Handle: as(canary+"%0A", canary), Want: exitcode.CredentialsRefused, Sentence: "character"},
		"one that is stopped":               {Handle: stopped.URL("http", "visits", ""), Want: exitcode.Unreachable, Sentence: "nobody listens"},
		"one that hangs":                    {Handle: paused.URL("http", "visits", ""), Want: exitcode.Unreachable, Sentence: "in time", Timeout: asktest.Soon},
		"one that hangs, without a scheme":  {Handle: strings.Replace(paused.URL("http", "visits", ""), "http://", "", 1), Want: exitcode.Unreachable, Timeout: asktest.Soon},
		"a name that does not resolve":      {Handle: noSuchName, Want: exitcode.NameNotFound},
		"TLS":                               {Handle: secure.URL("https", "visits", ""), Want: passed, Dialer: trusting},
		"TLS, without a scheme":             {Handle: strings.Replace(secure.URL("https", "visits", ""), "https://", "", 1), Want: passed, Dialer: trusting},
		"TLS and a wrong secret key":        {Handle: strings.Replace(secure.URL("https", "visits", ""), secure.Secret, canary, 1), Want: exitcode.CredentialsRefused, Dialer: trusting},
		"TLS of an authority of its own":    {Handle: secure.URL("https", "visits", ""), Want: exitcode.CertificateUntrusted},
		"the same, without a scheme":        {Handle: strings.Replace(secure.URL("https", "visits", ""), "https://", "", 1), Want: exitcode.CertificateUntrusted},
		"TLS that is not to be checked":     {Handle: secure.URL("https", "visits", "&verify=false"), Want: passed},
		"TLS of another name":               {Handle: strings.Replace(secure.URL("https", "visits", ""), "127.0.0.1", "localhost", 1), Want: exitcode.CertificateNameMismatch, Dialer: trusting},
		"TLS where there is none":           {Handle: store.URL("https", "visits", ""), Want: exitcode.TLSRefused},
		"no TLS where there is":             {Handle: secure.URL("http", "visits", ""), Want: exitcode.TLSRequired, Sentence: "https://"},
		"no TLS where there is, and no URL": {Handle: "s3://visits?endpoint=" + secure.Addr + "&ssl=false", Want: exitcode.TLSRequired, Sentence: "https://"},
	} {
		tt.Secrets = []string{store.Access, store.Secret, secure.Access, secure.Secret, stopped.Secret, paused.Secret}
		t.Run(name, func(t *testing.T) { tt.Run(t, v1alpha1.TypeS3, Probe) })
	}
	t.Run("a clock that is wrong", func(t *testing.T) {
		wrong := prober{func() time.Time { return time.Now().Add(-time.Hour) }}
		asktest.Trial{Handle: store.URL("http", "visits", ""), Want: exitcode.Unreachable, Sentence: "clock"}.Run(t, v1alpha1.TypeS3, wrong.probe)
	})
}

func hex(b byte) string { return string("0123456789ABCDEF"[b>>4]) + string("0123456789ABCDEF"[b&15]) }

func errorOf(code, more string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code><Message>` + canary + `</Message><AWSAccessKeyId>` + canary +
		`</AWSAccessKeyId>` + more + `</Error>`
}

// What stores answer that a real one cannot be made to: codes of Amazon's documentation and of other vendors, and what is no
// store at all.
func TestAnswers(t *testing.T) {
	const list = `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>` + canary
	for name, test := range map[string]struct {
		status int
		body   string
		want   int32
		// unnamed: what it is if the handle names no region; 0: the same.
		unnamed int32
	}{
		"a list that is longer than what is read": {200, list, passed, 0},
		"a list of buckets":                       {200, "<ListAllMyBucketsResult/>", passed, 0},
		"a token that has expired":                {400, errorOf("ExpiredToken", ""), exitcode.CredentialsRefused, 0},
		"a token that is none":                    {400, errorOf("InvalidToken", ""), exitcode.CredentialsRefused, 0},
		"keys that Google refuses":                {403, errorOf("InvalidSecurity", ""), exitcode.CredentialsRefused, 0},
		"keys that Cloudflare refuses":            {401, errorOf("Unauthorized", ""), exitcode.CredentialsRefused, 0},
		"keys that somebody refuses":              {401, errorOf("Whatever", ""), exitcode.CredentialsRefused, 0},
		"an account that is closed":               {403, errorOf("AllAccessDisabled", ""), exitcode.NotPermitted, 0},
		"a user that is suspended":                {403, errorOf("UserSuspended", ""), exitcode.NotPermitted, 0},
		"a writer":                                {403, errorOf("AccessDenied", ""), reachable, 0},
		"a code that nobody knows":                {403, errorOf("SecondLevelDomainForbidden", ""), reachable, 0},
		"the path is an object":                   {404, errorOf("NoSuchKey", ""), reachable, 0},
		"a bucket elsewhere":                      {301, errorOf("PermanentRedirect", ""), exitcode.WrongProtocol, reachable},
		"a region, of which it says nothing":      {400, errorOf("AuthorizationHeaderMalformed", ""), exitcode.WrongProtocol, reachable},
		"a region with a line break":              {400, errorOf("AuthorizationHeaderMalformed", "<Region>a&#10;b</Region>"), exitcode.WrongProtocol, reachable},
		"too many requests":                       {503, errorOf("SlowDown", ""), exitcode.Unreachable, 0},
		"too many requests, otherwise":            {429, errorOf("TooManyRequests", ""), exitcode.Unreachable, 0},
		"an error of its own":                     {500, errorOf("InternalError", ""), exitcode.Unreachable, 0},
		"a balancer without a store":              {502, asktest.Page, exitcode.Unreachable, 0},
		"a CouchDB":                               {404, `{"error":"not_found","reason":"` + canary + `"}`, exitcode.WrongProtocol, 0},
		"a page that is not there":                {404, asktest.Page, exitcode.WrongProtocol, 0},
		"an empty 404":                            {404, "", exitcode.WrongProtocol, 0},
		"an empty 403":                            {403, "", exitcode.WrongProtocol, 0},
		"a console for people":                    {200, asktest.Page, exitcode.WrongProtocol, 0},
		"another document":                        {200, "<?xml version='1.0'?><feed/>", exitcode.WrongProtocol, 0},
		"a redirect":                              {307, "", exitcode.WrongProtocol, 0},
		"half an error":                           {404, "<Error><Code>NoSuchBucket", exitcode.WrongProtocol, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := asktest.Serve(t, asktest.Answer(test.status, test.body))
			handle := "s3://" + canary + ":" + canary + "@visits?endpoint=http://" + server.Addr
			asktest.Trial{Handle: handle + "&region=eu-central-1", Want: test.want}.Run(t, v1alpha1.TypeS3, Probe)
			if test.unnamed == 0 {
				test.unnamed = test.want
			}
			asktest.Trial{Handle: handle, Want: test.unnamed}.Run(t, v1alpha1.TypeS3, Probe)
			if got := server.Requests.Load(); got != 2 {
				t.Errorf("%d requests in two trials, want one in each", got)
			}
		})
	}
}

// Where the handle names no region, the one that the server names is signed for.
func TestTheRegionOfTheServer(t *testing.T) {
	server := asktest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "/moon-1/s3/aws4_request") {
			asktest.Answer(400, errorOf("AuthorizationHeaderMalformed", "<Region>moon-1</Region>"))(w, r)
			return
		}
		asktest.Answer(404, errorOf("NoSuchBucket", ""))(w, r)
	})
	asktest.Trial{Handle: "s3://" + canary + ":" + canary + "@visits?endpoint=http://" + server.Addr, Want: exitcode.DatabaseNotFound}.Run(t, v1alpha1.TypeS3, Probe)
	if got := server.Requests.Load(); got != 2 {
		t.Errorf("%d requests, want two", got)
	}
}

// What is asked: one path or the other, the keys in a signature, and a session's token.
func TestWhatIsAsked(t *testing.T) {
	for handle, want := range map[string]string{
		"s3://" + canary + ":" + canary + "@visits/a?endpoint=http://HOST":                                                            "/visits",
		"s3://" + canary + ":" + canary + "@visits?endpoint=http://HOST/storage/v1/s3":                                                "/storage/v1/s3/visits",
		"http://" + canary + ":" + canary + "@HOST/visits":                                                                            "/visits",
		"http://" + canary + ":" + canary + "@HOST/storage/v1/s3/visits":                                                              "/storage /storage/v1/s3/visits",
		"http://" + canary + ":" + canary + "@HOST/a%20b/c":                                                                           "/a%20b /a%20b/c",
		"s3://" + canary + ":" + canary + "@HOST/visits?ssl=false":                                                                    "/visits",
		"s3://default?bucket=visits&key=" + canary + "&secret=" + canary + "&session_token=token-" + canary + "&endpoint=http://HOST": "/visits token-" + canary,
	} {
		var asked []string
		server := asktest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, strings.TrimSpace(r.URL.EscapedPath()+" "+r.Header.Get("X-Amz-Security-Token")))
			if r.URL.RawQuery != "list-type=2&max-keys=1" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="+canary+"/") {
				t.Errorf("%s with %q", r.URL, r.Header.Get("Authorization"))
			}
			asktest.Answer(404, "")(w, r)
		})
		asktest.Trial{Handle: strings.Replace(handle, "HOST", server.Addr, 1), Want: exitcode.WrongProtocol}.Run(t, v1alpha1.TypeS3, Probe)
		if got := strings.Join(asked, " "); got != want {
			t.Errorf("%s: asked for %s, want %s", handle, got, want)
		}
	}
}

// The probe of a real store is one GET, and leaves every file as it is.
func TestProbeChangesNothing(t *testing.T) {
	store := testversity.Start(t)
	store.Bucket("visits")
	var requests atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: store.Addr})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Method != http.MethodGet || r.ContentLength > 0 {
			t.Errorf("%s with %d bytes: a probe only asks", r.Method, r.ContentLength)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	before := files(t, store.Folder)
	for _, bucket := range []string{"visits", "not-there"} {
		want := passed
		if bucket == "not-there" {
			want = exitcode.DatabaseNotFound
		}
		handle := strings.Replace(store.URL("http", bucket, ""), store.Addr, front.Listener.Addr().String(), 1)
		asktest.Trial{Handle: handle, Want: want}.Run(t, v1alpha1.TypeS3, Probe)
	}
	if diff := cmp.Diff(before, files(t, store.Folder)); diff != "" {
		t.Errorf("the store has changed (-before +after):\n%s", diff)
	}
	if got := requests.Load(); got != 2 {
		t.Errorf("%d requests in two trials, want one in each", got)
	}
}

// files is when each file of a folder was changed.
func files(t *testing.T, folder string) map[string]time.Time {
	t.Helper()
	changed := map[string]time.Time{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			changed[path] = info.ModTime()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// Whatever a server answers has a result, and nothing of it is in the sentence.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "<ListBucketResult>")
	f.Add(404, errorOf("NoSuchBucket", ""))
	f.Add(400, errorOf("AuthorizationHeaderMalformed", "<Region>a</Region>"))
	f.Add(403, "<?xml version='1.0' encoding='latin1'?><Error><Code>c4n4ry</Code></Error>")
	f.Add(200, "<!DOCTYPE html><p>&nbsp;<br></p>")
	f.Fuzz(func(t *testing.T, status int, body string) {
		to := wire.Target{Kind: v1alpha1.TypeS3, Secure: true}
		got := read(ask.Answer{Status: status, Header: http.Header{}, Body: []byte(body)})
		for _, named := range []bool{true, false} {
			result := judge(context.WithoutCancel(t.Context()), wire.Dialer{}, to, got, named)
			asktest.RequireClean(t, result)
			if result.Code == exitcode.Passed && got.root == "" {
				t.Errorf("%q passes", body)
			}
		}
	})
}
