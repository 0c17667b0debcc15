package smtp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/evidence/evidencetest"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/testmail"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// canary is the password of every handle, and in all that a fake server says.
const canary = "c4n4ry"

// trial is a handle and the expected result.
type trial struct {
	handle string
	want   int32
	// says must be in the sentence.
	says string
	// roots are trusted; nil: those of this machine.
	roots *x509.CertPool
	// within is the time for all; 0 is long enough for a machine that is busy with something else.
	within time.Duration
}

func (tt trial) run(t *testing.T) {
	t.Helper()
	if tt.within == 0 {
		tt.within = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), tt.within)
	defer cancel()
	got, err := probe.Prober{Dialer: wire.Dialer{Roots: tt.roots}}.Probe(ctx, v1alpha1.TypeSMTP, tt.handle)
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != tt.want || !strings.Contains(got.Sentence, tt.says) {
		t.Errorf("found %d, %q; want %d, and in the sentence %q", got.Code, got.Sentence, tt.want, tt.says)
	}
	if got.Sentence == "" || strings.Contains(got.Sentence, canary) || strings.Contains(got.Sentence, testmail.User+":") {
		t.Errorf("the sentence is to be there, and to hold nothing of the handle or the server: %q", got.Sentence)
	}
	evidencetest.Found(t, v1alpha1.TypeSMTP, got.Code)
}

