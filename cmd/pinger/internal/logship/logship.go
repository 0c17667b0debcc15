// Package logship sends log lines to a collector in batches: POST of {"logs":[…]}, up to ten lines each, or what there is
// after five seconds.
//
// The app comes first. Write never waits and never fails: a line goes into a queue of a fixed length, and when that is
// full the line is dropped. One goroutine takes the lines out, so they arrive in the order in which they were written, and
// tries each batch a few times with growing, jittered pauses. What was dropped is counted, and said in the app's own log;
// never through the Shipper, which would make of each line it cannot send one more line to send.
//
// Delivery is at least once: a batch whose answer was lost is sent again, with the same correlation id.
package logship

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

const (
	batchLines    = 10
	batchInterval = 5 * time.Second
	queueLines    = 1000

	// One batch is tried for at most tries × tryTimeout + the pauses between = 28 s, then dropped, so that a collector
	// that refuses a single batch for ever does not keep all later ones.
	tries      = 5
	tryTimeout = 5 * time.Second
	firstPause = 200 * time.Millisecond // doubles from try to try
	stopPause  = 100 * time.Millisecond // between tries once the app is stopping
)

// Shipper is an io.Writer that takes one line of JSON per Write, as slog's JSON handler makes them, and sends it some time
// later.
type Shipper struct {
	post func(ctx context.Context, id string, batch [][]byte) error
	log  *slog.Logger

	queue    chan []byte
	stop     sync.Once
	stopping chan struct{}
	finished chan struct{}
	ctx      context.Context // ends when the time to flush is over
	cancel   context.CancelFunc

	overflowed atomic.Int64 // lines dropped by Write that the log does not know of yet
	shipped    atomic.Int64
	dropped    atomic.Int64
}

// Start ships to the collector until Stop. The log gets the Shipper's own lines: it must not write to the Shipper.
func Start(collector handle.Handle, transport http.RoundTripper, log *slog.Logger) *Shipper {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Shipper{
		post:     poster{url: collector.Reveal(), client: newClient(transport)}.post,
		log:      log.With("collector", collector.Endpoint()),
		queue:    make(chan []byte, queueLines),
		stopping: make(chan struct{}),
		finished: make(chan struct{}),
		ctx:      ctx,
		cancel:   cancel,
	}
	go s.run()
	return s
}

// Write takes one line. It keeps a copy, returns at once, and has no error: for the logger, and so for the request that
// is logged, it makes no difference whether the collector is there.
func (s *Shipper) Write(line []byte) (int, error) {
	select {
	case s.queue <- slices.Clone(bytes.TrimSpace(line)):
	default:
		s.overflowed.Add(1)
	}
	return len(line), nil
}

// Stop sends what is queued and returns when that is done, when the collector does not take it, or when ctx ends.
// Lines that are written after it are never sent.
func (s *Shipper) Stop(ctx context.Context) {
	s.stop.Do(func() { close(s.stopping) })
	defer context.AfterFunc(ctx, s.cancel)()
	<-s.finished
	s.cancel()
	s.log.Info("log lines", "shipped", s.shipped.Load(), "dropped", s.dropped.Load())
}

func (s *Shipper) run() {
	defer close(s.finished)
	for {
		batch := s.next()
		if len(batch) == 0 {
			s.reportOverflow()
			return
		}
		sent := s.ship(batch)
		s.reportOverflow()
		if !sent && s.isStopping() {
			// A collector that did not accept this batch now does not accept the next one either, and a Pod that is
			// stopping has no time to try.
			s.drop(s.pending(queueLines), "stopping")
			return
		}
	}
}

// next waits for a batch: full, or as old as batchInterval, or, while stopping, what is there. None means the end.
func (s *Shipper) next() [][]byte {
	var batch [][]byte
	select {
	case line := <-s.queue:
		batch = append(batch, line)
	case <-s.stopping:
		return s.pending(batchLines)
	}
	age := time.NewTimer(batchInterval)
	defer age.Stop()
	for len(batch) < batchLines {
		select {
		case line := <-s.queue:
			batch = append(batch, line)
		case <-age.C:
			return batch
		case <-s.stopping:
			return append(batch, s.pending(batchLines-len(batch))...)
		}
	}
	return batch
}

// pending takes up to n lines that are queued already.
func (s *Shipper) pending(n int) [][]byte {
	var lines [][]byte
	for len(lines) < n {
		select {
		case line := <-s.queue:
			lines = append(lines, line)
		default:
			return lines
		}
	}
	return lines
}

// ship tries to send a batch until it is taken, refused, or tried often enough.
func (s *Shipper) ship(batch [][]byte) bool {
	id := uuid.NewString()
	pause := firstPause
	for try := 1; ; try++ {
		err := s.post(s.ctx, id, batch)
		if err == nil {
			s.shipped.Add(int64(len(batch)))
			return true
		}
		if !worthAnotherTry(err) || try == tries || s.ctx.Err() != nil {
			s.drop(batch, reason(err))
			return false
		}
		s.pause(jitter(pause))
		pause *= 2
	}
}

// pause waits for d, or a moment once the app is stopping: the collector may be back already.
func (s *Shipper) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return
	case <-s.ctx.Done():
		return
	case <-s.stopping:
	}
	timer.Reset(min(d, stopPause))
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// jitter keeps the Pods of an app, which all lost their collector at the same time, from returning at the same time.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

func (s *Shipper) drop(lines [][]byte, why string) {
	if len(lines) == 0 {
		return
	}
	s.dropped.Add(int64(len(lines)))
	s.log.Warn("log lines dropped", "lines", len(lines), "reason", why, "droppedInAll", s.dropped.Load())
}

// reportOverflow says once per batch what Write dropped since the last one: a line for each would be a flood in the log at
// the very time when the app is busy.
func (s *Shipper) reportOverflow() {
	if n := s.overflowed.Swap(0); n > 0 {
		total := s.dropped.Add(n)
		s.log.Warn("log lines dropped", "lines", n, "reason", "the queue was full", "droppedInAll", total)
	}
}

func (s *Shipper) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}
