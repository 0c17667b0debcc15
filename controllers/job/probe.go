// Package job is what runs in the Jobs of the operator, and in no other program: what it speaks to services with is not in
// the operator.
package job

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/compose"
	"github.com/bindery-dev/bindery/controllers/internal/engine"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe"
	"github.com/bindery-dev/bindery/controllers/internal/probe/token"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// HandleVariable is the environment variable in which a verify Job passes the handle: everybody who can read Pods can
// read arguments.
const HandleVariable = engine.ProbeVariable

// The exit codes of a probe that found out nothing. Package exitcode leaves both to Go programs in general.
const (
	interrupted int32 = 1
	misused     int32 = 2
)

// ProbeOptions say what to try.
type ProbeOptions struct {
	// Type of the service, as in spec.type of a BackingService.
	Type string
	// Handle of the service; nil if there is none: the Secret or its key does not exist.
	Handle *string
	// Ask is who is asked about a token, as in spec.probe.ask of a BackingService. Empty: nobody.
	Ask string
	// Endpoint is where the vendor is asked, as in spec.probe.endpoint. Empty: at its usual address.
	Endpoint string
	// Compose is what the kubelet has composed the handle of; "" = the handle is one key of the Secret. Part returns a
	// part by its name; false if it does not exist. Escape: the handle is composed here, of parts that are percent-encoded.
	Compose string
	Part    func(name string) (string, bool)
	Escape  bool
	// AuthorityFile has the certificates of the authority that is trusted; "" = those that this machine trusts. It does not
	// exist if its object, or the key, does not.
	AuthorityFile string
	// Timeout for everything together.
	Timeout time.Duration
}

// Probe tries a handle, writes the result as one sentence to stderr, and returns the exit code for it: one of package
// exitcode, 1 if ctx ended before anything was found out, 2 for options that make no sense.
func Probe(ctx context.Context, o ProbeOptions, stderr io.Writer) int32 {
	t := v1alpha1.ServiceType(o.Type)
	if !slices.Contains(catalog.Types(), t) {
		return say(stderr, misused, "there is no such type of a service")
	}
	if o.Timeout <= 0 {
		return say(stderr, misused, "the timeout is to be longer than nothing, such as 15s")
	}
	question, ok := o.question(t)
	if !ok {
		return say(stderr, misused, "the vendor is asked about tokens of the types that have one, at an https:// URL if at all: "+
			"see spec.probe of a BackingService")
	}
	handle, fault := o.handle()
	if fault != nil {
		return say(stderr, fault.Code, o.Type+": "+fault.Sentence)
	}
	roots, fault := o.authority()
	if fault != nil {
		return say(stderr, fault.Code, o.Type+": "+fault.Sentence)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	// The last try gets the remaining time.
	prober := probe.Prober{Dialer: wire.Dialer{Roots: roots}, Question: question, Patience: o.Timeout * 4 / 5}
	result, err := prober.Probe(ctx, t, handle)
	if err != nil {
		return say(stderr, interrupted, err.Error())
	}
	return say(stderr, result.Code, o.Type+": "+result.Sentence)
}

// question is what is asked about a token; false if the options make no sense.
func (o *ProbeOptions) question(t v1alpha1.ServiceType) (token.Question, bool) {
	switch v1alpha1.ProbeAsk(o.Ask) {
	case "", v1alpha1.AskNobody:
		return token.Question{}, o.Endpoint == ""
	case v1alpha1.AskVendor:
		endpoint, ok := token.ParseEndpoint(o.Endpoint)
		return token.Question{Vendor: true, Endpoint: endpoint}, ok && catalog.Lookup(t).Vendor
	default:
		return token.Question{}, false
	}
}

// handle is the handle to try. The parts of one that is composed are looked at before anything is done with it: if nobody
// has percent-encoded them, a character in a password may have made another URL, with another host.
func (o *ProbeOptions) handle() (string, *wire.Result) {
	template := compose.Template(o.Compose)
	place, incomplete := template.Check(o.Part)
	switch {
	case incomplete:
		return "", missing("a part of the handle is not there: the Secret does not exist, or has no such key")
	case o.Escape:
		return template.Escape(o.Part), nil
	case place != "":
		return "", &wire.Result{Code: exitcode.HandleNotEncoded, Sentence: fmt.Sprintf("in the %s of the handle is a part with white space, "+
			"or with a character that has to be percent-encoded there", place)}
	case o.Handle == nil:
		return "", missing(HandleVariable + " is not there: the Secret does not exist, or has no such key")
	default:
		return *o.Handle, nil
	}
}

// missing is the result where an object that the probe needs is not there, or a key of it.
func missing(sentence string) *wire.Result {
	return &wire.Result{Code: exitcode.HandleMissing, Sentence: sentence}
}

// authority reads the authority that is trusted; nil = those of this machine are.
func (o *ProbeOptions) authority() (*x509.CertPool, *wire.Result) {
	if o.AuthorityFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.AuthorityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing("the authority is not there: its ConfigMap or Secret does not exist, or has no such key")
	}
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(text) {
		return nil, wire.Untrusted("what its authority is said to be holds no certificate in PEM")
	}
	return roots, nil
}

// say ignores an error when it writes the sentence: only the exit code matters, and must not change.
func say(stderr io.Writer, code int32, sentence string) int32 {
	_, _ = fmt.Fprintln(stderr, "probe: "+sentence)
	return code
}
