package main

import (
	"context"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/bindery-dev/bindery/cmd/internal/env"
	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

// queue is where orders are published to. It keeps the last mostQueued of them: nobody takes any out.
const (
	queue      = "orders"
	mostQueued = 1000
)

type rabbitMQ struct {
	handle handle.Handle

	mu         sync.Mutex
	connection *amqp.Connection
	channel    *amqp.Channel // of the connection; nil before the first
}

func openRabbitMQ(variable, value string, _ env.Lookup) (service, error) {
	h, err := handle.Parse(variable, value, handle.Schemes{"amqp": "5672", "amqps": "5671"})
	if err != nil {
		return nil, err
	}
	if _, err := amqp.ParseURI(h.Reveal()); err != nil {
		return nil, fmt.Errorf("%s is not a URL that amqp091-go can follow", variable)
	}
	return &rabbitMQ{handle: h}, nil
}

func (r *rabbitMQ) endpoint() string { return r.handle.Endpoint() }

func (r *rabbitMQ) prepare(context.Context) error {
	_, err := r.open()
	return err
}

func (r *rabbitMQ) use(ctx context.Context, order string) (string, error) {
	channel, err := r.open()
	if err != nil {
		return "", err
	}
	confirmation, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", queue, false, false,
		amqp.Publishing{ContentType: "text/plain", MessageId: order, Body: []byte(order)})
	if err != nil {
		return "", err
	}
	confirmed, err := confirmation.WaitContext(ctx)
	if err != nil {
		return "", err
	}
	if !confirmed {
		return "", errUnexpected
	}
	return "published a message, which was confirmed", nil
}

// open returns the channel, and opens another connection where the last one was closed, whoever did that.
func (r *rabbitMQ) open() (*amqp.Channel, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.channel != nil && !r.channel.IsClosed() {
		return r.channel, nil
	}
	r.end()
	connection, err := amqp.DialConfig(r.handle.Reveal(), amqp.Config{Dial: amqp.DefaultDial(patience)})
	if err != nil {
		return nil, err
	}
	r.connection = connection
	channel, err := connection.Channel()
	if err != nil {
		return nil, err
	}
	if _, err := channel.QueueDeclare(queue, false, false, false, false, amqp.Table{amqp.QueueMaxLenArg: mostQueued}); err != nil {
		return nil, err
	}
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	r.channel = channel
	return channel, nil
}

// end closes the connection, if there is one. That it is closed already is no error here.
func (r *rabbitMQ) end() {
	if r.connection != nil {
		_ = r.connection.Close() // nothing can be done about it
	}
	r.connection, r.channel = nil, nil
}

func (r *rabbitMQ) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end()
}
