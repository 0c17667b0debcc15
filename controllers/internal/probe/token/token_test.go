package token_test

import (
	"context"
	"crypto/x509"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe"
	"github.com/bindery-dev/bindery/controllers/internal/probe/token"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
	"github.com/bindery-dev/bindery/hack/standin"
	"github.com/bindery-dev/bindery/hack/testmail"
	"github.com/bindery-dev/bindery/hack/testvendor"
)

const (
	canary    = "c4n4ry"
	goodToken = "good-" + canary
	badToken  = "bad-" + canary
)

// find tries a handle, as the Job does, if there is patience.
func find(t *testing.T, p probe.Prober, kind v1alpha1.ServiceType, handle string, within time.Duration) wire.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	got, err := p.Probe(ctx, kind, handle)
	if err != nil {
		t.Fatal(err)
	}
	if got.Sentence == "" || strings.Contains(got.Sentence, canary) {
		t.Errorf("the sentence is to be there, and to hold nothing of the handle: %q", got.Sentence)
	}
	return got
}

// asking is a probe that asks these vendors.
func asking(t *testing.T, at string, roots *x509.CertPool) probe.Prober {
	t.Helper()
	endpoint, ok := token.ParseEndpoint(at)
	if !ok {
		t.Fatalf("%s is no endpoint", at)
	}
	return probe.Prober{Dialer: wire.Dialer{Roots: roots}, Question: token.Question{Vendor: true, Endpoint: endpoint}}
}

const ample = 30 * time.Second

// tokenTypes are the types whose handle is a token.
func tokenTypes() []v1alpha1.ServiceType {
	kinds := slices.DeleteFunc(catalog.Types(), func(kind v1alpha1.ServiceType) bool { return !catalog.Lookup(kind).Token })
	slices.Sort(kinds)
	return kinds
}

// requests is what each vendor is asked, which is all that it is asked.
var requests = map[v1alpha1.ServiceType]string{
	v1alpha1.TypePostmark: "GET /server", v1alpha1.TypeTwitter: "GET /2/usage/tweets", v1alpha1.TypeGoogleMaps: "GET /maps/api/geocode/json",
	v1alpha1.TypeLastFM: "GET /2.0/", v1alpha1.TypeNewRelic: "POST /agent_listener/invoke_raw_method",
}

func TestAVendorIsAskedOnceAndNothingIsChanged(t *testing.T) {
	vendors := testvendor.Start(t, goodToken)
	p := asking(t, vendors.URL, vendors.Authority.Pool)
	for _, kind := range tokenTypes() {
		for name, test := range map[string]struct {
			handle string
			mode   standin.Mode
			want   int32
			says   string
			within time.Duration
		}{
			"a good token":                        {handle: goodToken, says: "took it"},
			"a good token with a space behind it": {handle: goodToken + " ", want: exitcode.HandleUntrimmed},
			"a bad token":                         {handle: badToken, want: exitcode.CredentialsRefused, says: "refused it"},
			"a vendor that is busy":               {handle: badToken, mode: standin.Busy, want: exitcode.VendorUnavailable, says: "too often"},
			"a vendor that fails":                 {handle: badToken, mode: standin.Fails, want: exitcode.VendorUnavailable, says: "does not serve"},
			"a vendor that hangs up":              {handle: badToken, mode: standin.Closes, want: exitcode.VendorUnavailable, says: "no answer"},
			"a vendor that is slow":               {handle: badToken, mode: standin.Slow, want: exitcode.VendorUnavailable, says: "no answer", within: 2 * time.Second},
			"another page than the vendor's":      {handle: goodToken, mode: standin.Garbles, want: exitcode.VendorUnavailable, says: "several things"},
			"a vendor that leads elsewhere":       {handle: badToken, mode: standin.Leads, want: exitcode.VendorUnavailable, says: "several things"},
		} {
			if catalog.Lookup(kind).Vendor {
				t.Run(string(kind)+", "+name, func(t *testing.T) {
					vendors.Behave(test.mode)
					if kind == v1alpha1.TypeGoogleMaps && test.want == exitcode.CredentialsRefused {
						test.want, test.says = exitcode.VendorUnavailable, "several things"
					}
					if test.within == 0 {
						test.within = ample
					}
					p.Patience = test.within * 4 / 5
					got := find(t, p, kind, test.handle, test.within)
					if got.Code != test.want || !strings.Contains(got.Sentence, test.says) {
						t.Errorf("found %d, %q; want %d, %q", got.Code, got.Sentence, test.want, test.says)
					}
					if asked := vendors.Requests(); !slices.Equal(asked, []string{requests[kind]}) || vendors.Writes() != 0 {
						t.Errorf("%d writes, and it was asked %v, want %s once", vendors.Writes(), asked, requests[kind])
					}
				})
			}
		}
	}
}

