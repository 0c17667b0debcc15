package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"

	"github.com/bindery-dev/bindery/cmd/internal/redisclient"
)

// visitsKey is the key of the visitor count. All Pods of the app, and all apps that share the Redis, count in it.
const visitsKey = "pinger:visits"

// visits counts visitors in the attached Redis.
type visits struct {
	redis *redisclient.Client
	log   *slog.Logger

	reached atomic.Bool  // the Redis took a write of ours, at some time
	said    atomic.Value // string: the reason that was logged last
}

// count is a number of visits, or null.
type count struct {
	known bool
	n     int64
}

func (c *count) MarshalJSON() ([]byte, error) {
	if !c.known {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, c.n, 10), nil
}

// next counts one visitor. If it cannot, it says why, and the request is answered without a count.
func (v *visits) next(ctx context.Context) (*count, string) {
	n, why := v.add(ctx, 1)
	if why != "" {
		return &count{}, why
	}
	return &count{known: true, n: n}, ""
}

// ready is nil once the Redis took a write, and stays so.
//
// It must do two things that pull in opposite directions. A rollout to a Redis that is dead, or that refuses our
// credentials or our writes, has to stop at its first Pod, while the old Pods continue to serve: so a Pod is not ready
// before its Redis answered. And a Redis that goes away later must not remove every Pod of the app from its Service in
// the same moment, when each of them could still answer: so a Pod that was ready stays ready. What this leaves open is a
// Pod that starts during an outage; it joins the others when the outage is over.
//
// The write adds 0: it needs all that counting needs (credentials, permission, a server that is writable and not full),
// and counts nobody. The collector does not matter here: no answer depends on it.
func (v *visits) ready(ctx context.Context) error {
	if v.reached.Load() {
		return nil
	}
	if _, why := v.add(ctx, 0); why != "" {
		return fmt.Errorf("REDIS_URL leads to %s: %s", v.redis.Endpoint(), why)
	}
	return nil
}

// add changes the count and answers the new one, or in a few words why it could not.
func (v *visits) add(ctx context.Context, by int64) (n int64, why string) {
	bounded, cancel := context.WithTimeout(ctx, redisclient.Patience)
	defer cancel()
	n, err := v.redis.IncrBy(bounded, visitsKey, by).Result()
	if err != nil {
		if ctx.Err() != nil {
			return 0, "the request was given up" // by its client: says nothing about Redis
		}
		why = redisclient.Reason(err)
	} else {
		v.reached.Store(true)
	}
	v.report(why)
	return n, why
}

// report logs when Redis goes away and when it comes back, not each request in between.
func (v *visits) report(why string) {
	before, _ := v.said.Swap(why).(string)
	switch {
	case before == why:
	case why == "":
		v.log.Info("redis is back", "redis", v.redis.Endpoint())
	default:
		v.log.Warn("redis is away", "redis", v.redis.Endpoint(), "reason", why)
	}
}
