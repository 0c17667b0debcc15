package replicate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/move/relay"
)

const (
	// lookEvery is how often the relay looks whether the move is over, and whether anybody is left.
	lookEvery = 2 * time.Second

	// quiet is how long the apps may take to come to rest at a cut, and catchUp how long the target may take to get what
	// was written last. Each command waits so long at most: clients give a command up after 2 s (Jedis) or 3 s (go-redis).
	quiet, catchUp = 500 * time.Millisecond, 500 * time.Millisecond

	// held is how long the source holds writes back at most, should nobody take that back.
	held = 5 * time.Second

	// leave is how long nobody must have been connected before a relay whose move is over ends.
	leave = 30 * time.Second
)

// Relay takes clients on a port and leads them to the source, and after the cut to the target. It returns nil when the move
// is over and nobody has been connected for a while, or when the context ends.
type Relay struct {
	move     Move
	relay    *relay.Relay
	from, to *redis.Client
	cut      atomic.Bool
}

// NewRelay is the relay of a move.
func NewRelay(m Move) *Relay { return &Relay{move: m, from: m.from(), to: m.to()} }

// Run serves. listen is called when it is known which of the two servers is written to.
func (r *Relay) Run(ctx context.Context, listen func() (net.Listener, error)) error {
	defer func() { _, _ = r.from.Close(), r.to.Close() }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over, err := r.find(ctx)
	if err != nil {
		return err
	}
	r.cut.Store(over)
	if over {
		r.relay = relay.New(r.target())
	} else {
		r.relay = relay.New(r.source())
	}
	listener, err := listen()
	if err != nil {
		return err
	}
	go r.obey(ctx)
	go r.keep(ctx, cancel)
	if err := r.relay.Serve(ctx, listener); err != nil {
		return err //nolint:wrapcheck // it says what it was doing
	}
	if cause := context.Cause(ctx); errors.Is(cause, errOvertaken) {
		return cause
	}
	return nil
}

// The source does not know the password that apps have for the target, so they log in there with its own.
func (r *Relay) source() relay.Server {
	return relay.Server{Dial: dial(r.move.From), Passwords: map[string]string{r.move.AppPassword: r.move.SourcePassword}}
}

func (r *Relay) target() relay.Server { return relay.Server{Dial: dial(r.move.To)} }

func dial(address string) func(ctx context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: patience, KeepAlive: 15 * time.Second}).DialContext(ctx, "tcp", address)
	}
}

// find finds out which of the servers is written to. As long as only a server that can't be reached knows, it waits.
func (r *Relay) find(ctx context.Context) (over bool, err error) {
	for {
		over, targetErr := soon(ctx, r.to, r.move.over())
		if targetErr == nil && over {
			return true, nil
		}
		begun, sourceErr := soon(ctx, r.from, r.move.begun())
		// A target without the mark, or a source in which no cut has begun.
		if sourceErr == nil && (targetErr == nil || !begun) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("finding out which server is written to: %w", errors.Join(targetErr, sourceErr))
		case <-time.After(time.Second):
		}
	}
}

// soon is marked for a relay that has not started: apps wait for it, and one of the servers may hang.
func soon(ctx context.Context, client *redis.Client, key string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return marked(ctx, client, key)
}

// errOvertaken: another relay has cut, as it may where a node was lost for a while.
var errOvertaken = errors.New("the target is written to, and this relay leads to the source")

// keep ends the relay when the move is over and nobody is left, or if it is over and this relay does not know.
func (r *Relay) keep(ctx context.Context, cancel context.CancelCauseFunc) {
	defer cancel(nil)
	since := time.Now()
	for tick := time.Tick(lookEvery); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if r.relay.Clients() > 0 || !r.cut.Load() {
			since = time.Now()
		}
		if time.Since(since) > leave {
			return
		}
		if over, err := marked(ctx, r.to, r.move.over()); err == nil && over && !r.cut.Load() {
			cancel(errOvertaken)
			return
		}
	}
}

// obey cuts when it is told to.
func (r *Relay) obey(ctx context.Context) {
	subscription := r.to.Subscribe(ctx, r.move.channel())
	defer func() { _ = subscription.Close() }()
	for message := range subscription.Channel() {
		nonce, ok := strings.CutPrefix(message.Payload, "cut ")
		if !ok {
			continue
		}
		code := r.doCut(ctx)
		_ = r.to.Publish(ctx, r.move.channel(), fmt.Sprintf("done %s %d", nonce, code)).Err() // who does not hear it asks again
	}
}

// doCut cuts, if it can be done now.
func (r *Relay) doCut(ctx context.Context) int32 {
	if r.cut.Load() {
		return outcome.Done
	}
	if code := r.ready(ctx); code != outcome.Done {
		return code
	}
	code := outcome.Busy
	_, err := r.relay.Cut(ctx, relay.Cut{
		Target: r.target(), Quiet: quiet,
		Promote: func(ctx context.Context) error {
			var err error
			code, err = r.promote(ctx)
			return err
		},
		Waiting: r.seesWaiting,
	})
	if err != nil {
		return code
	}
	r.cut.Store(true)
	r.tidy(ctx)
	return outcome.Done
}

