// Command writer writes to the Redis of REDIS_URL without pause, with a client as apps use it, and knows what was
// acknowledged: so a test finds out whether a write is lost, or fails, while something happens to the Redis. With -collect, it
// is the server that the writers report to instead. hack/clients/writer.js does the same with the clients of JavaScript.
// With -watch, it says how the two servers of a move are.
//
// A writer adds one key for each acknowledged SET, and counts each acknowledged INCR of the key "counter". A SET that failed
// may have been done: it is tried again with the same key, so there are as many keys as acknowledged SETs, and those that a
// writer had open when it ended. It reports its counts every second, and when it ends.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// report is what one writer has done so far.
type report struct {
	ID      string `json:"id"`
	Set     int64  `json:"set"`
	Counted int64  `json:"counted"`
	Failed  int64  `json:"failed"`
	// Open are the keys that were tried, and not acknowledged. It counts when the writer has ended.
	Open      int64  `json:"open"`
	Error     string `json:"error,omitempty"`
	LongestMs int64  `json:"longestMs"`
	Ended     bool   `json:"ended"`
}

func main() {
	collects := flag.String("collect", "", "Be the server that writers report to, at this `address`.")
	to := flag.String("report", "", "The `URL` that reports are sent to.")
	loops := flag.Int("loops", 4, "How `many` commands are under way at once.")
	pause := flag.Duration("pause", 10*time.Millisecond, "How `long` each loop waits after a command.")
	watched := flag.String("watch", "", "Watch the move with this `id` instead.")
	from := flag.String("from", "", "The `address` of the server whose data moves.")
	target := flag.String("to", "", "The `address` of the server that gets it.")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	var err error
	switch {
	case *collects != "":
		err = collect(ctx, *collects)
	case *watched != "":
		err = watch(ctx, *watched, *from, *target)
	default:
		err = write(ctx, *to, *loops, *pause)
	}
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// collect keeps the last report of each writer, and shows all of them.
func collect(ctx context.Context, address string) error {
	var mu sync.Mutex
	reports := map[string]report{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		var one report
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&one); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		reports[one.ID] = one
	})
	mux.HandleFunc("GET /reports", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if err := json.NewEncoder(w).Encode(reports); err != nil {
			log.Print(err)
		}
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// writer counts what its loops do.
type writer struct {
	id     string
	client *redis.Client

	set, counted, failed, open, longest atomic.Int64
	last                                atomic.Value
}

func write(ctx context.Context, to string, loops int, pause time.Duration) error {
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		return errors.New("REDIS_URL is not the URL of a Redis")
	}
	id, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("reading the name of this host: %w", err)
	}
	w := &writer{id: id, client: redis.NewClient(options)}
	defer func() { _ = w.client.Close() }()
	if err := w.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("the first command: %w", err)
	}
	stop := sayReady()
	defer stop()
	var all sync.WaitGroup
	for loop := range loops {
		all.Go(func() { w.loop(ctx, loop, pause) })
	}
	for tick := time.Tick(time.Second); ctx.Err() == nil; {
		select {
		case <-tick:
			w.report(ctx, to, false)
		case <-ctx.Done():
		}
	}
	all.Wait()
	w.report(context.WithoutCancel(ctx), to, true)
	return nil
}

// sayReady answers the kubelet, from the first command on.
func sayReady() (stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Print(err) // this Pod is never ready
		}
	}()
	return func() { _ = server.Close() }
}

// loop writes until the context ends. A command that has begun is not given up.
func (w *writer) loop(ctx context.Context, loop int, pause time.Duration) {
	n, counts := 0, true
	var err error
	for ctx.Err() == nil {
		began := time.Now()
		counts = n%5 == 0
		if counts {
			err = w.client.Incr(context.WithoutCancel(ctx), "counter").Err()
		} else {
			err = w.client.Set(context.WithoutCancel(ctx), fmt.Sprintf("w:%s:%d:%d", w.id, loop, n), n, 0).Err()
		}
		took := time.Since(began).Milliseconds()
		for before := w.longest.Load(); took > before; before = w.longest.Load() {
			w.longest.CompareAndSwap(before, took)
		}
		switch {
		case err != nil:
			w.failed.Add(1)
			w.last.Store(err.Error())
			n-- // the same once more
		case counts:
			w.counted.Add(1)
		default:
			w.set.Add(1)
		}
		n++
		time.Sleep(pause)
	}
	if err != nil && !counts {
		w.open.Add(1)
	}
}

func (w *writer) report(ctx context.Context, to string, ended bool) {
	r := report{ID: w.id, Set: w.set.Load(), Counted: w.counted.Load(), Failed: w.failed.Load(), Open: w.open.Load(),
		LongestMs: w.longest.Load(), Ended: ended}
	r.Error, _ = w.last.Load().(string)
	body, err := json.Marshal(r)
	if err != nil {
		log.Print(err)
		return
	}
	// The last report is the one that counts.
	for range 20 {
		if err = post(ctx, to, body); err == nil || !ended {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if err != nil {
		log.Print(err)
	}
}

func post(ctx context.Context, to string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("reporting: %s", response.Status)
	}
	return nil
}
