package couchdb

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask/asktest"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/standin"
	"github.com/bindery-dev/bindery/hack/testcouchdb"
	"github.com/bindery-dev/bindery/hack/testserver"
)

const (
	canary = asktest.Canary

	passed = exitcode.Passed
)

// private has one user.
var private = standin.CouchDB{User: "app", Password: canary}

func TestProbe(t *testing.T) {
	serve := func(c standin.CouchDB) string { return asktest.Serve(t, c.ServeHTTP).Addr }
	authority := testserver.NewAuthority(t)
	secure := httptest.NewUnstartedServer(private)
	secure.TLS = authority.Server("127.0.0.1")
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it would complain about the client, which is the test
	secure.StartTLS()
	t.Cleanup(secure.Close)
	open, login, overTLS := serve(standin.CouchDB{}), "app:"+canary+"@"+serve(private), "app:"+canary+"@"+secure.Listener.Addr().String()
	trusting := wire.Dialer{Roots: authority.Pool}
	saysUp := func(status int, body string) string {
		return "http://" + serve(standin.CouchDB{Up: asktest.Answer(status, body)}) + "/visits"
	}
	root := func(status int, body string) string {
		return "http://" + serve(standin.CouchDB{Root: asktest.Answer(status, body)})
	}
	database := func(status int, body string) string {
		return "http://" + serve(standin.CouchDB{Database: asktest.Answer(status, body)}) + "/visits"
	}
	hidden := serve(standin.CouchDB{Root: asktest.Answer(404, asktest.Page)})
	for name, tt := range map[string]asktest.Trial{
		"a database":                         {Handle: "http://" + open + "/visits", Want: passed, Sentence: "has the database"},
		"a database and a slash":             {Handle: "http://" + open + "/visits/", Want: passed, Sentence: "has the database"},
		"a database with a slash":            {Handle: "http://" + open + "/team%2Fvisits", Want: passed, Sentence: "has the database"},
		"a user":                             {Handle: "http://" + login + "/visits", Want: passed},
		"no database":                        {Handle: "http://" + login, Want: passed, Sentence: "took the credentials"},
		"the dialect":                        {Handle: "couchdb://" + login + "/visits", Want: passed},
		"a list, and one of it is up":        {Handle: "couchdb://127.0.0.1:1," + open + "/visits", Want: passed},
		"options of a client":                {Handle: "http://" + open + "/visits?timeout=5#x", Want: passed},
		"TLS":                                {Handle: "https://" + overTLS + "/visits", Want: passed, Dialer: trusting},
		"TLS in the dialect":                 {Handle: "couchdbs://" + overTLS + "/visits", Want: passed, Dialer: trusting},
		"TLS in an option":                   {Handle: "couchdb://" + overTLS + "/visits?ssl=true", Want: passed, Dialer: trusting},
		"TLS of an authority of its own":     {Handle: "https://" + overTLS + "/visits", Want: exitcode.CertificateUntrusted},
		"TLS of another name":                {Handle: "https://" + strings.Replace(overTLS, "127.0.0.1", "localhost", 1), Want: exitcode.CertificateNameMismatch, Dialer: trusting},
		"TLS that is not to be checked":      {Handle: "https://" + overTLS + "/visits#insecure", Want: passed},
		"no TLS where there is":              {Handle: "http://" + overTLS + "/visits", Want: exitcode.TLSRequired, Sentence: "https://"},
		"TLS where there is none":            {Handle: "https://" + login + "/visits", Want: exitcode.TLSRefused},
		"a wrong password":                   {Handle: "http://x" + login + "/visits", Want: exitcode.CredentialsRefused, Sentence: "not those"},
		"no password":                        {Handle: "http://" + strings.TrimPrefix(login, "app:"+canary+"@") + "/visits", Want: exitcode.CredentialsRefused, Sentence: "has none"},
		"a password, where one is not asked": {Handle: "http://app:" + canary + "@" + open + "/visits", Want: passed},
		"a database of others":               {Handle: "http://" + login + "/others", Want: exitcode.NotPermitted},
		"a database that is not there":       {Handle: "http://" + login + "/" + canary, Want: exitcode.DatabaseNotFound, Sentence: "no database"},
		"a name that no database can have":   {Handle: "http://" + login + "/Visits-" + canary, Want: exitcode.DatabaseNotFound, Sentence: "can have no database"},
		"a database of PouchDB":              {Handle: database(404, `{"error":"not_found","reason":"no_db_file"}`), Want: exitcode.DatabaseNotFound},

		"maintenance":                   {Handle: saysUp(404, standin.CouchDBMaintenance), Want: exitcode.Unreachable, Sentence: "maintenance"},
		"out of a balancer":             {Handle: saysUp(404, `{"status":"nolb"}`), Want: exitcode.Unreachable, Sentence: "maintenance"},
		"not yet filled":                {Handle: saysUp(404, `{"status":"seeding","seeds":{}}`), Want: exitcode.Unreachable, Sentence: "not up yet"},
		"a server without that":         {Handle: saysUp(404, `{"error":"not_found","reason":"missing"}`), Want: passed},
		"it does not tell everybody":    {Handle: saysUp(401, `{"error":"unauthorized","reason":"`+canary+`"}`), Want: passed},
		"a balancer without a server":   {Handle: saysUp(503, asktest.Page), Want: exitcode.Unreachable},
		"not its turn":                  {Handle: root(429, `{"error":"too_many_requests"}`) + "/visits", Want: exitcode.Unreachable},
		"an error of its own":           {Handle: database(500, `{"error":"internal_server_error","reason":"`+canary+`"}`), Want: exitcode.Unreachable},
		"below a proxy that hides it":   {Handle: "http://" + hidden + "/visits", Want: passed},
		"the same, and no database":     {Handle: "http://" + hidden + "/" + canary, Want: exitcode.DatabaseNotFound},
		"the path is not of a database": {Handle: "http://" + serve(standin.CouchDB{Root: asktest.Answer(200, asktest.Page), Database: asktest.Answer(200, standin.CouchDBWelcome)}) + "/couchdb", Want: passed},
		"PouchDB Server":                {Handle: root(200, `{"express-pouchdb":"Welcome!","version":"4.2.0"}`), Want: passed},

		"a web server":                          {Handle: "http://" + asktest.Serve(t, asktest.Answer(200, asktest.Page)).Addr + "/visits", Want: exitcode.WrongProtocol},
		"a web server with 404":                 {Handle: "http://" + asktest.Serve(t, asktest.Answer(404, asktest.Page)).Addr + "/visits", Want: exitcode.WrongProtocol},
		"JSON of something else":                {Handle: "http://" + asktest.Serve(t, asktest.Answer(200, `{"version":{"number":"9.1.0"},"tagline":"c4n4ry"}`)).Addr + "/visits", Want: exitcode.WrongProtocol},
		"nothing at the database":               {Handle: database(404, asktest.Page), Want: exitcode.WrongProtocol},
		"a redirect":                            {Handle: "http://" + asktest.Serve(t, asktest.Answer(301, "")).Addr + "/visits", Want: exitcode.WrongProtocol, Sentence: "redirect"},
		"nobody listens":                        {Handle: "http://app:" + canary + "@127.0.0.1:1/visits", Want: exitcode.Unreachable, Sentence: "nobody listens"},
		"no such name":                          {Handle: "http://" + strings.Repeat("a", 64) + ".example/visits", Want: exitcode.NameNotFound},
		"a path that Go does not send as it is": {Handle: "http://" + open + "/" + canary + "%zz", Want: exitcode.Reachable},
	} {
		t.Run(name, func(t *testing.T) { tt.Run(t, v1alpha1.TypeCouchDB, Probe) })
	}
}

