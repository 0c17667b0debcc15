package transfer_test

import (
	"bytes"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bindery-dev/bindery/controllers/internal/move/outcome"
	"github.com/bindery-dev/bindery/controllers/internal/move/transfer"
)

// odd is a password with everything that somebody might forget to quote. It is in no output, and in no list of arguments.
const odd = `cAnArY'"\#;=%&$(x)` + "`!?@:/ ü"

// TestMain has the tools of PostgreSQL themselves in front of Debian's program that looks for them.
func TestMain(m *testing.M) {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(found) > 0 {
		if err := os.Setenv("PATH", found[len(found)-1]+":"+os.Getenv("PATH")); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// must fails the test if a step has come to something else.
func must(t *testing.T, what string, got, want int32) {
	t.Helper()
	if got != want {
		known, _ := outcome.Lookup(got)
		t.Fatalf("%s: %d (%s), want %d", what, got, known.Sentence, want)
	}
}

func handle(scheme, user, password, address, rest string) string {
	u := url.URL{Scheme: scheme, User: url.UserPassword(user, password), Host: address}
	return u.String() + rest
}

// listener looks at the arguments of all processes until the test ends, and fails it if one has a password.
func watchArguments(t *testing.T, secrets ...string) {
	t.Helper()
	stop := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			lists, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, list := range lists {
				arguments, err := os.ReadFile(list)
				for _, secret := range secrets {
					if err == nil && bytes.Contains(arguments, []byte(secret)) {
						t.Errorf("a password is in the arguments of a process: %q", arguments)
					}
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { close(stop); ended.Wait() })
}

func newID() string { return rand.Text() }

func itoa(n int) string { return strconv.Itoa(n) }

var _ = transfer.Move{}
