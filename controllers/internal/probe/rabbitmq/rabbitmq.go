// Package rabbitmq tries handles of RabbitMQ, and of other brokers that speak AMQP 0-9-1.
package rabbitmq

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Probe logs in to each broker of the handle, and enters the virtual host, until one lets it.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if !speaks(to.Location) || byCertificate(to.Location.Options) {
		return wire.Reach(ctx, d, to)
	}
	login := readAccount(to.Location)
	return wire.First(ctx, d, wire.Readings(to), func(ctx context.Context, d wire.Dialer, one wire.Target) wire.Result {
		var result wire.Result
		for _, vhost := range login.vhosts {
			if result = enter(ctx, d, one, login, vhost); result.Code != exitcode.DatabaseNotFound {
				break
			}
		}
		return result
	})
}

func enter(ctx context.Context, d wire.Dialer, to wire.Target, login account, vhost string) wire.Result {
	c, failed := d.Connect(ctx, to)
	if failed != nil {
		return *failed
	}
	defer c.End()
	conn := &memory{Conn: c}
	broker, err := amqp.Open(conn, amqp.Config{
		SASL: []amqp.Authentication{
			&amqp.PlainAuth{Username: login.username, Password: login.password},
			&amqp.AMQPlainAuth{Username: login.username, Password: login.password},
		},
		Vhost:      vhost,
		Locale:     "en_US",
		Properties: amqp.Table{"product": "bindery-probe"},
	})
	var result *wire.Result
	if err == nil {
		result, err = offerMessage(ctx, broker)
	}
	switch {
	case err != nil:
		return explain(ctx, d, to, c, conn, err)
	case result != nil:
		return *result
	default:
		return wire.Passed("a broker took the credentials, and let their user into the virtual host")
	}
}

// offerMessage finds out whether the broker takes messages. One that is short of memory or disk stops reading from a
// connection when the first message comes, and says so. The broker drops this message, because no queue can have its key. It
// does not matter whether the user may publish: not every app does.
func offerMessage(ctx context.Context, broker *amqp.Connection) (*wire.Result, error) {
	blocked := broker.NotifyBlocked(make(chan amqp.Blocking, 1))
	channel, err := broker.Channel()
	if err != nil {
		return nil, err
	}
	if err := channel.PublishWithContext(ctx, "", "bindery-probe-"+uuid.NewString(), false, false, amqp.Publishing{}); err != nil {
		return nil, err
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = broker.Close() // its answer shows that the message was read; a broker that ends first has let us in before
	}()
	select {
	case state := <-blocked:
		if state.Active {
			return full(state.Reason), nil
		}
	case <-closed:
	}
	return nil, nil //nolint:nilnil // no result yet, and nothing wrong
}

// full is the result for a broker that has stopped reading messages: https://www.rabbitmq.com/docs/alarms
func full(reason string) *wire.Result {
	if strings.Contains(reason, "memory") {
		return wire.OutOfMemory("it takes no messages: it is short of memory")
	}
	return wire.ReadOnly("it takes no messages: it is short of disk")
}

// explain says why the broker did not let us in. If it did not say so itself, the library takes any end after the login was
// sent for a wrong password: a broker that stops, and silence, too. RabbitMQ says nothing to a wrong password, and ends the
// connection three seconds later. So an end is believed, and silence is not.
func explain(ctx context.Context, d wire.Dialer, to wire.Target, c *wire.Connection, m *memory, err error) wire.Result {
	said, ok := errors.AsType[*amqp.Error](err)
	switch cause := m.cause(err); {
	case ok && said.Server:
		return *refusal(said.Code, said.Reason)
	case errors.Is(err, amqp.ErrCredentials) && m.hungUp() && ctx.Err() == nil:
		return *refused
	case errors.Is(err, amqp.ErrSASL):
		return wire.Found(exitcode.OfPassed(to.Kind, v1alpha1.ReasonReachable), "it was reached; it takes no passwords, so the login was not tried")
	case d.WantsTLS(ctx, to, c, cause):
		return *wire.TLSRequired("it speaks TLS at that port: begin the handle with amqps://")
	default:
		return d.Broken(ctx, to, c, cause, speaksAMQP)
	}
}

var (
	refused = wire.Credentials("it refused the credentials of the handle")
	noVhost = wire.DatabaseNotFound("it has no virtual host of the name in the handle")
)

// refusal interprets the code with which a broker closes a connection:
// https://www.rabbitmq.com/amqp-0-9-1-protocol#reply-codes
func refusal(code int, text string) *wire.Result {
	switch code {
	case amqp.AccessRefused:
		return refused
	case amqp.InvalidPath:
		return noVhost
	case amqp.NotAllowed:
		return notAllowed(text)
	case amqp.FrameError, amqp.SyntaxError, amqp.CommandInvalid, amqp.ChannelError, amqp.UnexpectedFrame:
		return wire.WrongProtocol("it does not understand AMQP 0-9-1 as it should")
	default:
		return wire.Unreachable("it ended the connection with an error of its own: it does not serve at the moment")
	}
}

// notAllowed distinguishes by the text what RabbitMQ has only one code for. The texts hold the names of the virtual host
// and the user in quotes, so only their ends say something.
func notAllowed(text string) *wire.Result {
	switch {
	case strings.HasPrefix(text, "NOT_ALLOWED - vhost ") && strings.HasSuffix(text, " not found"):
		return noVhost
	case strings.HasSuffix(text, " is reached"):
		return wire.Unreachable("it has as many connections as it may have")
	default:
		return wire.NotPermitted("the user of the handle may not use its virtual host")
	}
}

// speaksAMQP recognizes a method on channel 0, which is what a broker sends first. One of another version of AMQP answers
// with the version that it wants.
func speaksAMQP(heard []byte) bool {
	const start = "\x01\x00\x00"
	n := min(len(heard), len(start))
	return string(heard[:n]) == start[:n]
}