// Without the wish nobody is asked; nor about what has not the form of a token, nor where no question is known.
func TestNobodyIsAsked(t *testing.T) {
	vendors := testvendor.Start(t, goodToken)
	p := asking(t, vendors.URL, vendors.Authority.Pool)
	for _, kind := range tokenTypes() {
		t.Run(string(kind), func(t *testing.T) {
			if got := find(t, probe.Prober{}, kind, badToken, ample); got.Code != exitcode.Passed || !strings.Contains(got.Sentence, "nobody was asked") {
				t.Errorf("without the wish: %+v", got)
			}
			for _, malformed := range []string{`"` + goodToken + `"`, goodToken + "\n", "Bearer " + goodToken, "ftp://" + goodToken, goodToken + " x"} {
				for _, prober := range []probe.Prober{{}, p} {
					if got := find(t, prober, kind, malformed, ample); got.Code != exitcode.TokenMalformed {
						t.Errorf("%q: %+v", malformed, got)
					}
				}
			}
		})
	}
	if got := find(t, p, v1alpha1.TypeLoggly, badToken, ample); got.Code != exitcode.Passed || !strings.Contains(got.Sentence, "nobody was asked") {
		t.Errorf("Loggly: %+v", got)
	}
	if got := find(t, p, v1alpha1.TypePostmark, "POSTMARK_API_TEST", ample); got.Code != exitcode.NotProbed {
		t.Errorf("the token for tests: %+v", got)
	}
	if asked := vendors.Requests(); len(asked) > 0 {
		t.Errorf("somebody was asked: %v", asked)
	}
}

