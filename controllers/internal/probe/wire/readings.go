package wire

import "context"

// Readings are the ways to read a handle, with one server each. If an option contradicts the scheme, there is one with TLS
// and one without.
func Readings(to Target) []Target {
	options := to.Location.Options.TLS()
	var readings []Target
	for _, e := range to.Endpoints {
		one := to
		one.Endpoints = []Endpoint{e}
		if options.On && !to.Secure {
			secure := one
			secure.Secure = true
			readings = append(readings, secure)
		}
		readings = append(readings, one)
		if options.Off && to.Secure {
			one.Secure = false
			readings = append(readings, one)
		}
	}
	return readings
}

// ConnectOrTell connects. If a TLS handshake got no answer, it finds out why: a server without TLS may read the handshake as
// the start of a long line, and wait for the rest of it. isPlain says whether the server answers without TLS.
func (d Dialer) ConnectOrTell(ctx context.Context, to Target, isPlain func(context.Context, Target) bool) (*Connection, *Result) {
	if !to.Secure {
		return d.Connect(ctx, to)
	}
	half, cancel := ShareOf(ctx, 2)
	defer cancel()
	c, failed := d.Connect(half, to)
	if failed == nil {
		c.Watch(ctx)
	}
	plain := to
	plain.Secure = false
	if failed == SilentHandshake && isPlain(ctx, plain) {
		failed = TLSRefused("it does not speak TLS")
	}
	return c, failed
}

// alert is the type of a TLS record that says what is wrong: RFC 8446, section 5.1.
const alert = 21

// WantsTLS says whether a server speaks TLS at that port, if what was sent to it without TLS got a TLS alert, or an end
// without an answer.
func (d Dialer) WantsTLS(ctx context.Context, to Target, c *Connection, err error) bool {
	heard := c.Beginning()
	alerted := len(heard) > 0 && heard[0] == alert
	return !to.Secure && (alerted || len(heard) == 0 && HungUp(err)) && d.SpeaksTLS(ctx, to)
}

// SpeaksTLS tries a handshake. It does not matter whose certificate it is.
func (d Dialer) SpeaksTLS(ctx context.Context, to Target) bool {
	to.Secure, to.Unverified = true, true
	c, failed := d.Connect(ctx, to)
	if failed != nil {
		return false
	}
	c.End()
	return true
}
