package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/wneessen/go-mail"

	"github.com/bindery-dev/bindery/cmd/internal/env"
	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

const (
	sender   = "shop@storefront.example"
	receiver = "customer@storefront.example"
)

type smtp struct {
	handle  handle.Handle
	host    string
	options []mail.Option
}

func openSMTP(variable, value string, _ env.Lookup) (service, error) {
	h, err := handle.Parse(variable, value, handle.Schemes{"smtp": "25", "smtps": "465"})
	if err != nil {
		return nil, err
	}
	s := &smtp{handle: h}
	if err := s.read(); err != nil {
		return nil, fmt.Errorf("%s cannot be followed: want starttls=true, starttls=false or no option", variable)
	}
	return s, nil
}

// read makes the options of the client out of the URL: the client reads none.
func (s *smtp) read() error {
	u, err := url.Parse(s.handle.Reveal())
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s.handle.Endpoint())
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	s.host = host
	s.options = []mail.Option{mail.WithPort(number), mail.WithTimeout(patience)}
	switch startTLS := u.Query().Get("starttls"); {
	case u.Scheme == "smtps":
		s.options = append(s.options, mail.WithSSL())
	case startTLS == "":
		s.options = append(s.options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		wanted, err := strconv.ParseBool(startTLS)
		if err != nil {
			return err
		}
		policy := mail.NoTLS
		if wanted {
			policy = mail.TLSMandatory
		}
		s.options = append(s.options, mail.WithTLSPolicy(policy))
	}
	if u.User != nil {
		password, _ := u.User.Password()
		// Whoever writes a handle without TLS means that the password is sent without it.
		s.options = append(s.options, mail.WithSMTPAuth(mail.SMTPAuthPlainNoEnc), mail.WithUsername(u.User.Username()), mail.WithPassword(password))
	}
	_, err = mail.NewClient(s.host, s.options...)
	return err
}

func (s *smtp) endpoint() string { return s.handle.Endpoint() }

// prepare logs in, and sends nothing.
func (s *smtp) prepare(ctx context.Context) error {
	client, err := mail.NewClient(s.host, s.options...)
	if err != nil {
		return err
	}
	if err := client.DialWithContext(ctx); err != nil {
		return err
	}
	return client.Close()
}

func (s *smtp) use(ctx context.Context, order string) (string, error) {
	message := mail.NewMsg()
	if err := message.From(sender); err != nil {
		return "", err
	}
	if err := message.To(receiver); err != nil {
		return "", err
	}
	message.Subject("Order " + order)
	message.SetBodyString(mail.TypeTextPlain, "Thank you for your order "+order+".")
	client, err := mail.NewClient(s.host, s.options...) // a client has one connection
	if err != nil {
		return "", err
	}
	if err := client.DialAndSendWithContext(ctx, message); err != nil {
		return "", err
	}
	return "sent a mail", nil
}

func (*smtp) close() {} // it keeps no connection