func TestAgainstMailpit(t *testing.T) {
	authority := testserver.NewAuthority(t)
	odd := canary + "/@:%#?+é"
	servers := map[string]*testmail.Server{
		"open":     testmail.Start(t, nil, ""),
		"clear":    testmail.Start(t, nil, canary, testmail.LoginInTheClear),
		"odd":      testmail.Start(t, nil, odd, testmail.LoginInTheClear),
		"both":     testmail.Start(t, authority, canary, testmail.LoginInTheClear),
		"starttls": testmail.Start(t, authority, canary, testmail.RequireSTARTTLS),
		"tls":      testmail.Start(t, authority, canary, testmail.RequireTLS),
		"private":  testmail.Start(t, authority, "", testmail.RequireSTARTTLS),
		"broken":   testmail.Start(t, nil, canary, testmail.LoginInTheClear, testmail.Chaos(454)),
	}
	at := func(scheme, server, tail string) string {
		return scheme + "://" + testmail.User + ":" + canary + "@" + servers[server].Address + tail
	}
	wrong := func(scheme, server string) string {
		return scheme + "://" + testmail.User + ":x" + canary + "@" + servers[server].Address
	}
	anonymous := func(scheme, server, tail string) string { return scheme + "://" + servers[server].Address + tail }
	down := testserver.ClosedPort(t)
	localhost := strings.NewReplacer("127.0.0.1", "localhost")
	const took, none, untried = "took the credentials", "no credentials", "not tried"
	trials := map[string]trial{
		"no credentials":                              {handle: anonymous("smtp", "open", ""), says: none},
		"credentials where no login is taken":         {handle: at("smtp", "open", ""), want: exitcode.Reachable, says: untried},
		"half a login":                                {handle: "smtp://" + canary + "@" + servers["clear"].Address, want: exitcode.Reachable, says: untried},
		"a login in the clear":                        {handle: at("smtp", "clear", ""), says: took},
		"a wrong password in the clear":               {handle: wrong("smtp", "clear"), want: exitcode.CredentialsRefused},
		"a password with all that must be encoded":    {handle: "smtp://app:c4n4ry%2F%40%3A%25%23%3F%2B%C3%A9@" + servers["odd"].Address, says: took},
		"a login over STARTTLS":                       {handle: at("smtp", "starttls", ""), says: took},
		"a wrong password over STARTTLS":              {handle: wrong("smtp", "starttls"), want: exitcode.CredentialsRefused},
		"STARTTLS that is not needed":                 {handle: at("smtp", "both", ""), says: took},
		"STARTTLS that is not needed, and forbidden":  {handle: at("smtp", "both", "?starttls=false"), says: took},
		"STARTTLS by the scheme":                      {handle: at("smtp+starttls", "starttls", ""), roots: authority.Pool, says: took},
		"STARTTLS by an option":                       {handle: at("smtp", "starttls", "?starttls=true"), roots: authority.Pool, says: took},
		"STARTTLS by another option":                  {handle: at("smtp", "starttls", "?tls=true"), roots: authority.Pool, says: took},
		"STARTTLS of another authority":               {handle: at("smtp+starttls", "starttls", ""), want: exitcode.CertificateUntrusted, says: "authority"},
		"STARTTLS of another name":                    {handle: localhost.Replace(at("smtp+starttls", "starttls", "")), roots: authority.Pool, want: exitcode.CertificateNameMismatch},
		"STARTTLS, unchecked":                         {handle: at("smtp", "starttls", "?starttls=true&verify_peer=0"), says: took},
		"STARTTLS that is wanted, and forbidden":      {handle: at("smtp", "starttls", "?starttls=false"), want: exitcode.TLSRequired, says: "only over TLS"},
		"STARTTLS that is asked for, and not offered": {handle: at("smtp+starttls", "clear", ""), want: exitcode.TLSRefused, says: "no STARTTLS"},
		"STARTTLS without credentials":                {handle: anonymous("smtp", "private", ""), says: none},
		"STARTTLS without credentials, and forbidden": {handle: anonymous("smtp", "private", "?starttls=never"), want: exitcode.TLSRequired},
		"smtps":                                         {handle: at("smtps", "tls", ""), roots: authority.Pool, says: took},
		"smtps, a wrong password":                       {handle: wrong("smtps", "tls"), roots: authority.Pool, want: exitcode.CredentialsRefused},
		"smtps of another authority":                    {handle: at("smtps", "tls", ""), want: exitcode.CertificateUntrusted, says: "authority"},
		"smtps of another name":                         {handle: localhost.Replace(at("smtps", "tls", "")), roots: authority.Pool, want: exitcode.CertificateNameMismatch},
		"smtps, unchecked":                              {handle: at("smtps", "tls", "?rejectUnauthorized=false"), says: took},
		"smtps where there is none":                     {handle: at("smtps", "clear", ""), want: exitcode.TLSRefused, says: "does not speak TLS"},
		"smtps where there is STARTTLS":                 {handle: at("smtps", "starttls", ""), want: exitcode.TLSRefused, says: "does not speak TLS"},
		"smtp where there is smtps":                     {handle: at("smtp", "tls", ""), want: exitcode.WrongProtocol, says: "smtps://"},
		"an option that says TLS from the first byte":   {handle: at("smtp", "tls", "?secure=true"), roots: authority.Pool, says: took},
		"an option that says either":                    {handle: at("smtp", "tls", "?tls=true"), roots: authority.Pool, says: took},
		"a wrong password where an option says either":  {handle: wrong("smtp", "tls") + "?tls=true", roots: authority.Pool, want: exitcode.CredentialsRefused},
		"a login that cannot be checked at the moment":  {handle: at("smtp", "broken", ""), want: exitcode.Unreachable, says: "at the moment"},
		"nobody listens":                                {handle: "smtp://app:" + canary + "@" + down, want: exitcode.Unreachable, says: "nobody listens"},
		"a list of which one is up":                     {handle: "smtp://app:" + canary + "@" + down + "," + servers["clear"].Address, says: took},
		"a list of which one refuses":                   {handle: "smtp://app:x" + canary + "@" + down + "," + servers["clear"].Address, want: exitcode.CredentialsRefused},
		"a line break behind it":                        {handle: at("smtp", "clear", "\n"), want: exitcode.HandleUntrimmed},
		"a vendor of Symfony's, whose host it knows":    {handle: "postmark+smtp://" + canary + "@default", want: exitcode.NotProbed, says: "vendor"},
		"a list of Symfony's":                           {handle: "failover(" + at("smtp", "clear", "") + " smtp://b)", want: exitcode.NotProbed},
		"another way to send mail, which is only found": {handle: "mailhog://" + servers["clear"].Address, want: exitcode.Reachable, says: "was reached"},
	}
	for name, tt := range trials {
		t.Run(name, func(t *testing.T) { tt.run(t) })
	}
	for name, server := range servers {
		if n := server.Mails(); n != 0 {
			t.Errorf("%s has %d mails", name, n)
		}
		commands := server.Commands()
		if !slices.Contains(commands, "QUIT") {
			t.Errorf("%s was left without a word: %v", name, commands)
		}
		for _, sends := range []string{"MAIL", "RCPT", "DATA", "BDAT", "VRFY", "EXPN"} {
			if slices.Contains(commands, sends) {
				t.Errorf("%s was sent %s", name, sends)
			}
		}
	}
}

