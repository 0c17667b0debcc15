package opensearch

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask/asktest"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/standin"
	"github.com/bindery-dev/bindery/hack/testserver"
)

const (
	canary = asktest.Canary

	passed = exitcode.Passed
)

// What the servers answer to those who may not.
const (
	noRight = `{"error":{"root_cause":[{"type":"security_exception","reason":"action [cluster:monitor/main] is unauthorized for user [c4n4ry]"}],
		"type":"security_exception","reason":"c4n4ry"},"status":403}`
	noPassword = standin.SearchNoPassword
	noIndex    = standin.SearchNoIndex
)

// search is a stand-in. Its answers are for app with the canary as the password, and for its key.
func search() http.HandlerFunc {
	return standin.Search{User: "app", Password: canary, Keys: []string{base64.StdEncoding.EncodeToString([]byte("id:" + canary))}}.ServeHTTP
}

func TestProbe(t *testing.T) {
	serve := func(handler http.HandlerFunc) string { return asktest.Serve(t, handler).Addr }
	always := func(status int, body string) string { return serve(asktest.Answer(status, body)) }
	authority := testserver.NewAuthority(t)
	secure := httptest.NewUnstartedServer(search())
	secure.TLS = authority.Server("127.0.0.1")
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it would complain about the client, which is the test
	secure.StartTLS()
	t.Cleanup(secure.Close)
	trusting := wire.Dialer{Roots: authority.Pool}
	private, overTLS := serve(search()), secure.Listener.Addr().String()
	user := "app:" + canary + "@"
	below := serve(func(w http.ResponseWriter, r *http.Request) {
		if strings.TrimRight(r.URL.Path, "/") == "/es" {
			asktest.Answer(200, standin.OpenSearch)(w, r)
			return
		}
		asktest.Answer(200, asktest.Page)(w, r)
	})
	for name, tt := range map[string]asktest.Trial{
		"OpenSearch":                     {Handle: "http://" + serve(standin.Search{Root: standin.OpenSearch}.ServeHTTP), Want: passed, Sentence: "OpenSearch answered"},
		"Elasticsearch":                  {Handle: "http://" + user + private, Want: passed, Sentence: "Elasticsearch answered"},
		"one without the header":         {Handle: "http://" + always(200, standin.Elasticsearch), Want: passed, Sentence: "a search engine"},
		"an index":                       {Handle: "http://" + user + private + "/visits", Want: passed},
		"an index and a type, and more":  {Handle: "elasticsearch://" + user + private + "/visits/_doc?timeout=5s#x", Want: passed},
		"below a path":                   {Handle: "http://" + below + "/es/", Want: passed},
		"the dialect":                    {Handle: "opensearch://" + user + private, Want: passed},
		"a key":                          {Handle: "http://" + private + "?api_key=" + base64.StdEncoding.EncodeToString([]byte("id:"+canary)), Want: passed},
		"a key and its identifier":       {Handle: "http://" + private + "?apiKey=id:" + canary, Want: passed},
		"a list, and one of it is up":    {Handle: "http://" + user + "127.0.0.1:1,http://" + user + private, Want: passed},
		"a list of hosts":                {Handle: "http://" + user + "127.0.0.1:1," + private + "/visits", Want: passed},
		"TLS":                            {Handle: "https://" + user + overTLS, Want: passed, Dialer: trusting},
		"TLS in the dialect":             {Handle: "elasticsearch+https://" + user + overTLS, Want: passed, Dialer: trusting},
		"TLS in an option":               {Handle: "elasticsearch://" + user + overTLS + "?use_ssl=true", Want: passed, Dialer: trusting},
		"TLS of an authority of its own": {Handle: "https://" + user + overTLS, Want: exitcode.CertificateUntrusted},
		"TLS of another name":            {Handle: "https://" + user + strings.Replace(overTLS, "127.0.0.1", "localhost", 1), Want: exitcode.CertificateNameMismatch, Dialer: trusting},
		"TLS that is not to be checked":  {Handle: "https://" + user + overTLS + "?verify_certs=false", Want: passed},
		"no TLS where there is":          {Handle: "http://" + user + overTLS, Want: exitcode.TLSRequired, Sentence: "https://"},
		"no TLS where it hangs up":       {Handle: "http://" + user + hangsUp(t, authority), Want: exitcode.TLSRequired, Sentence: "https://"},
		"TLS where there is none":        {Handle: "https://" + user + private, Want: exitcode.TLSRefused},
		"a wrong password":               {Handle: "http://x" + user + private, Want: exitcode.CredentialsRefused, Sentence: "not those"},
		"a wrong key":                    {Handle: "http://" + private + "?api_key=" + canary, Want: exitcode.CredentialsRefused, Sentence: "not those"},
		"a key that no header can carry": {Handle: "http://" + private + "?api_key=" + canary + "%0D%0Aa", Want: exitcode.CredentialsRefused, Sentence: "character"},
		"no password":                    {Handle: "http://" + private, Want: exitcode.CredentialsRefused, Sentence: "has none"},
		"OpenSearch wants a password":    {Handle: "http://" + always(401, "Unauthorized"), Want: exitcode.CredentialsRefused},
		"a user of an index alone":       {Handle: "http://" + user + always(403, noRight), Want: passed, Sentence: "does not tell"},
		"nobody may know what it is":     {Handle: "http://" + always(403, noRight), Want: exitcode.NotPermitted},
		"a policy of Amazon":             {Handle: "http://" + user + always(403, `{"Message":"User: c4n4ry is not authorized to perform: es:ESHttpGet"}`), Want: exitcode.NotPermitted},
		"a proxy that forbids":           {Handle: "http://" + user + always(403, asktest.Page), Want: exitcode.NotPermitted},
		"not set up yet":                 {Handle: "http://" + user + always(503, "OpenSearch Security not initialized."), Want: exitcode.Unreachable},
		"too many requests":              {Handle: "http://" + user + always(429, `{"error":"c4n4ry"}`), Want: exitcode.Unreachable},
		"a web server":                   {Handle: "http://" + user + always(200, asktest.Page), Want: exitcode.WrongProtocol},
		"a CouchDB":                      {Handle: "http://" + user + always(200, `{"couchdb":"Welcome","version":"3.5.0"}`) + "/visits", Want: exitcode.WrongProtocol},
		"JSON with a version":            {Handle: "http://" + user + always(200, `{"version":{"number":"1.0.0"}}`), Want: exitcode.WrongProtocol},
		"nothing there":                  {Handle: "http://" + user + always(404, ""), Want: exitcode.WrongProtocol},
		"a redirect":                     {Handle: "http://" + user + always(301, ""), Want: exitcode.WrongProtocol, Sentence: "redirect"},
		"the port of its nodes":          {Handle: "http://" + user + says(t, "This is not an HTTP port"), Want: exitcode.WrongProtocol},
		"nobody listens":                 {Handle: "http://" + user + "127.0.0.1:1", Want: exitcode.Unreachable, Sentence: "nobody listens"},
		"no such name":                   {Handle: "http://" + strings.Repeat("a", 64) + ".example", Want: exitcode.NameNotFound},
		"a path that Go does not send":   {Handle: "http://" + private + "/" + canary + "%zz", Want: exitcode.Reachable},
		"a scheme that nobody knows":     {Handle: "zinc://" + user + private, Want: exitcode.Reachable},
	} {
		t.Run(name, func(t *testing.T) { tt.Run(t, v1alpha1.TypeOpenSearch, Probe) })
	}
}

