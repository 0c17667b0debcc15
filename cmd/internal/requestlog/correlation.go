package requestlog

import (
	"context"
	"regexp"

	"github.com/google/uuid"
)

// Header carries the id by which the lines of one request are found again in the logs of every app that it went through.
const Header = "X-Correlation-Id"

// An id of the caller's goes into logs, headers and stored objects: bounded, and of characters that need no escaping in
// any of them.
var wellFormed = regexp.MustCompile(`^[A-Za-z0-9._:+/=-]{1,128}$`)

// correlationID is the caller's id if it is well formed, a new one otherwise.
func correlationID(callers string) string {
	if wellFormed.MatchString(callers) {
		return callers
	}
	return uuid.NewString()
}

type contextKey struct{}

// CorrelationID is the id of the request that ctx belongs to, "" outside of a request that went through Wrap.
func CorrelationID(ctx context.Context) string {
	id, _ := ctx.Value(contextKey{}).(string)
	return id
}
