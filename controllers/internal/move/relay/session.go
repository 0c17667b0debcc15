package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/bindery-dev/bindery/controllers/internal/move/resp"
)

// pending is a command that has begun and is not answered.
type pending struct {
	meaning

	asked     time.Time
	confirmed int       // channels
	queued    []meaning // what an EXEC makes true
	nested    bool      // a MULTI inside another one
	inside    bool      // one of a transaction
	fence     bool      // the relay's own: its reply is not passed on
}

// session is one client.
type session struct {
	client  net.Conn
	scripts *scripts

	mu      sync.Mutex
	changed *sync.Cond
	up      *upstream
	pending []pending
	blocked int // those of them that wait for others: one at most
	held    bool
	ended   bool
	sending bool // a command is being written

	known  introduction
	queued []meaning // said inside of a transaction
	multi  bool
	watch  int  // WATCH commands that count
	stays  bool // it can't go on elsewhere
	mute   bool // its replies tell nothing
	notice []byte
}

// upstream is a client's connection to the server.
type upstream struct {
	conn   net.Conn
	source *hooked
	in     *resp.Reader
	out    *bufio.Writer

	passwords map[string]string
}

// hooked does something before each read, which may take long: it writes out what was collected until then.
type hooked struct {
	conn   net.Conn
	before func() error
}

func (h *hooked) Read(p []byte) (int, error) {
	if h.before != nil {
		if err := h.before(); err != nil {
			return 0, err
		}
	}
	return h.conn.Read(p) //nolint:wrapcheck // io.EOF is the usual end
}

func newUpstream(conn net.Conn, passwords map[string]string) *upstream {
	source := &hooked{conn: conn}
	return &upstream{
		conn: conn, source: source, in: resp.NewReader(source), out: bufio.NewWriterSize(conn, resp.MaxCommand), passwords: passwords,
	}
}

func newSession(client net.Conn, scripts *scripts) *session {
	s := &session{client: client, scripts: scripts}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// run passes on commands and replies until one of the two sides ends.
func (s *session) run(up *upstream) {
	s.mu.Lock()
	s.up = up
	if s.ended {
		_ = up.conn.Close()
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	var replies sync.WaitGroup
	replies.Go(s.replies)
	s.commands()
	s.end()
	replies.Wait()
}

// end closes both sides.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	_ = s.client.Close()
	if s.up != nil {
		_ = s.up.conn.Close()
	}
	s.changed.Broadcast()
}

// commands passes on what the client sends.
func (s *session) commands() {
	var up *upstream
	flush := func() error {
		if up == nil {
			return nil
		}
		return up.out.Flush() //nolint:wrapcheck // the connection is closed for every error
	}
	in := resp.NewReader(&hooked{conn: s.client, before: flush})
	for {
		command, err := in.Command()
		if err != nil {
			return
		}
		if s.mustWait() && flush() != nil {
			return
		}
		if up = s.begin(command); up == nil {
			return
		}
		_, err = up.out.Write(translate(command, up.passwords))
		if err == nil && !command.Whole {
			err = in.Rest(up.out)
		}
		if err != nil || s.sent(flush) != nil {
			return
		}
	}
}

// mustWait says whether the next command may not begin yet.
func (s *session) mustWait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting()
}

func (s *session) waiting() bool {
	if s.ended {
		return false
	}
	if s.held && (s.mute || !s.multi && s.watch == 0) {
		return true
	}
	// What comes behind a command that waits for others is answered after it in any case.
	return s.blocked > 0
}

// begin notes a command, when it may begin, and returns where to. It returns nil if the connection has ended.
func (s *session) begin(command resp.Command) *upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.waiting() {
		s.changed.Wait()
	}
	if s.ended {
		return nil
	}
	s.sending = true
	if len(command.Args) > 0 {
		s.note(command)
	}
	return s.up
}

// note takes in what a command does to the connection, as far as that is so before it is answered.
func (s *session) note(command resp.Command) {
	p := pending{meaning: meaningOf(command), inside: s.multi, asked: time.Now()}
	switch p.kind {
	case watches:
		s.watch++
	case begins:
		p.nested, s.multi = s.multi, true
	case executes, discards, resets:
		p.inside = false
		if p.kind == executes {
			p.queued = s.queued
		}
		s.multi, s.watch, s.queued = false, 0, nil
	case mutes:
		s.stays, s.mute = true, true
	case stays:
		s.stays = true
	case loads:
		if body, ok := bodyOf(command); ok && command.Whole {
			s.scripts.keep(body)
		}
	default:
		s.noteInside(&p)
	}
	s.pending = append(s.pending, p)
}