// The same of a real server, and it stays as it is.
func TestProbeOfARealServer(t *testing.T) {
	server, stopped, paused := testcouchdb.Start(t), testcouchdb.Start(t), testcouchdb.Start(t)
	stopped.Kill()
	paused.Signal(syscall.SIGSTOP)
	const user = "app"
	server.Database("visits")
	server.Database("team%2Fvisits")
	server.User(user, canary)
	server.Private("mine", user)
	server.Private("others", "somebody-else")
	as := func(login, path string) string { return "http://" + login + server.Addr + path }
	before := state(server)
	for name, tt := range map[string]asktest.Trial{
		"a database":                      {Handle: as("app:"+canary+"@", "/visits"), Want: passed, Sentence: "has the database"},
		"a database with a slash":         {Handle: as("app:"+canary+"@", "/team%2Fvisits"), Want: passed, Sentence: "has the database"},
		"a database of the user":          {Handle: as("app:"+canary+"@", "/mine"), Want: passed, Sentence: "has the database"},
		"no database":                     {Handle: as("app:"+canary+"@", ""), Want: passed},
		"the dialect":                     {Handle: strings.Replace(as("app:"+canary+"@", "/visits"), "http", "couchdb", 1), Want: passed},
		"a wrong password":                {Handle: as("app:x"+canary+"@", "/visits"), Want: exitcode.CredentialsRefused},
		"a user that is not there":        {Handle: as(canary+":"+canary+"@", "/visits"), Want: exitcode.CredentialsRefused},
		"no password":                     {Handle: as("", "/mine"), Want: exitcode.CredentialsRefused, Sentence: "has none"},
		"a database of others":            {Handle: as("app:"+canary+"@", "/others"), Want: exitcode.NotPermitted},
		"a database that is not there":    {Handle: as("app:"+canary+"@", "/"+canary), Want: exitcode.DatabaseNotFound},
		"TLS where there is none":         {Handle: strings.Replace(as("app:"+canary+"@", "/visits"), "http:", "https:", 1), Want: exitcode.TLSRefused},
		"one that is stopped":             {Handle: "http://app:" + canary + "@" + stopped.Addr + "/visits", Want: exitcode.Unreachable, Sentence: "nobody listens"},
		"one that hangs":                  {Handle: "http://app:" + canary + "@" + paused.Addr + "/visits", Want: exitcode.Unreachable, Sentence: "in time", Timeout: asktest.Soon},
		"one of a list that is not there": {Handle: "couchdb://app:" + canary + "@" + stopped.Addr + "," + server.Addr + "/visits", Want: passed},
	} {
		t.Run(name, func(t *testing.T) { tt.Run(t, v1alpha1.TypeCouchDB, Probe) })
	}
	if diff := cmp.Diff(before, state(server)); diff != "" {
		t.Errorf("the server has changed (-before +after):\n%s", diff)
	}
}