// fake is a mail server that does what no real one can be made to do.
type fake struct {
	// late is how long it waits before it greets.
	late time.Duration
	// greeting; empty: 220.
	greeting string
	// offers and offersOverTLS are the extensions that it names.
	offers, offersOverTLS string
	// says are its answers to commands: to those of the given word, and to the first of TLS. "close" ends the connection,
	// "hang" never answers.
	says map[string]string
	// certificates for STARTTLS; nil: garbage.
	certificates *tls.Config
	// prompts are the questions of AUTH LOGIN.
	prompts []string
}

func (f fake) start(t *testing.T) string {
	t.Helper()
	return listen(t, func(c net.Conn) {
		time.Sleep(f.late)
		greeting := f.greeting
		if greeting == "" {
			greeting = "220 " + canary + " ESMTP"
		}
		_, _ = io.WriteString(c, greeting+"\r\n")
		f.converse(c, f.offers)
	})
}

func (f fake) converse(c net.Conn, offers string) {
	input := bufio.NewScanner(c)
	for input.Scan() {
		word, _, _ := strings.Cut(strings.ToUpper(input.Text()), " ")
		said, known := f.says[word]
		switch {
		case known && said == "close":
			return
		case known && said == "hang":
			_, _ = io.Copy(io.Discard, c)
			return
		case known:
		case word == "EHLO":
			said = "250-" + canary + "\r\n"
			for extension := range strings.SplitSeq(offers, ",") {
				said += "250-" + extension + "\r\n"
			}
			said += "250 8BITMIME"
		case word == "STARTTLS":
			_, _ = io.WriteString(c, "220 "+canary+"\r\n")
			if f.says["TLS"] == "hang" {
				silent(c)
				return
			}
			if f.certificates == nil {
				_, _ = io.WriteString(c, canary+canary+canary+"\r\n")
				return
			}
			f.converse(tls.Server(c, f.certificates), f.offersOverTLS)
			return
		case word == "AUTH":
			said = "235 " + canary
			if strings.HasSuffix(input.Text(), "LOGIN") {
				for _, prompt := range f.prompts {
					_, _ = io.WriteString(c, "334 "+base64.StdEncoding.EncodeToString([]byte(prompt))+"\r\n")
					input.Scan()
				}
			}
		case word == "QUIT":
			_, _ = io.WriteString(c, "221 "+canary+"\r\n")
			return
		default:
			said = "250 " + canary
		}
		_, _ = io.WriteString(c, said+"\r\n")
	}
}

