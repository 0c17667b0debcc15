package httpserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/cmd/internal/httpserver"
)

var quiet = slog.New(slog.DiscardHandler)

func TestHealth(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })
	away := func(context.Context) error { return errors.New("the store is away") }
	tests := map[string]struct {
		ready  func(context.Context) error
		path   string
		status int
		body   string
	}{
		"alive":                                  {nil, "/healthz", 200, `{"status":"alive"}` + "\n"},
		"alive while it is not ready":            {away, "/healthz", 200, `{"status":"alive"}` + "\n"},
		"ready, when nothing says otherwise":     {nil, "/readyz", 200, `{"status":"ready"}` + "\n"},
		"not ready, and why":                     {away, "/readyz", 503, `{"status":"not ready","error":"the store is away"}` + "\n"},
		"the root is the app's":                  {nil, "/", 200, "/"},
		"a path below a health endpoint is too":  {nil, "/healthz/x", 200, "/healthz/x"},
		"and one that a ServeMux would redirect": {nil, "//a/../b", 200, "//a/../b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := serve(t, httpserver.Options{Handler: echo, Ready: tt.ready, Log: quiet})
				response := server.get(t, tt.path)
				if response.status != tt.status || response.body != tt.body {
					t.Errorf("GET %s = %d %q, want %d %q", tt.path, response.status, response.body, tt.status, tt.body)
				}
			})
		})
	}
}

func TestReadinessIsLoggedWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var problem error
		var log bytes.Buffer
		server := serve(t, httpserver.Options{
			Handler: http.NotFoundHandler(),
			Ready:   func(context.Context) error { return problem },
			Log:     slog.New(slog.NewJSONHandler(&log, nil)),
		})
		for _, problem = range []error{errors.New("a"), errors.New("a"), errors.New("b"), nil, nil, errors.New("a")} {
			server.get(t, "/readyz")
		}
		server.stop()
		if err := server.wait(); err != nil {
			t.Fatal(err)
		}
		want := []string{"not ready a", "not ready b", "ready ", "not ready a"}
		if diff := cmp.Diff(want, readinessLines(t, &log)); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	})
}

func TestStop(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

	t.Run("goes on serving for the delay, not ready and closing connections", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server := serve(t, httpserver.Options{Handler: ok, Delay: 10 * time.Second, Log: quiet})
			if before := server.get(t, "/"); before.close {
				t.Error("an answer before the stop closes its connection")
			}
			stopped := time.Now()
			server.stop()
			synctest.Wait()
			if ready := server.get(t, "/readyz"); ready.status != 503 || ready.body != `{"status":"stopping"}`+"\n" {
				t.Errorf("/readyz = %+v, want 503 at once", ready)
			}
			if alive := server.get(t, "/healthz"); alive.status != 200 {
				t.Errorf("/healthz = %+v, want 200: who is killed now loses requests", alive)
			}
			time.Sleep(9 * time.Second) // of the bubble's clock
			if late := server.get(t, "/"); late.status != 200 || !late.close {
				t.Errorf("GET / = %+v, want 200 and a closed connection", late)
			}
			if err := server.wait(); err != nil || time.Since(stopped) > 12*time.Second {
				t.Errorf("ended %s after the stop: %v, want after 10 to 12 s", time.Since(stopped), err)
			}
			if _, err := server.try(t, "/"); err == nil {
				t.Error("it still answers")
			}
		})
	})

	t.Run("ends at once when nobody is connected", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server := serve(t, httpserver.Options{Handler: ok, Log: quiet})
			began := time.Now()
			server.stop()
			if err := server.wait(); err != nil || time.Since(began) > 100*time.Millisecond {
				t.Errorf("ended after %s: %v", time.Since(began), err)
			}
		})
	})

	t.Run("completes the requests in flight", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(7 * time.Second) })
			server := serve(t, httpserver.Options{Handler: slow, Log: quiet})
			answered := make(chan answer, 1)
			go func() { answered <- server.get(t, "/") }()
			synctest.Wait() // the request is with the handler
			server.stop()
			if got := <-answered; got.status != 200 {
				t.Errorf("GET / = %+v, want 200", got)
			}
			if err := server.wait(); err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("cuts off a request that never ends, and says so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			released := make(chan struct{})
			stuck := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released })
			server := serve(t, httpserver.Options{Handler: stuck, Log: quiet})
			go func() { _, _ = server.try(t, "/") }()
			synctest.Wait()
			server.stop()
			if err := server.wait(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Serve = %v, want that a request was cut off", err)
			}
			close(released)
		})
	})
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	err = httpserver.Serve(t.Context(), l, httpserver.Options{Handler: http.NotFoundHandler(), Log: quiet})
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v, want the listener's error", err)
	}
}

// Clients that use their connection without a pause, on real sockets, and that send nothing twice.
func TestStopFailsNoRequestOfBusyClients(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
		ended <- httpserver.Serve(ctx, l, httpserver.Options{Handler: ok, Log: quiet})
	}()

	var clients sync.WaitGroup
	var answered atomic.Int64
	for range 16 {
		clients.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for {
				// net/http sends again what it may send again: no POST with a body that cannot be rewound.
				body := struct{ io.Reader }{strings.NewReader("x")}
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String(), body)
				if err != nil {
					t.Error(err)
					return
				}
				response, err := transport.RoundTrip(request)
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if answered.Add(1) == 1000 {
					stop()
				}
				if response.Close {
					return // the next one would go to another Pod
				}
			}
		})
	}
	clients.Wait()
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// server is one on a listener in memory, so that its time can be a bubble's.
type server struct {
	client http.Client
	stop   context.CancelFunc
	ended  chan struct{}
	err    error // of Serve, once ended
}

type answer struct {
	status int
	body   string
	close  bool
}

func serve(t *testing.T, o httpserver.Options) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	transport := &http.Transport{DialContext: l.dial}
	s := &server{client: http.Client{Transport: transport}, stop: cancel, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.err = httpserver.Serve(ctx, l, o)
	}()
	t.Cleanup(func() {
		cancel()
		transport.CloseIdleConnections()
		<-s.ended
	})
	return s
}

func (s *server) get(t *testing.T, path string) answer {
	t.Helper()
	got, err := s.try(t, path)
	if err != nil {
		t.Errorf("GET %s: %v", path, err)
	}
	return got
}

func (s *server) try(t *testing.T, path string) (answer, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://memory"+path, nil)
	if err != nil {
		return answer{}, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, body: string(body), close: response.Close}, err
}

func (s *server) wait() error {
	<-s.ended
	return s.err
}

type memoryListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *memoryListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{} }

func readinessLines(t *testing.T, log *bytes.Buffer) []string {
	t.Helper()
	var all []string
	for decoder := json.NewDecoder(log); decoder.More(); {
		var line struct{ Msg, Status, Error string }
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Msg == "readiness" {
			all = append(all, line.Status+" "+line.Error)
		}
	}
	return all
}