// says is a server that says something, and hangs up.
func says(t *testing.T, text string) string {
	t.Helper()
	return listen(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096)) // what it says is no answer
		_, _ = io.WriteString(c, text)    // the client may have hung up
	})
}

// hangsUp is a server that speaks TLS, and closes a connection that begins with anything else, as Elasticsearch does.
func hangsUp(t *testing.T, authority *testserver.Authority) string {
	t.Helper()
	config := authority.Server("127.0.0.1")
	return listen(t, func(c net.Conn) {
		const handshake = 22
		first := make([]byte, 1)
		if _, err := io.ReadFull(c, first); err == nil && first[0] == handshake {
			_ = tls.Server(&beginning{c, io.MultiReader(bytes.NewReader(first), c)}, config).HandshakeContext(t.Context()) // it is the client's to judge
		}
	})
}

// beginning is a connection of which something was read already.
type beginning struct {
	net.Conn
	all io.Reader
}

func (b *beginning) Read(p []byte) (int, error) { return b.all.Read(p) }

// listen serves each connection with f, then closes it.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // nothing is left to be said
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// What is asked, and with which credentials. Each is a GET, which asktest.Serve sees to.
func TestWhatIsAsked(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("app:"+canary))
	for handle, want := range map[string]string{
		"http://app:" + canary + "@HOST":                         "/ " + basic,
		"http://app:" + canary + "@HOST/a%2Fb/c/?x=y#z":          "/a%2Fb/c/ / " + basic,
		"opensearch://HOST?api_key=" + canary:                    "/ ApiKey " + canary,
		"http://app:" + canary + "@HOST?api_key=other-" + canary: "/ " + basic,
		"http://HOST": "/",
	} {
		var asked, authorization string
		server := asktest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked += r.RequestURI + " "
			authorization = r.Header.Get("Authorization")
			asktest.Answer(404, noIndex)(w, r)
		})
		asktest.Trial{Handle: strings.Replace(handle, "HOST", server.Addr, 1), Want: exitcode.WrongProtocol}.Run(t, v1alpha1.TypeOpenSearch, Probe)
		if got := strings.TrimSpace(asked + authorization); got != want {
			t.Errorf("%s: asked for %s, want %s", handle, got, want)
		}
	}
}

// An address without a port is one of 9200, too.
func TestTheUsualPort(t *testing.T) {
	var tried []string
	probe := func(_ context.Context, _ wire.Dialer, to wire.Target) wire.Result {
		tried = append(tried, to.URL.String())
		return wire.Found(exitcode.Unreachable, "no")
	}
	to, failed := wire.Parse(v1alpha1.TypeOpenSearch, "https://app:"+canary+"@a,b:1/x")
	if failed != nil {
		t.Fatal(failed)
	}
	wire.First(t.Context(), wire.Dialer{}, targetsOf(to), probe)
	if got, want := strings.ReplaceAll(strings.Join(tried, " "), "app:"+canary+"@", ""), "https://a/x https://b:1/x https://a:9200/x"; got != want {
		t.Errorf("tried %s, want %s", got, want)
	}
}

// Whatever a server answers has a result, and nothing of it is in the sentence.
func FuzzAnswer(f *testing.F) {
	f.Add(200, standin.OpenSearch)
	f.Add(200, standin.Elasticsearch)
	f.Add(401, noPassword)
	f.Add(403, noRight)
	f.Add(404, noIndex)
	f.Add(200, `{"version":"1"}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		got := ask.Answer{Status: status, Header: http.Header{}, Body: []byte(body)}
		to := wire.Target{Kind: v1alpha1.TypeOpenSearch, Secure: true}
		for _, has := range []bool{true, false} {
			result := judge(context.WithoutCancel(t.Context()), wire.Dialer{}, to, got, has)
			asktest.RequireClean(t, result)
			if said := read(got); result.Code == exitcode.Passed && said.Version.Number == "" && said.Error.Type == "" {
				t.Errorf("%q passes", body)
			}
		}
	})
}
