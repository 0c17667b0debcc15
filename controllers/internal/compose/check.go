package compose

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Place is where in a URL a part is. Its text is for sentences.
type Place string

// The places, and in each the characters that a part may have there: RFC 3986, without those that many clients take for an
// end, or for a separator. In a host, the handle itself is looked at later.
const (
	InUser     Place = "user"
	InPassword Place = "password"
	InHost     Place = "host"
	InPath     Place = "path"
	InQuery    Place = "parameters"
)

// An octet that is percent-encoded may be anywhere.
const encoded = `%[0-9A-Fa-f]{2}`

var allowed = map[Place]*regexp.Regexp{
	InUser:     regexp.MustCompile(`^([A-Za-z0-9._~!$&'()*+,;=-]|` + encoded + `)*$`),
	InPassword: regexp.MustCompile(`^([A-Za-z0-9._~!$&'()*+,;=:-]|` + encoded + `)*$`),
	InHost:     regexp.MustCompile(`^[^\s@/?#\\]*$`),
	InPath:     regexp.MustCompile(`^([A-Za-z0-9._~!$'()*+,:-]|` + encoded + `)*$`),
	InQuery:    regexp.MustCompile(`^([A-Za-z0-9._~!$'()*,:/-]|` + encoded + `)*$`),
}

// section is a piece of a template that lies in one place.
type section struct {
	place Place
	text  string
}

// sections divides a template. In its own text the characters that divide a URL stand for themselves, and in the name of a
// key there are none.
func (t Template) sections() []section {
	rest := string(t)
	if _, after, found := strings.Cut(rest, "://"); found {
		rest = after
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	var sections []section
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		sections = append(sections, section{InUser, user}, section{InPassword, password})
		authority = authority[at+1:]
	}
	return append(sections, section{InHost, authority}, section{InPath, path}, section{InQuery, query})
}

// Check looks at the parts, whose names are the references of a template. It returns the place of a part with a character
// that has to be percent-encoded there, or with white space; "" = there is none. missing: a part does not exist.
func (t Template) Check(part func(name string) (string, bool)) (place Place, missing bool) {
	for _, s := range t.sections() {
		for _, name := range References(s.text) {
			text, ok := part(name)
			if !ok {
				missing = true
			} else if place == "" && !allowed[s.place].MatchString(text) {
				place = s.place
			}
		}
	}
	return place, missing
}

// escaped are the places whose parts are percent-encoded by Escape. A host may have brackets, and a list of hosts commas.
var escaped = []Place{InUser, InPassword, InPath, InQuery}

// Escape expands a template, as Expand does, but percent-encodes the parts. The kubelet cannot do that, so no app has such a
// handle.
func (t Template) Escape(part func(name string) (string, bool)) string {
	escapes := map[string]bool{}
	for _, s := range t.sections() {
		for _, name := range References(s.text) {
			escapes[name] = escapes[name] || slices.Contains(escaped, s.place)
		}
	}
	return Expand(string(t), func(name string) (string, bool) {
		text, ok := part(name)
		if escapes[name] {
			text = strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
		}
		return text, ok
	})
}
