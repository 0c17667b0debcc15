// Package relay stands between the clients of a Redis and the Redis, and can put another one in its place without closing
// a connection. Each client has a connection of its own behind the relay; bytes pass through as they are.
//
// At a cut, no command begins any more. When all that have begun are answered, no write is on its way: then the caller
// makes the other server the one that is written to, and each client is introduced there as it has introduced itself
// (AUTH, HELLO, SELECT, CLIENT, subscriptions). What waits for others (BLPOP, XREAD BLOCK) is asked again there, with the
// time that it has left. Then the commands go on. A transaction that has begun ends before the cut.
//
// What can't be set up a second time is closed, at a moment in which no command is under way: MONITOR, CLIENT REPLY, and
// CLIENT TRACKING with a REDIRECT.
package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// ErrBusy says that a client did not come to rest: a transaction, a slow command, or a client that does not read its
// replies. Nothing has changed.
var ErrBusy = errors.New("a client is in the middle of a command or a transaction")

// Server is where a relay leads to.
type Server struct {
	// Dial opens a connection to it.
	Dial func(ctx context.Context) (net.Conn, error)

	// Passwords are what this server takes, where clients send something else. The key is what they send.
	Passwords map[string]string
}

const (
	// introductionTime is how long one client may take to be introduced to the next server.
	introductionTime = 5 * time.Second

	// maxScripts is how many bytes of scripts are kept for the next server.
	maxScripts = 4 << 20
)

// Relay passes on what clients send, to one server at a time.
type Relay struct {
	mu       sync.Mutex
	server   Server
	sessions map[*session]struct{}
	opened   chan struct{} // closed while clients are let in
	cutting  bool

	scripts scripts
}

// New is a relay that leads to a server.
func New(server Server) *Relay {
	opened := make(chan struct{})
	close(opened)
	return &Relay{server: server, sessions: map[*session]struct{}{}, opened: opened}
}

// Serve takes the clients of a listener until the context ends, which ends their connections, too. It closes the listener.
func (r *Relay) Serve(ctx context.Context, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		var temporary net.Error
		if errors.As(err, &temporary) && temporary.Timeout() {
			continue
		}
		if err != nil {
			return fmt.Errorf("taking in clients: %w", err)
		}
		clients.Go(func() { r.serve(ctx, conn) })
	}
}

func (r *Relay) serve(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	s, server, ok := r.admit(ctx, conn)
	if !ok {
		return
	}
	defer r.leave(s)
	stop := context.AfterFunc(ctx, s.end)
	defer stop()
	upstream, err := server.Dial(ctx)
	if err != nil {
		s.end()
		return
	}
	s.run(newUpstream(upstream, server.Passwords))
}

// admit registers a client. During a cut it waits for its end.
func (r *Relay) admit(ctx context.Context, conn net.Conn) (*session, Server, bool) {
	for {
		s, server, opened := r.tryAdmit(conn)
		if s != nil {
			return s, server, true
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return nil, Server{}, false
		}
	}
}

// tryAdmit registers a client, or returns what to wait for.
func (r *Relay) tryAdmit(conn net.Conn) (*session, Server, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cutting {
		return nil, Server{}, r.opened
	}
	s := newSession(conn, &r.scripts)
	r.sessions[s] = struct{}{}
	return s, r.server, nil
}

func (r *Relay) leave(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s)
}

// Clients is how many are connected.
func (r *Relay) Clients() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions)
}

// Scripts are the bodies of the scripts that went through, as many as were kept. A server that follows another one has its
// data, but not its scripts.
func (r *Relay) Scripts() []string { return r.scripts.all() }

// scripts are bodies of scripts, each once.
type scripts struct {
	mu     sync.Mutex
	bodies map[string]struct{}
	size   int
}

func (s *scripts) keep(body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.bodies[body]; known || s.size+len(body) > maxScripts {
		return
	}
	if s.bodies == nil {
		s.bodies = map[string]struct{}{}
	}
	s.bodies[body], s.size = struct{}{}, s.size+len(body)
}

func (s *scripts) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.bodies))
}

// Cut is what happens between the last command to the one server and the first to the other.
type Cut struct {
	// Target is the other server.
	Target Server

	// Quiet is how long the clients may take to come to rest. So long do those that have come to rest wait.
	Quiet time.Duration

	// Promote makes the other server the one that is written to. No command is under way. If it fails, nothing may have
	// changed: the clients go on with the server that they have.
	Promote func(ctx context.Context) error

	// Waiting returns when so many clients wait at the other server for what others write there. Then those others may
	// go on. It is asked if there are any.
	Waiting func(ctx context.Context, clients int) error
}

// Outcome says what became of the clients of a cut.
type Outcome struct {
	Moved, Closed int

	// Held is how long the commands were held back.
	Held time.Duration
}

// Cut leads all clients to another server. An error says that nothing has changed; ErrBusy, that it can be tried again.
func (r *Relay) Cut(ctx context.Context, cut Cut) (Outcome, error) {
	began := time.Now()
	sessions, err := r.hold()
	if err != nil {
		return Outcome{}, err
	}
	defer r.release()
	quiet, cancel := context.WithTimeout(ctx, cut.Quiet)
	defer cancel()
	if !rest(quiet, sessions) {
		return Outcome{Held: time.Since(began)}, ErrBusy
	}
	if err := cut.Promote(ctx); err != nil {
		return Outcome{Held: time.Since(began)}, fmt.Errorf("making the other server the one that is written to: %w", err)
	}
	r.mu.Lock()
	r.server = cut.Target
	r.mu.Unlock()
	outcome := Outcome{}
	waiting := 0
	for _, got := range move(ctx, sessions, cut.Target) {
		if got.err != nil {
			outcome.Closed++
			continue
		}
		outcome.Moved++
		if got.waits {
			waiting++
		}
	}
	if waiting > 0 && cut.Waiting != nil {
		// If they can't be seen to wait, they may miss what is written in this moment. The data is not in danger.
		_ = cut.Waiting(ctx, waiting)
	}
	outcome.Held = time.Since(began)
	return outcome, nil
}

// hold closes the gate.
func (r *Relay) hold() ([]*session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cutting {
		return nil, ErrBusy
	}
	r.cutting, r.opened = true, make(chan struct{})
	sessions := make([]*session, 0, len(r.sessions))
	for s := range r.sessions {
		s.hold(true)
		sessions = append(sessions, s)
	}
	return sessions, nil
}

// release opens it.
func (r *Relay) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.sessions {
		s.hold(false)
	}
	r.cutting = false
	close(r.opened)
}

// rest waits until no command is under way, and until those who listen have heard all that was said to them.
func rest(ctx context.Context, sessions []*session) bool {
	for _, s := range sessions {
		if !s.rest(ctx) {
			return false
		}
	}
	for _, s := range sessions {
		s.fence()
	}
	for _, s := range sessions {
		if !s.rest(ctx) {
			return false
		}
	}
	return true
}

// moved is what became of one client.
type moved struct {
	err   error
	waits bool
}

// together is how many clients are introduced at the same time.
const together = 64

func move(ctx context.Context, sessions []*session, target Server) []moved {
	results := make([]moved, len(sessions))
	places := make(chan struct{}, together)
	var all sync.WaitGroup
	for i, s := range sessions {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			one, cancel := context.WithTimeout(ctx, introductionTime)
			defer cancel()
			results[i].waits, results[i].err = s.move(one, target)
			if results[i].err != nil {
				s.end()
			}
		})
	}
	all.Wait()
	return results
}