func TestFaultsThatNoRealServerShows(t *testing.T) {
	authority := testserver.NewAuthority(t)
	secure := authority.Server("127.0.0.1")
	strict := authority.Server("127.0.0.1")
	strict.ClientAuth = tls.RequireAnyClientCert
	smtp := func(f fake, tail string) string { return "smtp://app:" + canary + "@" + f.start(t) + tail }
	anonymous := func(f fake) string { return "smtp://" + f.start(t) }
	answer := func(command, said string) fake {
		return fake{offers: "AUTH PLAIN LOGIN", says: map[string]string{command: said}}
	}
	const plain = "AUTH PLAIN"
	// brief is for servers that never answer, and soon is long enough to find out what they are not.
	const brief, soon = 2 * time.Second, 5 * time.Second
	for name, tt := range map[string]trial{
		"AUTH only over TLS": {handle: smtp(fake{offers: "STARTTLS", offersOverTLS: plain, certificates: secure}, ""), says: "took the credentials"},
		"AUTH only over TLS, which is forbidden": {
			handle: smtp(fake{offers: "STARTTLS", offersOverTLS: plain, certificates: secure}, "?starttls=false"), want: exitcode.TLSRequired, says: "forbids",
		},
		"no AUTH over TLS either": {
			handle: smtp(fake{offers: "STARTTLS", certificates: secure}, "?starttls=false"), want: exitcode.Reachable, says: "takes no login",
		},
		"AUTH that says it needs TLS":               {handle: smtp(answer("AUTH", "538 5.7.11 "+canary), ""), want: exitcode.TLSRequired},
		"AUTH that wants STARTTLS, and offers none": {handle: smtp(answer("AUTH", "530 5.7.0 "+canary), ""), want: exitcode.TLSRequired},
		"AUTH that wants another way":               {handle: smtp(answer("AUTH", "534 5.7.9 "+canary), ""), want: exitcode.CredentialsRefused},
		"AUTH of a user that is disabled":           {handle: smtp(answer("AUTH", "525 5.7.13 "+canary), ""), want: exitcode.CredentialsRefused},
		"AUTH that it does not know":                {handle: smtp(answer("AUTH", "504 5.5.4 "+canary), ""), want: exitcode.Reachable, says: "not tried"},
		"AUTH that it is too busy for":              {handle: smtp(answer("AUTH", "421 4.7.0 "+canary), ""), want: exitcode.Unreachable, says: "at the moment"},
		"AUTH that ends the connection":             {handle: smtp(answer("AUTH", "close"), ""), want: exitcode.Unreachable, says: "middle"},
		"AUTH that is never answered":               {handle: smtp(answer("AUTH", "hang"), ""), want: exitcode.Unreachable, says: "in time", within: brief},
		"AUTH with LOGIN alone":                     {handle: smtp(fake{offers: "AUTH LOGIN", prompts: []string{"User Name\x00", "Pass"}}, ""), says: "took the credentials"},
		"AUTH LOGIN that asks without end":          {handle: smtp(fake{offers: "AUTH LOGIN", prompts: []string{"1", "2", "3", "4"}}, ""), want: exitcode.WrongProtocol},
		"AUTH with SCRAM alone":                     {handle: smtp(fake{offers: "AUTH SCRAM-SHA-256"}, ""), want: exitcode.Reachable, says: "not tried"},

		"STARTTLS that is out of order":       {handle: smtp(fake{offers: "STARTTLS,AUTH PLAIN", says: map[string]string{"STARTTLS": "454 4.7.0 " + canary}}, ""), want: exitcode.Unreachable, says: "TLS at the moment"},
		"STARTTLS that is refused":            {handle: smtp(fake{offers: "STARTTLS,AUTH PLAIN", says: map[string]string{"STARTTLS": "502 " + canary}}, ""), want: exitcode.TLSRefused, says: "refuses"},
		"STARTTLS, and then no TLS":           {handle: smtp(fake{offers: "STARTTLS,AUTH PLAIN"}, ""), want: exitcode.TLSRefused},
		"STARTTLS, and then silence":          {handle: smtp(fake{offers: "STARTTLS,AUTH PLAIN", says: map[string]string{"TLS": "hang"}}, ""), want: exitcode.Unreachable, says: "TLS handshake", within: brief},
		"STARTTLS that is never answered":     {handle: smtp(fake{offers: "STARTTLS,AUTH PLAIN", says: map[string]string{"STARTTLS": "hang"}}, ""), want: exitcode.Unreachable, says: "in time", within: brief},
		"STARTTLS that wants a certificate":   {handle: smtp(fake{offers: "STARTTLS,AUTH PLAIN", certificates: strict}, ""), want: exitcode.TLSRefused, says: "client"},
		"a server that wants TLS or a login":  {handle: anonymous(answer("RSET", "530 5.7.0 "+canary)), want: exitcode.TLSRequired},
		"a server that wants a login":         {handle: anonymous(fake{offers: "STARTTLS", certificates: secure, says: map[string]string{"RSET": "530 5.7.0 " + canary}}), want: exitcode.CredentialsRefused, says: "wants credentials"},
		"a server that is about to stop":      {handle: anonymous(answer("RSET", "421 4.3.2 "+canary)), want: exitcode.Unreachable},
		"a server without RSET":               {handle: anonymous(answer("RSET", "502 "+canary)), says: "answered"},
		"a server that does not say goodbye":  {handle: anonymous(answer("QUIT", "hang")), says: "answered", within: soon},
		"a server that is busy":               {handle: anonymous(fake{greeting: "421 " + canary}), want: exitcode.Unreachable, says: "at the moment"},
		"a server that takes no mail":         {handle: anonymous(fake{greeting: "554 " + canary}), want: exitcode.Unreachable, says: "from here"},
		"a server with many lines of welcome": {handle: anonymous(fake{greeting: "220-" + canary + "\r\n220-x\r\n220 y"}), says: "answered"},
		"a server that waits before it greets": {
			handle: smtp(fake{late: 3 * time.Second, offers: plain}, ""), says: "took the credentials",
		},
		"EHLO that it has no time for":            {handle: anonymous(fake{says: map[string]string{"EHLO": "421 " + canary, "HELO": "421 " + canary}}), want: exitcode.Unreachable},
		"EHLO whose name it does not like":        {handle: anonymous(fake{says: map[string]string{"EHLO": "550 " + canary, "HELO": "550 " + canary}}), want: exitcode.Unreachable, says: "name"},
		"HELO alone":                              {handle: anonymous(answer("EHLO", "502 "+canary)), says: "answered"},
		"a server of FTP":                         {handle: anonymous(fake{says: map[string]string{"EHLO": "530 " + canary, "HELO": "530 " + canary}}), want: exitcode.WrongProtocol},
		"a server of news":                        {handle: anonymous(fake{greeting: "200 " + canary}), want: exitcode.WrongProtocol},
		"a server of POP":                         {handle: anonymous(fake{greeting: "+OK " + canary}), want: exitcode.WrongProtocol},
		"a server of MySQL":                       {handle: "smtp://app:" + canary + "@" + listen(t, says("J\x00\x00\x00\n8.0.36\x00")), want: exitcode.WrongProtocol},
		"a web server":                            {handle: "smtp://app:" + canary + "@" + listen(t, replies("HTTP/1.1 400 Bad Request\r\n\r\n"+canary)), want: exitcode.WrongProtocol},
		"a memcached":                             {handle: "smtp://app:" + canary + "@" + listen(t, replies("ERROR\r\n")), want: exitcode.WrongProtocol},
		"a server that is silent":                 {handle: "smtp://app:" + canary + "@" + listen(t, silent), want: exitcode.Unreachable, says: "in time", within: soon},
		"a server that hangs up":                  {handle: "smtp://app:" + canary + "@" + listen(t, func(net.Conn) {}), want: exitcode.Unreachable, says: "at once"},
		"a server that never ends its first line": {handle: "smtp://app:" + canary + "@" + listen(t, endless), want: exitcode.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.run(t)
		})
	}
}