// noteInside does so for what is something else inside of a transaction.
func (s *session) noteInside(p *pending) {
	switch p.kind {
	case unwatches:
		if !s.multi {
			s.watch = 0
		}
	case waits:
		if s.multi {
			p.kind = plain // it does not wait there
		} else {
			s.blocked++
		}
	case subscribes, unsubscribes:
		if s.multi {
			p.kind, s.stays = plain, true
		}
	case introduces:
		if s.multi {
			s.queued = append(s.queued, p.meaning)
		}
	default:
	}
}

// sent says that the command is written. One that waits for others is on its way at once: it may be asked again.
func (s *session) sent(flush func() error) error {
	s.mu.Lock()
	now := len(s.pending) > 0 && s.pending[len(s.pending)-1].kind == waits
	s.mu.Unlock()
	if now {
		if err := flush(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending = false
	s.changed.Broadcast()
	return nil
}

// replies passes on what the servers send.
func (s *session) replies() {
	out := bufio.NewWriterSize(s.client, resp.MaxCommand)
	defer s.end()
	for {
		s.mu.Lock()
		up, notice := s.up, s.notice
		s.notice = nil
		s.mu.Unlock()
		if _, err := out.Write(notice); err != nil {
			return
		}
		up.source.before = out.Flush
		s.repliesOf(up, out)
		s.mu.Lock()
		another := s.up != up && !s.ended
		s.mu.Unlock()
		if !another {
			_ = out.Flush() // the client may be gone
			return
		}
	}
}

// repliesOf passes on the replies of one server, until its connection ends, or the client has left it.
func (s *session) repliesOf(up *upstream, out *bufio.Writer) {
	for {
		reply, err := up.in.Reply()
		if err != nil {
			return
		}
		fence, ok := s.arrives(up, reply)
		if !ok {
			return
		}
		if fence {
			_, err = up.in.Skip()
		} else {
			err = up.in.Pass(out)
		}
		if err != nil {
			return
		}
		s.arrived(reply)
	}
}

// arrives is the beginning of a reply; false if the client has left the server.
func (s *session) arrives(up *upstream, reply resp.Reply) (fence, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up == up && s.answers(reply) && s.pending[0].fence, s.up == up
}

// answers says whether a reply is that of the first pending command, rather than a message that is out of band.
func (s *session) answers(reply resp.Reply) bool {
	if len(s.pending) == 0 || s.mute {
		return false
	}
	first := s.pending[0].kind
	subscription := first == subscribes || first == unsubscribes
	switch {
	case reply.Kind == '>':
		return subscription && confirms[reply.Word]
	case reply.Kind == '*' && !s.known.resp3() && s.known.subscribed():
		return !messages[reply.Word]
	default:
		return true
	}
}

var (
	confirms = map[string]bool{
		"subscribe": true, "psubscribe": true, "ssubscribe": true,
		"unsubscribe": true, "punsubscribe": true, "sunsubscribe": true,
	}
	messages = map[string]bool{"message": true, "pmessage": true, "smessage": true}
)

// arrived is the end of a reply: the command is done, and what it says about the client is true.
func (s *session) arrived(reply resp.Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	if !s.answers(reply) {
		return
	}
	failed := reply.Kind == '-' || reply.Kind == '!'
	if !failed && !s.confirms(&s.pending[0]) {
		return
	}
	done := s.pending[0]
	s.pending[0] = pending{} // a client may have sent thousands, so the others are not moved
	s.pending = s.pending[1:]
	if done.kind == waits {
		s.blocked--
	}
	s.finish(done, failed, reply.Null)
}

// confirms takes in a reply to a command that gets one for each channel, and says whether it was the last. Any other command
// has only one.
func (s *session) confirms(p *pending) (last bool) {
	if p.kind != subscribes && p.kind != unsubscribes {
		return true
	}
	wanted := s.known.confirmations(p.meaning)
	p.confirmed++
	last = p.confirmed >= wanted
	if all := p.kind == unsubscribes && len(p.names) == 0; !all || last {
		s.known.confirm(p.meaning, p.confirmed-1)
	}
	return last
}

// finish takes in what an answered command says about the client.
func (s *session) finish(done pending, failed, null bool) {
	switch {
	case failed && done.kind == watches && !done.inside:
		s.watch = max(s.watch-1, 0)
	case failed && done.kind == begins && !done.nested:
		s.multi = false
	case !failed && !done.inside:
		s.known.learn(done.meaning)
	}
	if done.kind == executes && !failed && !null {
		for _, m := range done.queued {
			s.known.learn(m)
		}
	}
}

// hold closes or opens the gate for this client.
func (s *session) hold(held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	s.changed.Broadcast()
}

// rest waits until the client has come to rest.
func (s *session) rest(ctx context.Context) bool {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.ended && !s.resting() {
		if ctx.Err() != nil {
			return false
		}
		s.changed.Wait()
	}
	return true
}

func (s *session) resting() bool {
	switch {
	case s.up == nil || s.sending:
		return false
	case s.mute:
		return true
	case s.multi || s.watch > 0:
		return false
	case len(s.pending) == 1 && s.pending[0].kind == waits:
		return true
	default:
		return len(s.pending) == 0
	}
}

// fence asks a server for a last reply to a client that listens: what the server has said before has arrived then.
func (s *session) fence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.mute || !s.known.subscribed() && !s.known.tracking() || len(s.pending) > 0 {
		return
	}
	s.pending = append(s.pending, pending{fence: true})
	if _, err := s.up.conn.Write(resp.NewCommand("PING")); err != nil {
		_ = s.up.conn.Close() // its replies end, and with them the client
	}
}

// errStays says that a client can't be set up at another server.
var errStays = errors.New("the client can't go on at another server")

// move introduces a client that has come to rest to another server, and asks again what it waits for.
func (s *session) move(ctx context.Context, target Server) (asked bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.stays {
		return false, errStays
	}
	conn, err := target.Dial(ctx)
	if err != nil {
		return false, fmt.Errorf("connecting to the other server: %w", err)
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return false, fmt.Errorf("setting a deadline: %w", err)
		}
	}
	next := newUpstream(conn, target.Passwords)
	if err := s.introduce(next); err != nil {
		return false, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return false, fmt.Errorf("taking a deadline away: %w", err)
	}
	if len(s.pending) > 0 {
		asked = true
		if _, err := conn.Write(s.pending[0].again(time.Since(s.pending[0].asked))); err != nil {
			return false, fmt.Errorf("asking again: %w", err)
		}
	}
	if s.known.tracking() && s.known.resp3() {
		s.notice = append(s.notice, forget...)
	}
	_ = s.up.conn.Close()
	s.up = next
	s.changed.Broadcast()
	return asked, nil
}