// ready says whether a cut may succeed. No client is held back for this.
func (r *Relay) ready(ctx context.Context) int32 {
	source, err := infoOf(ctx, r.from)
	if err != nil {
		return sourceFault(err)
	}
	target, err := infoOf(ctx, r.to)
	if err != nil {
		return targetFault(err)
	}
	if !target.follows(r.move.From) || !target.isCopy() {
		return outcome.OutOfSync
	}
	// What is on its way must be less than what the clients can wait for.
	if behind := source.number("master_repl_offset") - target.number("slave_repl_offset"); behind > 64<<20 {
		return outcome.OutOfSync
	}
	// A probe of the kubelet is connected for a moment.
	for range 5 {
		others, err := r.others(ctx)
		if err != nil {
			return sourceFault(err)
		}
		if others <= 0 {
			return outcome.Done
		}
		time.Sleep(100 * time.Millisecond)
	}
	return outcome.OthersConnected
}

// others is how many are connected to the source as an app is, and not through the relay.
func (r *Relay) others(ctx context.Context) (int, error) {
	list, err := r.from.ClientList(ctx).Result()
	if err != nil {
		return 0, err //nolint:wrapcheck // it becomes an exit code
	}
	return strings.Count(list, " user=default ") - r.relay.Clients(), nil
}

// errNotNow is why a cut was given up.
var errNotNow = errors.New("the cut is given up")

// errUnknown: only the target knows whether the cut is done, and it does not answer.
var errUnknown = errors.New("the target does not say whether it is written to")

// promote makes the target the server that is written to. No command of a client is under way.
func (r *Relay) promote(ctx context.Context) (int32, error) {
	if err := mark(ctx, r.from, r.move.begun(), r.move.To); err != nil {
		return sourceFault(err), err
	}
	// From here on nobody else writes to the source, either.
	if err := r.from.Do(ctx, "CLIENT", "PAUSE", held.Milliseconds(), "WRITE").Err(); err != nil {
		return sourceFault(err), err //nolint:wrapcheck // it becomes an exit code
	}
	code := r.catchUp(ctx)
	if others, err := r.others(ctx); err == nil && others > 0 {
		code = outcome.OthersConnected // they came a moment ago
	}
	if code != outcome.Done {
		r.giveUp(ctx)
		return code, errNotNow
	}
	for _, body := range r.relay.Scripts() {
		_ = r.to.ScriptLoad(ctx, body).Err() // one that does not compile did not do so at the source
	}
	if err := r.setFsync(ctx, "always"); err != nil {
		r.giveUp(ctx)
		return targetFault(err), err
	}
	if err := r.write(ctx); err != nil {
		// The target may be written to now, or not: nothing goes on before that is known.
		over, err := r.settle(ctx)
		if err != nil {
			panic(err) // another relay finds out: this one must not let anybody write to the source
		}
		if !over {
			r.giveUp(ctx)
			return outcome.TargetUnreachable, errNotNow
		}
	}
	return outcome.Done, nil
}

// catchUp waits until the target has all that the source has.
func (r *Relay) catchUp(ctx context.Context) int32 {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	source, err := infoOf(ctx, r.from)
	if err != nil {
		return sourceFault(err)
	}
	for ctx.Err() == nil {
		target, err := infoOf(ctx, r.to)
		switch {
		case err != nil:
			return targetFault(err)
		case !target.follows(r.move.From), !target.isCopy():
			return outcome.OutOfSync
		case target.number("slave_repl_offset") >= source.number("master_repl_offset"):
			return outcome.Done
		}
		time.Sleep(2 * time.Millisecond)
	}
	return outcome.Busy
}

// write makes the target a server of its own, and marks it.
func (r *Relay) write(ctx context.Context) error {
	if err := r.to.Do(ctx, "REPLICAOF", "NO", "ONE").Err(); err != nil {
		return err //nolint:wrapcheck // the caller looks what has become of it
	}
	return r.to.Set(ctx, r.move.over(), r.move.From, kept).Err()
}

// settle finds out whether the target is marked, after an error. If it is not, it is made to follow the source again.
func (r *Relay) settle(ctx context.Context) (over bool, err error) {
	for range 10 {
		if over, err = marked(ctx, r.to, r.move.over()); err == nil {
			if !over {
				err = r.move.follow(ctx, r.to)
			}
			if err == nil {
				return over, nil
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	return false, fmt.Errorf("%w: %w", errUnknown, err)
}

// giveUp lets writes go on at the source.
func (r *Relay) giveUp(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	_ = r.from.Do(ctx, "CLIENT", "UNPAUSE").Err() // it ends by itself, a little later
	_ = r.from.Del(ctx, r.move.begun()).Err()     // it only makes a relay that starts more careful
	_ = r.setFsync(ctx, "everysec")               // it only makes the target slower
}

// setFsync says when what the target appends to its file is on the disk. At a target without a file, it changes nothing.
func (r *Relay) setFsync(ctx context.Context, when string) error {
	return r.to.ConfigSet(ctx, "appendfsync", when).Err()
}

// tidy takes back what was only needed until the cut. Nothing of it is needed for what follows.
func (r *Relay) tidy(ctx context.Context) {
	_ = r.from.Do(ctx, "CLIENT", "UNPAUSE").Err()
	_ = r.setFsync(ctx, "everysec")
	for name, value := range map[string]string{"masteruser": "", "masterauth": "", "repl-diskless-load": "disabled"} {
		_ = r.to.ConfigSet(ctx, name, value).Err()
	}
}

// seesWaiting returns when so many clients wait at the target.
func (r *Relay) seesWaiting(ctx context.Context, clients int) error {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for ctx.Err() == nil {
		if i, err := infoOf(ctx, r.to); err == nil && i.number("blocked_clients") >= int64(clients) {
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return ctx.Err()
}
