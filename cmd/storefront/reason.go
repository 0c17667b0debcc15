package main

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"

	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/wneessen/go-mail"

	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

// errUnexpected is for an answer that the service should not have given: it confirmed nothing, or what was read is not what
// was written.
var errUnexpected = errors.New("not what was asked for")

// sqlState is what a code of PostgreSQL looks like: https://www.postgresql.org/docs/current/errcodes-appendix.html
var sqlState = regexp.MustCompile(`^[0-9A-Z]{5}$`)

// reason says in a few words why a service did not do what it was asked. Of what the service itself said only the code is
// passed on, because its sentences name users, and those of libraries whole handles.
func reason(err error) string {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return fmt.Sprintf("it answered with the error %d", e.Number)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && sqlState.MatchString(e.Code) {
		return "it answered with the error " + e.Code
	}
	if e, ok := errors.AsType[*amqp.Error](err); ok && e.Server {
		return fmt.Sprintf("it answered with the error %d", e.Code)
	}
	if status := statusOf(err); status != 0 {
		return fmt.Sprintf("it answered with the status %d", status)
	}
	if errors.Is(err, errUnexpected) {
		return "its answer was not what was asked for"
	}
	return handle.Reason(err)
}

// statusOf is that of an answer of a mail server or of an object store; 0: the error is none of theirs.
func statusOf(err error) int {
	if e, ok := errors.AsType[*mail.SendError](err); ok {
		return e.ErrorCode()
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		return e.Code
	}
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}
