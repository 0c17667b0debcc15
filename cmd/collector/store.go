package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/bindery-dev/bindery/cmd/internal/redisclient"
)

// store keeps objects in the attached Redis, each under a key of its own.
type store struct {
	redis *redisclient.Client // nil: attached to none
	ttl   time.Duration       // 0: for ever

	wrote atomic.Bool // the Redis took a write of ours, at some time
}

var (
	errUnknownKey  = errors.New("nothing is stored under this key")
	errNotAttached = errors.New("no Redis is attached: REDIS_URL is not set")
)

// put stores a value under a new key. Keys are random UUIDs: whoever knows one can read what is stored under it, so they
// must not be guessable.
func (s *store) put(ctx context.Context, value []byte) (string, error) {
	key := uuid.NewString()
	if err := s.set(ctx, key, value, s.ttl); err != nil {
		return "", err
	}
	return key, nil
}

// size answers how many bytes are stored under a key, or errUnknownKey.
func (s *store) size(ctx context.Context, key string) (int64, error) {
	if s.redis == nil {
		return 0, errNotAttached
	}
	ctx, cancel := context.WithTimeout(ctx, redisclient.Patience)
	defer cancel()
	size, err := s.redis.StrLen(ctx, key).Result()
	switch {
	case err != nil:
		return 0, s.explain(err)
	case size == 0:
		return 0, errUnknownKey // a record is never empty
	case size > maxRecord:
		return 0, errNotRecord
	}
	return size, nil
}

// get answers what is stored under a key, up to that size, or errUnknownKey if there is nothing any more.
func (s *store) get(ctx context.Context, key string, size int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, redisclient.Patience)
	defer cancel()
	value, err := s.redis.GetRange(ctx, key, 0, size-1).Bytes()
	if err == nil && len(value) == 0 {
		return nil, errUnknownKey
	}
	return value, s.explain(err)
}

// ready asks Redis. The first time it writes, a key that Redis forgets by itself: only that proves that a Redis that was
// just attached takes our writes, and not only our greetings, which stops a rollout to a replica or to an account that
// may only read. After that a PING will do, so that a Redis that became full can still be read from.
func (s *store) ready(ctx context.Context) error {
	if !s.wrote.Load() {
		return s.set(ctx, "collector:ready", nil, time.Minute)
	}
	ctx, cancel := context.WithTimeout(ctx, redisclient.Patience)
	defer cancel()
	return s.explain(s.redis.Ping(ctx).Err())
}

func (s *store) set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if s.redis == nil {
		return errNotAttached
	}
	ctx, cancel := context.WithTimeout(ctx, redisclient.Patience)
	defer cancel()
	if err := s.redis.Set(ctx, key, value, ttl).Err(); err != nil {
		return s.explain(err)
	}
	s.wrote.Store(true)
	return nil
}

func (s *store) close() {
	if s.redis != nil {
		// All requests are answered: there is nothing that an error could have cost.
		_ = s.redis.Close()
	}
}

// explain makes an error of Redis one that may be answered and logged.
func (s *store) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("REDIS_URL leads to %s: %s", s.redis.Endpoint(), redisclient.Reason(err))
}
