package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestReport(t *testing.T) {
	const ms = time.Millisecond
	visits := pingerAt("visits.shop.svc:6379")
	other := pingerAt("more-visits.shop.svc:6379")
	refused := errors.New("connection refused")
	tests := map[string]struct {
		happen func(*counts)
		want   report
	}{
		"nothing yet": {
			func(*counts) {},
			report{Since: noon, Endpoints: map[string]map[string]int{}, Errors: []failure{}},
		},
		"a swap is seen in the endpoints": {
			func(c *counts) {
				for range 3 {
					c.begin()(noon, ms, visits, nil)
				}
				c.begin()(noon, 2*ms, other, nil)
			},
			report{
				Since: noon, Sent: 4, LatencyMs: latencies{P50: 1, P99: 2, Max: 2}, Errors: []failure{},
				Endpoints: redisAt(map[string]int{"visits.shop.svc:6379": 3, "more-visits.shop.svc:6379": 1}),
			},
		},
		"an app that is attached to nothing": {
			func(c *counts) { c.begin()(noon, ms, answer{Counted: true}, nil) },
			report{
				Since: noon, Sent: 1, LatencyMs: latencies{P50: 1, P99: 1, Max: 1}, Endpoints: map[string]map[string]int{}, Errors: []failure{},
			},
		},
		"an app that is attached to several services": {
			func(c *counts) {
				for _, mysql := range []string{"a:3306", "a:3306", "b:3306"} {
					c.begin()(noon, ms, answer{Endpoints: map[string]string{"mysql": mysql, "smtp": "a:25"}, Counted: true}, nil)
				}
			},
			report{
				Since: noon, Sent: 3, LatencyMs: latencies{P50: 1, P99: 1, Max: 1}, Errors: []failure{},
				Endpoints: map[string]map[string]int{"mysql": {"a:3306": 2, "b:3306": 1}, "smtp": {"a:25": 3}},
			},
		},
		"an app whose Redis is away": {
			func(c *counts) { c.begin()(noon, ms, answer{Endpoints: map[string]string{"redis": "a:1"}}, nil) },
			report{
				Since: noon, Sent: 1, LatencyMs: latencies{P50: 1, P99: 1, Max: 1}, Endpoints: redisAt(map[string]int{"a:1": 1}),
				WithoutVisits: 1, Errors: []failure{},
			},
		},
		"what failed, what is under way and what was not sent": {
			func(c *counts) {
				c.begin()(noon.Add(time.Second), ms, answer{}, refused)
				c.begin()
				c.skip()
				c.skip()
				c.end("stopped")
			},
			report{
				Since: noon, Ended: "stopped", Sent: 2, Failed: 1, InFlight: 1, Skipped: 2, Endpoints: map[string]map[string]int{},
				Errors: []failure{{noon.Add(time.Second), "connection refused"}},
			},
		},
		"a very long error": {
			func(c *counts) { c.begin()(noon, ms, answer{}, errors.New(strings.Repeat("a", 9999))) },
			report{
				Since: noon, Sent: 1, Failed: 1, Endpoints: map[string]map[string]int{},
				Errors: []failure{{noon, strings.Repeat("a", 300) + "…"}},
			},
		},
		"a request belongs to the count in which it was sent": {
			func(c *counts) {
				late := c.begin()
				c.reset(noon.Add(time.Hour))
				late(noon.Add(time.Hour), ms, answer{}, refused)
				c.begin()(noon, ms, visits, nil)
			},
			report{
				Since: noon.Add(time.Hour), Sent: 1, LatencyMs: latencies{P50: 1, P99: 1, Max: 1},
				Endpoints: redisAt(map[string]int{"visits.shop.svc:6379": 1}), Errors: []failure{},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCounts(noon)
			tt.happen(c)
			if diff := cmp.Diff(tt.want, c.report()); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

// pingerAt is an answer of Pinger, attached to that Redis.
func pingerAt(endpoint string) answer {
	return answer{Endpoints: map[string]string{"redis": endpoint}, Counted: true}
}

func redisAt(endpoints map[string]int) map[string]map[string]int {
	return map[string]map[string]int{"redis": endpoints}
}

func TestTheFirstTenErrorsAreKeptAndAllAreCounted(t *testing.T) {
	c := newCounts(noon)
	for n := range 25 {
		c.begin()(noon, 0, answer{}, fmt.Errorf("error %d", n))
	}
	got := c.report()
	if got.Failed != 25 || len(got.Errors) != 10 || got.Errors[0].Error != "error 0" || got.Errors[9].Error != "error 9" {
		t.Errorf("failed = %d, errors = %v, want 25 and the first ten", got.Failed, got.Errors)
	}
}

func TestEndpointsAreBounded(t *testing.T) {
	c := newCounts(noon)
	for n := range 70 {
		c.begin()(noon, 0, pingerAt(fmt.Sprintf("redis-%d:6379", n)), nil)
	}
	c.begin()(noon, 0, pingerAt("redis-0:6379"), nil)
	got := c.report().Endpoints
	if n, others := len(got["redis"]), got["other"]["other"]; n != 50 || others != 20 || got["redis"]["redis-0:6379"] != 2 {
		t.Errorf("%d endpoints, %d others, want 50 and 20", n, others)
	}
}

func TestPercentiles(t *testing.T) {
	hundred := make([]uint32, 100)
	for i := range hundred {
		hundred[i] = uint32(100-i) * 1000 // 100 ms to 1 ms, not in order
	}
	tests := map[string]struct {
		micros []uint32
		want   latencies
	}{
		"none":           {nil, latencies{}},
		"one":            {[]uint32{1500}, latencies{1.5, 1.5, 1.5}},
		"two":            {[]uint32{2000, 1000}, latencies{1, 2, 2}},
		"1 to 100":       {hundred, latencies{50, 99, 100}},
		"one that stuck": {append(make([]uint32, 99), 5_000_000), latencies{0, 0, 5000}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, measure(tt.micros)); diff != "" {
				t.Errorf("measure (-want +got):\n%s", diff)
			}
		})
	}
}
