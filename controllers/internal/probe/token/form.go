package token

import (
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// blank is the white space that may be around a token: HTTP takes it off the end and the beginning of a header. A line break
// is none of it: clients do not send a header that has one.
const blank = " \t"

// form returns the token that a handle holds, or what is wrong with it. No vendor promises a length or an alphabet, so only
// that is wrong which no token has: what people copy along with it.
func form(t v1alpha1.ServiceType, raw string) (string, *wire.Result) {
	token := strings.Trim(raw, blank)
	lower := strings.ToLower(token)
	switch {
	case strings.TrimSpace(raw) == "":
		return "", new(wire.Found(exitcode.HandleEmpty, "the handle is empty"))
	case strings.ContainsAny(token, "\r\n"):
		return "", malformed("the token has a line break in it (echo adds one, echo -n does not)")
	case strings.ContainsAny(token, "\"'`"):
		return "", malformed("the token has quotes around it or in it")
	case strings.HasPrefix(lower, "bearer ") || lower == "bearer":
		return "", malformed("the token begins with the word Bearer, which the app adds itself")
	case strings.HasPrefix(token, catalog.Lookup(t).Variable+"="):
		return "", malformed("the token begins with the name of its variable")
	case isURL(token):
		return "", malformed("there is a URL where a token is wanted")
	case strings.ContainsAny(token, blank):
		return "", malformed("the token has white space in it")
	case strings.ContainsFunc(token, notVisible):
		return "", malformed("the token has a character in it that is not a visible one of ASCII")
	default:
		return token, nil
	}
}

func isURL(token string) bool { return strings.Contains(token, "://") }

// notVisible: such as the mark that editors put at the beginning of a file, and spaces of no width.
func notVisible(r rune) bool { return r <= ' ' || r > '~' }

func malformed(sentence string) *wire.Result {
	return new(wire.Found(exitcode.TokenMalformed, sentence))
}
