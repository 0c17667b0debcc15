// Package opensearch tries handles of OpenSearch and Elasticsearch, and of what speaks as they do.
//
// Both answer a GET of their root with their version:
// https://docs.opensearch.org/latest/api-reference/,
// https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-info
package opensearch

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// usualPort is where both listen. Some clients use it for http://host and https://host as well, others the port of the
// scheme.
const usualPort = "9200"

// Probe tries each server of the handle, until one passes.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	return wire.First(ctx, d, targetsOf(to), probeOne)
}

// targetsOf has one for each server, and then those at the usual port.
func targetsOf(to wire.Target) []wire.Target {
	var named, usual []wire.Target
	for _, e := range to.Endpoints {
		named = append(named, to.Alone(e))
		if e.Port == "80" || e.Port == "443" {
			usual = append(usual, to.Alone(wire.Endpoint{Host: e.Host, Port: usualPort}))
		}
	}
	return append(named, usual...)
}

// probeOne asks at the path of the handle, which a proxy may need, and then at the root of the server: for some clients
// the path is the name of an index.
func probeOne(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if to.URL == nil {
		return wire.Reach(ctx, d, to)
	}
	found := askAt(ctx, d, to, to.URL.EscapedPath())
	if found.Code == exitcode.WrongProtocol && strings.Trim(to.URL.Path, "/") != "" {
		if root := askAt(ctx, d, to, "/"); root.Code != exitcode.WrongProtocol && root.Answered() {
			return root
		}
	}
	return found
}

// askAt asks at a path, without what the handle has after it: Elasticsearch refuses parameters that it does not know.
func askAt(ctx context.Context, d wire.Dialer, to wire.Target, path string) wire.Result {
	u := &url.URL{Scheme: to.URL.Scheme, User: to.URL.User, Host: to.URL.Host, RawPath: path}
	u.Path, _ = url.PathUnescape(path) // it is that of a URL
	request, failed := ask.Request(ctx, http.MethodGet, u)
	if failed != nil {
		return *failed
	}
	request.Header.Set("Accept", "application/json")
	key := apiKey(to.Location.Options)
	if key != "" && !to.Location.HasUser {
		request.Header.Set("Authorization", "ApiKey "+key)
	}
	got, failed := ask.Send(d, to, request, ask.Enough)
	if failed != nil {
		return *failed
	}
	return judge(ctx, d, to, got, key != "" || to.Location.HasUser)
}

// apiKey is the key of a handle that has one, encoded as it is sent. The key and its identifier may be there as they are.
func apiKey(options handle.Options) string {
	key, _ := options.Get("apikey")
	if strings.Contains(key, ":") {
		return base64.StdEncoding.EncodeToString([]byte(key))
	}
	return key
}

// about is what a server says about itself, or why it refuses.
type about struct {
	Tagline string `json:"tagline"`
	Version struct {
		Number       string `json:"number"`
		Distribution string `json:"distribution"`
		Lucene       string `json:"lucene_version"`
	} `json:"version"`
	Error struct {
		Type string `json:"type"`
	} `json:"error"`
}

// read reads an answer. One that is no such JSON has nothing in it.
func read(got ask.Answer) about {
	var a about
	if !got.JSON(&a) {
		return about{}
	}
	return a
}

// product is the header in which Elasticsearch, from 7.14 on, says what it is.
const product = "X-Elastic-Product"

// name is that of the server, as far as it says; empty if it is none that searches.
func (a about) name(header http.Header) string {
	switch {
	case a.Version.Number == "":
		return ""
	case a.Version.Distribution == "opensearch":
		return "OpenSearch"
	case header.Get(product) != "":
		return "Elasticsearch"
	case a.Version.Lucene != "" || a.Tagline != "": // an earlier one, and what speaks as it does
		return "a search engine"
	default:
		return ""
	}
}

// judge interprets an answer. has: the handle has credentials.
func judge(ctx context.Context, d wire.Dialer, to wire.Target, got ask.Answer, has bool) wire.Result {
	for _, failed := range []*wire.Result{ask.Unauthorized(got, has), ask.Unavailable(got), ask.Redirected(got)} {
		if failed != nil {
			return *failed
		}
	}
	said := read(got)
	name := said.name(got.Header)
	switch {
	case got.Status == http.StatusOK && name != "":
		return wire.Passed(name + " answered, and took the credentials")
	case got.Status == http.StatusForbidden && said.Error.Type == "security_exception" && has:
		// To say what it is takes a right of its own (cluster:monitor/main), which users of an index need not have.
		return wire.Passed("a search engine took the credentials; it does not tell their user what it is")
	case got.Status == http.StatusForbidden:
		return *wire.NotPermitted("it answered 403: the user of the handle may not use it")
	}
	if wanted := ask.TLSWanted(ctx, d, to, got); wanted != nil {
		return *wanted
	}
	return *wire.WrongProtocol(fmt.Sprintf("what answers, with %d, is neither OpenSearch nor Elasticsearch", got.Status))
}
