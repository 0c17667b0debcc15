package transfer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	if os.Getenv(copier) != "" {
		var move transfer.Move
		if err := json.NewDecoder(os.Stdin).Decode(&move); err != nil {
			panic(err)
		}
		os.Exit(int(move.Copy(context.Background())))
	}
	os.Exit(m.Run())
}

// copier is the variable that makes this program one copy.
const copier = "BINDERY_TEST_COPIER"

// copyAndDie copies in a process of its own, which is killed after that time, as a Pod is that loses its node. It returns -1
// if it was.
func copyAndDie(t *testing.T, move transfer.Move, after time.Duration) int32 {
	t.Helper()
	input, err := json.Marshal(move)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), copier+"=1")
	cmd.Stdin = bytes.NewReader(input)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait() // how it ended is in its state
	if said.Len() > 0 {
		t.Errorf("it says something: %s", &said)
	}
	return int32(cmd.ProcessState.ExitCode())
}

// copyAndEnd copies until that time.
func copyAndEnd(t *testing.T, move transfer.Move, after time.Duration) int32 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	return move.Copy(ctx)
}

// interrupt interrupts a copy at several points, in both ways, until one of them is not in time. whole is how long one takes.
func interrupt(t *testing.T, move transfer.Move, whole time.Duration, between func()) {
	t.Helper()
	const points = 5
	accepted := []int32{
		-1, outcome.Done, outcome.CopyEnded, outcome.CopyBusy, outcome.WritersThere, outcome.SourceUnreachable, outcome.TargetUnreachable,
	}
	for i := range points {
		end := map[bool]func(*testing.T, transfer.Move, time.Duration) int32{true: copyAndDie, false: copyAndEnd}[i%2 == 0]
		got := end(t, move, whole*time.Duration(2*i+1)/(2*points))
		if !slices.Contains(accepted, got) {
			t.Errorf("a copy that was ended after %d/%d: %d", 2*i+1, 2*points, got)
		}
		if got == outcome.Done {
			return
		}
		between()
	}
}

// copyAtOnce copies one source to two targets at the same time, as a Job does while the session of one that was killed is still
// there.
func copyAtOnce(t *testing.T, one, other transfer.Move) {
	t.Helper()
	codes := make(chan int32)
	for _, move := range []transfer.Move{one, other} {
		go func() { codes <- transfer.DespiteOthers(move).Copy(t.Context()) }()
	}
	for range 2 {
		must(t, "one of two copies", <-codes, outcome.Done)
	}
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

// watchArguments looks at the arguments of all processes until the test ends, and fails it if one has a password.
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