// A vendor that cannot be asked is no reason to keep an app from its token.
func TestAVendorThatCannotBeReached(t *testing.T) {
	vendors := testvendor.Start(t, goodToken)
	port := vendors.URL[strings.LastIndex(vendors.URL, ":"):]
	silent, err := net.Listen("tcp", "127.0.0.1:0") // its backlog takes the connections
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, test := range map[string]struct {
		at    string
		roots *x509.CertPool
		says  string
	}{
		"nobody listens":       {"https://127.0.0.1:1", vendors.Authority.Pool, "cannot be reached"},
		"no such name":         {"https://" + strings.Repeat("a", 64) + ".example", vendors.Authority.Pool, "cannot be reached"},
		"nobody answers":       {"https://" + silent.Addr().String(), vendors.Authority.Pool, "cannot be reached"},
		"an unknown authority": {"https://127.0.0.1" + port, x509.NewCertPool(), "TLS"},
		"another name":         {"https://localhost" + port, vendors.Authority.Pool, "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			p := asking(t, test.at, test.roots)
			p.Patience = time.Second
			began := time.Now()
			got := find(t, p, v1alpha1.TypePostmark, goodToken, 2*time.Second)
			if got.Code != exitcode.VendorUnavailable || !strings.Contains(got.Sentence, test.says) {
				t.Errorf("%+v, want %q", got, test.says)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	if asked := vendors.Requests(); len(asked) > 0 {
		t.Errorf("the token went to somebody who is not the vendor: %v", asked)
	}
}

// A vendor that is not reached at first is tried again, and asked once.
func TestAVendorThatIsReachedLate(t *testing.T) {
	vendors := testvendor.Start(t, goodToken)
	vendor, err := url.Parse(vendors.URL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Second, func() { forward(t, address, vendor.Host) })
	t.Cleanup(func() { late.Stop() })
	p := asking(t, "https://"+address, vendors.Authority.Pool)
	p.Patience = ample
	if got := find(t, p, v1alpha1.TypeTwitter, goodToken, ample); got.Code != exitcode.Passed || len(vendors.Requests()) != 1 {
		t.Errorf("%+v, after the requests %v", got, vendors.Requests())
	}
}

// forward takes one connection at an address, and passes it on.
func forward(t *testing.T, address, to string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Errorf("somebody else has taken %s: %v", address, err)
		return
	}
	t.Cleanup(func() { _ = l.Close() })
	from, err := l.Accept()
	if err != nil {
		return
	}
	t.Cleanup(func() { _ = from.Close() })
	onward, err := net.Dial("tcp", to)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { _ = onward.Close() })
	go func() { _, _ = onward.(*net.TCPConn).ReadFrom(from) }()
	go func() { _, _ = from.(*net.TCPConn).ReadFrom(onward) }()
}

// Postmark takes mail by SMTP as well: such a handle is tried as that of a mail server is.
func TestAURLOfPostmark(t *testing.T) {
	server := testmail.Start(t, nil, canary, testmail.LoginInTheClear)
	for handle, want := range map[string]int32{
		"smtp://app:" + canary + "@" + server.Address:        exitcode.Passed,
		"smtp://app:" + canary + "@" + server.Address + "\n": exitcode.HandleUntrimmed,
		"smtp://app:x" + canary + "@" + server.Address:       exitcode.CredentialsRefused,
		"smtp://app:" + canary + "@127.0.0.1:1":              exitcode.Unreachable,
		"smtp://app:" + canary + "/@" + server.Address:       exitcode.HandleNotEncoded,
		"https://api.postmarkapp.com/" + canary:              exitcode.TokenMalformed,
	} {
		t.Run(handle, func(t *testing.T) {
			for _, question := range []token.Question{{}, {Vendor: true}} {
				if got := find(t, probe.Prober{Question: question}, v1alpha1.TypePostmark, handle, ample); got.Code != want {
					t.Errorf("%+v, want %d", got, want)
				}
			}
		})
	}
	if n := server.Mails(); n != 0 {
		t.Errorf("it has %d mails", n)
	}
	// Where the vendor is to be asked, to pass is to be taken. So it is said where no login was tried.
	open := testmail.Start(t, nil, "")
	for question, want := range map[token.Question]int32{{}: exitcode.Passed, {Vendor: true}: exitcode.Reachable} {
		if got := find(t, probe.Prober{Question: question}, v1alpha1.TypePostmark, "smtp://app:"+canary+"@"+open.Address, ample); got.Code != want {
			t.Errorf("%+v, want %d", got, want)
		}
	}
}

// Any request to an input of Loggly stores an event. So it is reached, and nothing is sent.
func TestAURLOfLoggly(t *testing.T) {
	vendors := testvendor.Start(t)
	input := vendors.URL + "/inputs/" + canary + "/tag/http/"
	for name, test := range map[string]struct {
		handle string
		roots  *x509.CertPool
		want   int32
	}{
		"an input":             {input, vendors.Authority.Pool, exitcode.Passed},
		"an unknown authority": {input, x509.NewCertPool(), exitcode.CertificateUntrusted},
		"nobody listens":       {"https://127.0.0.1:1/inputs/" + canary, vendors.Authority.Pool, exitcode.Unreachable},
		"another URL":          {"redis://" + canary + "@a", vendors.Authority.Pool, exitcode.TokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			for _, question := range []token.Question{{}, {Vendor: true}} {
				p := probe.Prober{Dialer: wire.Dialer{Roots: test.roots}, Question: question}
				if got := find(t, p, v1alpha1.TypeLoggly, test.handle, ample); got.Code != test.want {
					t.Errorf("%+v, want %d", got, test.want)
				}
			}
		})
	}
	if asked := vendors.Requests(); len(asked) > 0 {
		t.Errorf("it was asked %v", asked)
	}
}