// state is what a server has: its databases, and how often each was changed.
func state(server *testcouchdb.Server) []string {
	all := []string{server.Do(http.MethodGet, "/_all_dbs", "")}
	for _, database := range []string{"visits", "team%2Fvisits", "mine", "others", "_users"} {
		all = append(all, server.Do(http.MethodGet, "/"+database, ""))
	}
	return all
}

// What is asked, in this order, and with the credentials.
func TestWhatIsAsked(t *testing.T) {
	for path, want := range map[string]string{
		"":               "/ /_up",
		"/":              "/ /_up",
		"/visits?feed=x": "/ /_up /visits",
		"/team%2Fvisits": "/ /_up /team%2Fvisits",
		"/proxy/visits/": "/proxy/ /proxy/visits",
		"//visits":       "// //visits",
	} {
		var asked []string
		server := asktest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.RequestURI)
			if user, password, _ := r.BasicAuth(); user != "app" || password != canary {
				t.Errorf("%s: %s has other credentials", path, r.RequestURI)
			}
			standin.CouchDB{}.ServeHTTP(w, r)
		})
		to, failed := wire.Parse(v1alpha1.TypeCouchDB, "http://app:"+canary+"@"+server.Addr+path)
		if failed != nil {
			t.Fatal(failed)
		}
		Probe(t.Context(), wire.Dialer{}, to)
		if got := strings.Join(asked, " "); got != want {
			t.Errorf("%q: asked for %s, want %s", path, got, want)
		}
	}
}

// A user whose password is refused is not tried again: CouchDB locks such users out.
func TestARefusedPasswordIsSentOnce(t *testing.T) {
	server := asktest.Serve(t, private.ServeHTTP)
	asktest.Trial{Handle: "http://app:x" + canary + "@" + server.Addr + "/visits", Want: exitcode.CredentialsRefused}.Run(t, v1alpha1.TypeCouchDB, Probe)
	if got := server.Requests.Load(); got != 1 {
		t.Errorf("it was sent %d times", got)
	}
}

// Whatever a server answers has a result, and nothing of it is in the sentence.
func FuzzAnswer(f *testing.F) {
	f.Add(200, standin.CouchDBWelcome)
	f.Add(200, `{"db_name":"visits"}`)
	f.Add(404, `{"error":"not_found","reason":"no_db_file"}`)
	f.Add(400, `{"error":"illegal_database_name","reason":"c4n4ry"}`)
	f.Add(404, `{"status":"nolb"}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		got := read(ask.Answer{Status: status, Header: http.Header{}, Body: []byte(body)})
		result := judge(context.WithoutCancel(t.Context()), wire.Dialer{}, wire.Target{Kind: v1alpha1.TypeCouchDB, Secure: true}, got)
		asktest.RequireClean(t, result)
		if result.Code == exitcode.Passed && (status != http.StatusOK || got.document == document{}) {
			t.Errorf("%d, %q passes", status, body)
		}
	})
}

// A database is below its server, whatever the path is.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"", "/", "/visits", "/a/b/", "/team%2Fvisits", "//", "/%zz", "/a b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.Parse("http://host" + path)
		if err != nil || u.Host != "host" {
			t.Skip("no URL of this host")
		}
		server, database := split(u)
		if database != nil && !strings.HasPrefix(database.EscapedPath(), server.EscapedPath()) {
			t.Errorf("%q: %s is not below %s", path, database.EscapedPath(), server.EscapedPath())
		}
		if !strings.HasSuffix(server.EscapedPath(), "/") {
			t.Errorf("%q: the server is at %s", path, server.EscapedPath())
		}
	})
}
