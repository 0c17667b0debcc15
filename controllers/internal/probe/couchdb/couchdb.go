// Package couchdb tries handles of CouchDB, and of what speaks as it does: Cloudant, and PouchDB Server.
//
// It asks the server who it is and whether it is up, and then for the database of the handle. Each is a GET:
// https://docs.couchdb.org/en/stable/api/server/common.html, https://docs.couchdb.org/en/stable/api/database/common.html
package couchdb

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Probe tries each server of the handle, until one passes.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	targets := make([]wire.Target, 0, len(to.Endpoints))
	for _, e := range to.Endpoints {
		targets = append(targets, to.Alone(e))
	}
	return wire.First(ctx, d, targets, probeOne)
}

func probeOne(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if to.URL == nil {
		return wire.Reach(ctx, d, to)
	}
	server, database := split(to.URL)
	got, failed := ask.Get(ctx, d, to, server)
	if failed != nil {
		return *failed
	}
	root := read(got)
	if root.welcomes() {
		if away := maintenance(ctx, d, to, server); away != nil {
			return *away
		}
	}
	if database == nil {
		return judge(ctx, d, to, root)
	}
	for _, failed := range []*wire.Result{ask.Unauthorized(got, to.Location.HasUser), ask.Unavailable(got)} {
		if failed != nil {
			return *failed // to send what it refused again may lock the user out
		}
	}
	if got, failed = ask.Get(ctx, d, to, database); failed != nil {
		return *failed
	}
	found := judge(ctx, d, to, read(got))
	switch {
	case found.Code == exitcode.WrongProtocol && !root.welcomes():
		return judge(ctx, d, to, root) // what is wrong at the top may be why
	case found.Code == exitcode.CredentialsRefused && root.welcomes() && to.Location.HasUser:
		return *notPermitted // PouchDB Server answers 401 for a database of others; the top took the same credentials
	default:
		return found
	}
}

// split returns where the server is, and where the database; nil if the handle names none. The last part of the path is
// the database, whose name may have a slash that is encoded. A proxy may serve CouchDB below a path.
func split(handle *url.URL) (server, database *url.URL) {
	path := strings.TrimRight(handle.EscapedPath(), "/")
	slash := strings.LastIndex(path, "/")
	if slash < 0 {
		return at(handle, "/"), nil
	}
	return at(handle, path[:slash+1]), at(handle, path)
}

// at is the URL with another path, and nothing after it. The path is escaped.
func at(handle *url.URL, path string) *url.URL {
	u := &url.URL{Scheme: handle.Scheme, User: handle.User, Host: handle.Host, RawPath: path}
	u.Path, _ = url.PathUnescape(path) // it is a part of one that is escaped correctly
	return u
}

// answer is what is known of the JSON that CouchDB and its like answer with.
type answer struct {
	ask.Answer
	document
}

type document struct {
	// Of the server.
	CouchDB        string `json:"couchdb"`
	ExpressPouchDB string `json:"express-pouchdb"`
	// Up is what /_up says.
	Up string `json:"status"`
	// Database is the name of a database, of which this is the description.
	Database string `json:"db_name"`
	// Error and Reason are why something was refused.
	Error  string `json:"error"`
	Reason string `json:"reason"`
}

// read reads an answer. One that is no such JSON has nothing in it.
func read(got ask.Answer) answer {
	a := answer{Answer: got}
	if !got.JSON(&a.document) {
		a.document = document{}
	}
	return a
}

// welcomes: it is the server's answer at its top.
func (a answer) welcomes() bool {
	return a.Status == http.StatusOK && (a.CouchDB != "" || a.ExpressPouchDB != "")
}

// maintenance asks whether the server is up. One that has no such question, as CouchDB 1 and PouchDB Server, and one that
// does not tell this user, is up.
func maintenance(ctx context.Context, d wire.Dialer, to wire.Target, server *url.URL) *wire.Result {
	got, failed := ask.Get(ctx, d, to, at(server, server.EscapedPath()+"_up"))
	if failed != nil {
		return failed
	}
	if away := ask.Unavailable(got); away != nil {
		return away
	}
	up := read(got)
	switch {
	case got.Status != http.StatusNotFound || up.Up == "" || up.Up == "ok":
		return nil
	case up.Up == "maintenance_mode" || up.Up == "nolb":
		return wire.Unreachable("it is in maintenance mode")
	default:
		return wire.Unreachable("it answers that it is not up yet")
	}
}

// missing are the reasons of a database that is not there: of CouchDB 1 and PouchDB Server, and of CouchDB from 2 on.
var missing = []string{"no_db_file", "Database does not exist."}

var notPermitted = wire.NotPermitted("it does not let the user of the handle use what the handle names")

// judge interprets the answer of a server or of a database.
func judge(ctx context.Context, d wire.Dialer, to wire.Target, got answer) wire.Result {
	for _, failed := range []*wire.Result{
		ask.Unauthorized(got.Answer, to.Location.HasUser), ask.Unavailable(got.Answer), ask.Redirected(got.Answer),
	} {
		if failed != nil {
			return *failed
		}
	}
	switch {
	case got.welcomes():
		return wire.Passed("CouchDB answered, and took the credentials")
	case got.Status == http.StatusOK && got.Database != "":
		return wire.Passed("CouchDB answered, took the credentials, and has the database")
	case got.Status == http.StatusForbidden:
		return *notPermitted
	case got.Status == http.StatusNotFound && got.Error == "not_found" && slices.Contains(missing, got.Reason):
		return *wire.DatabaseNotFound("it has no database of the name in the handle")
	case got.Status == http.StatusBadRequest && got.Error == "illegal_database_name":
		return *wire.DatabaseNotFound("it can have no database of the name in the handle: CouchDB takes lower-case letters, digits and _$()+-/")
	}
	if wanted := ask.TLSWanted(ctx, d, to, got.Answer); wanted != nil {
		return *wanted
	}
	return *wire.WrongProtocol(fmt.Sprintf("what answers, with %d, is no CouchDB", got.Status))
}
