package main

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/bindery-dev/bindery/hack/standin"
)

// vendors are those of tokens, and at /busy and /fails those who have no time for an answer.
type vendors struct {
	http.Handler
	all []*standin.Vendors
}

func newVendors(tokens string) *vendors {
	mux, v := http.NewServeMux(), &vendors{}
	for prefix, mode := range map[string]standin.Mode{"": standin.Serves, "/busy": standin.Busy, "/fails": standin.Fails} {
		these := standin.NewVendors(mode, strings.Split(tokens, ",")...)
		mux.Handle(prefix+"/", http.StripPrefix(prefix, these))
		v.all = append(v.all, these)
	}
	v.Handler = mux
	return v
}

// counts answers with the requests of all.
func (v *vendors) counts(w http.ResponseWriter, _ *http.Request) {
	counted := struct {
		Requests []string `json:"requests"`
		Writes   int      `json:"writes"`
	}{Requests: []string{}}
	for _, each := range v.all {
		counted.Requests = append(counted.Requests, each.Requests()...)
		counted.Writes += each.Writes()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(counted) // a client that is gone gets no error
}
