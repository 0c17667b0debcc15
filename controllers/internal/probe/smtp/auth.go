package smtp

import (
	"errors"
	"net/smtp"
	"slices"
	"strings"
)

// authentication is the first way to log in that this program knows, of those that a server offers; nil = none of them. The
// way of net/smtp with PLAIN is not among them: it sends no password without TLS, and an app with this handle does.
func (l login) authentication(offer string) smtp.Auth {
	mechanisms := strings.Fields(strings.ToUpper(offer))
	for _, known := range []struct {
		name string
		auth smtp.Auth
	}{
		{"PLAIN", &exchange{mechanism: "PLAIN", first: []byte("\x00" + l.user + "\x00" + l.password)}},
		{"LOGIN", &exchange{mechanism: "LOGIN", answers: [][]byte{[]byte(l.user), []byte(l.password)}}},
		{"CRAM-MD5", smtp.CRAMMD5Auth(l.user, l.password)},
	} {
		if slices.Contains(mechanisms, known.name) {
			return known.auth
		}
	}
	return nil
}

// exchange is a way to log in whose answers do not depend on the questions: PLAIN (RFC 4616), and LOGIN, which has no RFC:
// servers word its two questions differently.
type exchange struct {
	mechanism string
	first     []byte
	answers   [][]byte
}

var errTooManyQuestions = errors.New("the server asks for more than there is to say")

// Start implements smtp.Auth.
func (e *exchange) Start(*smtp.ServerInfo) (mechanism string, first []byte, err error) {
	return e.mechanism, e.first, nil
}

// Next implements smtp.Auth.
func (e *exchange) Next(_ []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	if len(e.answers) == 0 {
		return nil, errTooManyQuestions
	}
	answer := e.answers[0]
	e.answers = e.answers[1:]
	return answer, nil
}
