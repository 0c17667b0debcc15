package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

const (
	// watchEvery is the time between two looks, and watchPatience how long a server may take to answer.
	watchEvery, watchPatience = 50 * time.Millisecond, time.Second
)

// sample is how the two servers of a move are at one moment. The target is asked first.
type sample struct {
	At     time.Time `json:"at"`
	Target state     `json:"target"`
	// Over: the target has the mark that it is the one that is written to. It is looked for after the rest of the target was
	// read, and before the source is.
	Over   bool  `json:"over"`
	Source state `json:"source"`
}

// state is what a server says about itself.
type state struct {
	// Error: it does not answer.
	Error string `json:"error,omitempty"`
	// Run is another one after each start.
	Run  string `json:"run,omitempty"`
	Role string `json:"role,omitempty"`
	// Writes are the calls of SET and INCR in this run, those of a server that it follows included. Refused are those that it
	// refused because it follows.
	Writes  int64 `json:"writes"`
	Refused int64 `json:"refused"`
	// History and Offset are what was written in all. Before and Since: until that offset it had the history of that other
	// server.
	History string `json:"history,omitempty"`
	Offset  int64  `json:"offset"`
	Before  string `json:"before,omitempty"`
	Since   int64  `json:"since"`
}

// watch writes a sample to stdout again and again, one line of JSON each. It is nobody that a move waits for: it logs in as
// the move itself does, with the passwords that Jobs of the move have in their environment.
func watch(ctx context.Context, id, from, to string) error {
	source, target := watched(from, "BINDERY_MOVE_FROM"), watched(to, "BINDERY_MOVE_TO")
	defer func() { _, _ = source.Close(), target.Close() }()
	logging.Disable() // it says what is in the samples, too
	out := json.NewEncoder(os.Stdout)
	for tick := time.Tick(watchEvery); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
		one := sample{At: time.Now(), Target: stateOf(ctx, target)}
		if one.Target.Error == "" {
			var err error
			if one.Over, err = has(ctx, target, "bindery:move:"+id+":over"); err != nil {
				one.Target = state{Error: err.Error()}
			}
		}
		one.Source = stateOf(ctx, source)
		if err := out.Encode(one); err != nil {
			return fmt.Errorf("writing a sample: %w", err)
		}
	}
}

func watched(address, variable string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: address, Username: "bindery-move", Password: os.Getenv(variable), Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		PoolSize: 1, DialTimeout: watchPatience, ReadTimeout: watchPatience, WriteTimeout: watchPatience, DialerRetries: 1,
	})
}

func has(ctx context.Context, client *redis.Client, key string) (bool, error) {
	err := client.Get(ctx, key).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

func stateOf(ctx context.Context, client *redis.Client) state {
	text, err := client.Info(ctx, "everything").Result()
	if err != nil {
		return state{Error: err.Error()}
	}
	said := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			said[name] = value
		}
	}
	return state{
		Run: said["run_id"], Role: said["role"], Writes: first(said["cmdstat_set"]) + first(said["cmdstat_incr"]),
		Refused: first(said["errorstat_READONLY"]),
		History: said["master_replid"], Offset: first(said["master_repl_offset"]),
		Before: said["master_replid2"], Since: first(said["second_repl_offset"]),
	}
}

// first is a number, or the first one of a list as in "calls=3,usec=7"; 0 if there is none.
func first(value string) int64 {
	value, _, _ = strings.Cut(value, ",")
	if _, number, ok := strings.Cut(value, "="); ok {
		value = number
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
