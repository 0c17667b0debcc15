package standin

import (
	"fmt"
	"net/http"
	"strings"
)

const (
	// CouchDBWelcome is what it answers at /.
	CouchDBWelcome = `{"couchdb":"Welcome","version":"3.5.0","git_sha":"0","uuid":"0","features":["scheduler"],
		"vendor":{"name":"The Apache Software Foundation"}}`
	// CouchDBMaintenance is what it answers at /_up, with 404, while it is in maintenance.
	CouchDBMaintenance = `{"status":"maintenance_mode"}`

	up = `{"status":"ok","seeds":{}}`
)

// CouchDB has the databases shop, visits and team/visits, and the database others, which nobody may use.
type CouchDB struct {
	// User may use it with the password. Empty: everybody may.
	User, Password string
	// Up answers at /_up. Default: that it is.
	Up http.HandlerFunc
	// Root answers at /. Default: CouchDBWelcome.
	Root http.HandlerFunc
	// Database answers for every database. Default: as above.
	Database http.HandlerFunc
}

// ServeHTTP implements http.Handler.
func (c CouchDB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	private(c.User, c.Password, Answer(http.StatusUnauthorized, `{"error":"unauthorized","reason":"Name or password is incorrect."}`),
		http.HandlerFunc(c.serve)).ServeHTTP(w, r)
}

func (c CouchDB) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		either(c.Root, Answer(http.StatusOK, CouchDBWelcome))(w, r)
	case "/_up":
		either(c.Up, Answer(http.StatusOK, up))(w, r)
	default:
		either(c.Database, database(r.URL.EscapedPath()))(w, r)
	}
}

func database(path string) http.HandlerFunc {
	found, ok := databases[path]
	switch name := strings.TrimPrefix(path, "/"); {
	case ok:
		return found
	case name != strings.ToLower(name):
		return Answer(http.StatusBadRequest, fmt.Sprintf(`{"error":"illegal_database_name","reason":"Name: '%s'. Only lowercase characters …"}`, name))
	default:
		return Answer(http.StatusNotFound, `{"error":"not_found","reason":"Database does not exist."}`)
	}
}

var databases = map[string]http.HandlerFunc{
	"/shop":          Answer(http.StatusOK, `{"instance_start_time":"0","db_name":"shop","doc_count":0}`),
	"/visits":        Answer(http.StatusOK, `{"instance_start_time":"0","db_name":"visits","doc_count":0}`),
	"/team%2Fvisits": Answer(http.StatusOK, `{"db_name":"team/visits","doc_count":0}`),
	"/others":        Answer(http.StatusForbidden, `{"error":"forbidden","reason":"You are not allowed to access this db."}`),
}

func either(handler, otherwise http.HandlerFunc) http.HandlerFunc {
	if handler != nil {
		return handler
	}
	return otherwise
}
