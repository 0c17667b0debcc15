package standin

import (
	"cmp"
	"net/http"
	"slices"
)

const (
	// OpenSearch is what it answers at /.
	OpenSearch = `{"name":"a","cluster_name":"c4n4ry","cluster_uuid":"0","version":{"distribution":"opensearch","number":"3.3.0","build_type":"tar",
		"lucene_version":"10.3.1","minimum_wire_compatibility_version":"2.19.0"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`
	// Elasticsearch is what that answers at /.
	Elasticsearch = `{"name":"a","cluster_name":"c4n4ry","cluster_uuid":"0","version":{"number":"9.2.0","build_flavor":"default",
		"lucene_version":"10.3.1"},"tagline":"You Know, for Search"}`
	// SearchNoPassword is what both answer with 401.
	SearchNoPassword = `{"error":{"root_cause":[{"type":"security_exception","reason":"unable to authenticate user [c4n4ry] for REST request [/]"}],
		"type":"security_exception","reason":"c4n4ry"},"status":401}`
	// SearchNoIndex is what both answer with 404.
	SearchNoIndex = `{"error":{"root_cause":[{"type":"index_not_found_exception","reason":"no such index [c4n4ry]"}],
		"type":"index_not_found_exception"},"status":404}`

	unknownParameter = `{"error":{"type":"illegal_argument_exception","reason":"request [/] contains unrecognized parameter"},"status":400}`
)

// Search is a search engine without an index. Its answers name c4n4ry, which nobody may repeat.
type Search struct {
	// User may use it with the password. Empty: everybody may.
	User, Password string
	// Keys may use it, too.
	Keys []string
	// Root is what it answers at /. Default: Elasticsearch.
	Root string
}

// ServeHTTP implements http.Handler.
func (s Search) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	answer := http.HandlerFunc(s.serve)
	if slices.ContainsFunc(s.Keys, func(key string) bool { return r.Header.Get("Authorization") == "ApiKey "+key }) {
		answer(w, r)
		return
	}
	private(s.User, s.Password, Answer(http.StatusUnauthorized, SearchNoPassword), answer)(w, r)
}

func (s Search) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.RawQuery != "":
		Answer(http.StatusBadRequest, unknownParameter)(w, r)
	case r.URL.Path == "/":
		Answer(http.StatusOK, cmp.Or(s.Root, Elasticsearch))(w, r)
	default:
		Answer(http.StatusNotFound, SearchNoIndex)(w, r)
	}
}