// forget tells a client that keeps values that none of them may be true any more.
const forget = ">2\r\n$10\r\ninvalidate\r\n_\r\n"

// introduce says again what the client has said about itself.
func (s *session) introduce(next *upstream) error {
	var said bytes.Buffer
	for _, part := range s.known.parts {
		said.Write(part.said(next.passwords))
	}
	for family, names := range s.known.subscriptions {
		if len(names) > 0 {
			said.Write(resp.NewCommand(slices.Concat([]string{family + "SUBSCRIBE"}, names)...))
		}
	}
	if _, err := next.conn.Write(said.Bytes()); err != nil {
		return fmt.Errorf("introducing a client: %w", err)
	}
	for _, part := range s.known.parts {
		reply, err := next.in.Reply()
		if err == nil {
			_, err = next.in.Skip()
		}
		if err != nil {
			return fmt.Errorf("introducing a client: %w", err)
		}
		if reply.Kind == '-' && !isCourtesy(part) {
			return fmt.Errorf("%w: %s is refused", errStays, part.slot)
		}
	}
	for range s.subscriptions() {
		if err := s.confirmed(next); err != nil {
			return err
		}
	}
	return nil
}

// isCourtesy is what a client tells about itself, without which it gets the same replies.
func isCourtesy(part meaning) bool {
	return len(part.slot) > 6 && part.slot[:6] == "CLIENT" && !part.tracking
}

func (s *session) subscriptions() int {
	n := 0
	for _, names := range s.known.subscriptions {
		n += len(names)
	}
	return n
}

// confirmed reads one confirmation of a subscription. A message may come first: the client gets it.
func (s *session) confirmed(next *upstream) error {
	for {
		reply, err := next.in.Reply()
		if err != nil {
			return fmt.Errorf("subscribing again: %w", err)
		}
		bytes, err := next.in.Skip()
		switch {
		case err != nil:
			return fmt.Errorf("subscribing again: %w", err)
		case confirms[reply.Word]:
			return nil
		case reply.Kind == '-':
			return fmt.Errorf("%w: a subscription is refused", errStays)
		}
		s.notice = append(s.notice, bytes...)
	}
}
