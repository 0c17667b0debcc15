// Package probe tries a handle before an app gets it: it speaks the type's own protocol with the service, uses the
// credentials of the handle, and reports the result as an exit code of package exitcode.
//
// A probe changes nothing at the service. It runs where the handle may be read, in a Job of the app's own namespace, but
// people who may not read the handle read its result. So its sentences are written here, in our own words: the errors of
// libraries quote URLs, and the errors of a server quote what was sent to it. Even the host is not repeated, because it
// is a piece of the password if somebody forgot to escape one.
//
// If an answer can be read in two ways, a service that probably works passes: what is refused here is never tried, but
// what passes wrongly is rolled back after the rollout fails.
package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/catalog"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/beanstalkd"
	"github.com/bindery-dev/bindery/controllers/internal/probe/couchdb"
	"github.com/bindery-dev/bindery/controllers/internal/probe/memcached"
	"github.com/bindery-dev/bindery/controllers/internal/probe/mysql"
	"github.com/bindery-dev/bindery/controllers/internal/probe/opensearch"
	"github.com/bindery-dev/bindery/controllers/internal/probe/postgresql"
	"github.com/bindery-dev/bindery/controllers/internal/probe/rabbitmq"
	"github.com/bindery-dev/bindery/controllers/internal/probe/redis"
	"github.com/bindery-dev/bindery/controllers/internal/probe/s3"
	"github.com/bindery-dev/bindery/controllers/internal/probe/smtp"
	"github.com/bindery-dev/bindery/controllers/internal/probe/token"
	"github.com/bindery-dev/bindery/controllers/internal/probe/web"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Prober tries handles. Its zero value uses the settings of this machine, as other programs do.
type Prober struct {
	// Dialer opens the connections. If there is patience, it has timeouts of its own.
	wire.Dialer
	// Question is what is asked about a token. Default: nothing.
	Question token.Question
	// Patience is how long a service that cannot be reached is tried again. Default: it is tried once.
	Patience time.Duration
}

// probes are those of the types that have one. Handles of the others are only reached.
var probes = map[v1alpha1.ServiceType]wire.Probe{
	v1alpha1.TypeRedis:      redis.Probe,
	v1alpha1.TypeCollector:  web.Collector,
	v1alpha1.TypeCouchDB:    couchdb.Probe,
	v1alpha1.TypeOpenSearch: opensearch.Probe,
	v1alpha1.TypeS3:         s3.Probe,
	v1alpha1.TypeHTTP:       web.HTTP,
	v1alpha1.TypeRabbitMQ:   rabbitmq.Probe,
	v1alpha1.TypeBeanstalkd: beanstalkd.Probe,
	v1alpha1.TypeMemcached:  memcached.Probe,
	v1alpha1.TypeSMTP:       smtp.Probe,
	v1alpha1.TypeMySQL:      mysql.Probe,
	v1alpha1.TypePostgreSQL: postgresql.Probe,
}

const (
	// tryPauseMin and tryPauseMax limit the pause before the next try of a service that cannot be reached. The pause
	// doubles each time.
	tryPauseMin = 250 * time.Millisecond
	tryPauseMax = 2 * time.Second
	// firstDial is how long the first connection may take, if there is patience for another one. The time doubles each
	// time. A connection to a Service that no node leads to yet is lost: the kernel repeats it on the same route, so a
	// new one is needed.
	firstDial = 2 * time.Second
)

// Probe tries a handle of the type until the context's deadline. Its only error is that the context was canceled, which
// says nothing about the service.
//
// A service that cannot be reached may become reachable soon: a Service that nodes do not lead to yet, a name that does
// not resolve yet, a server that starts. So it is tried again. If something is wrong with the handle, or with an answer,
// that is reported at once.
func (p Prober) Probe(ctx context.Context, t v1alpha1.ServiceType, handle string) (wire.Result, error) {
	until := time.Now().Add(p.Patience)
	if p.Patience > 0 {
		p.Timeout = firstDial
	}
	result := p.try(ctx, t, handle)
	for pause := tryPauseMin; mayPass(result) && time.Now().Add(pause).Before(until) && rest(ctx, pause); pause = min(2*pause, tryPauseMax) {
		p.Timeout *= 2
		next := p.try(ctx, t, handle)
		if ctx.Err() != nil && mayPass(next) {
			break // this try was cut short, and says less than the one before
		}
		result = next
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return wire.Result{}, fmt.Errorf("trying the handle: %w", context.Cause(ctx))
	}
	return result, nil
}

// mayPass says whether a result may change with time alone.
func mayPass(r wire.Result) bool { return !r.Answered() || r == token.NotReached }

// rest waits, and says whether the context is still active.
func rest(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

func (p Prober) try(ctx context.Context, t v1alpha1.ServiceType, raw string) wire.Result {
	entry := catalog.Lookup(t)
	found := p.tryForm(ctx, t, raw)
	if exitcode.Passes(found.Code) && strings.TrimSpace(raw) != raw && (len(entry.Schemes) > 0 || entry.Token) {
		return wire.Found(exitcode.HandleUntrimmed, "the handle passed without the space or the line break at one of its ends "+
			"(echo adds one, echo -n does not), which some clients leave out, and others take for a part of it")
	}
	return found
}

// tryForm tries a handle in the way that fits its form: a token, or where to connect.
func (p Prober) tryForm(ctx context.Context, t v1alpha1.ServiceType, raw string) wire.Result {
	if catalog.Lookup(t).Token {
		return token.Probe(ctx, p.Dialer, t, raw, p.Question)
	}
	to, failed := wire.Parse(t, raw)
	if failed != nil {
		return *failed
	}
	if p.Roots != nil {
		to = to.WithAuthority()
	}
	if probe, ok := probes[t]; ok {
		return probe(ctx, p.Dialer, to)
	}
	return wire.Reach(ctx, p.Dialer, to)
}