// A password that was refused is not tried again, in no other reading: servers count such attempts.
func TestAWrongPasswordIsSentOnce(t *testing.T) {
	var logins atomic.Int32
	counting := listen(t, func(c net.Conn) {
		f := fake{offers: "AUTH PLAIN", says: map[string]string{"AUTH": "535 5.7.8 " + canary}}
		_, _ = io.WriteString(c, "220 a\r\n")
		f.converse(&listening{Conn: c, logins: &logins}, f.offers)
	})
	trial{handle: "smtp://app:" + canary + "@" + counting + "?ssl=true", want: exitcode.TLSRefused}.run(t)
	trial{handle: "smtp://app:" + canary + "@" + counting, want: exitcode.CredentialsRefused}.run(t)
	if n := logins.Load(); n != 1 {
		t.Errorf("the password was sent %d times", n)
	}
}

// listening counts the logins that come in.
type listening struct {
	net.Conn
	logins *atomic.Int32
}

func (l *listening) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if strings.HasPrefix(string(b[:n]), "AUTH") {
		l.logins.Add(1)
	}
	return n, err
}

// listen serves each connection with f, then closes it.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				f(c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// silent reads everything and never answers.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// says greets with something.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		silent(c)
	}
}

// replies waits for its client to begin.
func replies(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			says(text)(c)
		}
	}
}

// endless sends a line without an end.
func endless(c net.Conn) {
	_, _ = io.WriteString(c, "220-")
	for block := []byte(strings.Repeat(canary, 1000)); ; {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}
