package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// sendAll sends requests at the rate that was asked for, until ctx is done or one of the bounds is reached. It does not
// wait for answers before it sends more, up to the concurrency: an app that becomes slow gets as many requests as before,
// and what could not be sent is counted as skipped.
func sendAll(ctx context.Context, s settings, c *client, counts *counts) {
	turns := make(chan int)
	var workers sync.WaitGroup
	for range s.concurrency {
		workers.Go(func() {
			for turn := range turns {
				// Not the context of the program: its end is no failure of the app.
				send(context.WithoutCancel(ctx), c, counts, turn%2 == 1)
			}
		})
	}
	ended := pace(ctx, s, turns, counts)
	close(turns)
	workers.Wait()
	counts.end(ended)
}

// pace hands out turns, and says why it stopped.
func pace(ctx context.Context, s settings, turns chan<- int, counts *counts) string {
	ticker := time.NewTicker(time.Second / time.Duration(s.rate))
	defer ticker.Stop()
	over := time.NewTimer(s.maxDuration)
	defer over.Stop()
	for turn := 0; turn < s.maxRequests; {
		select {
		case <-ctx.Done():
			return "stopped"
		case <-over.C:
			return fmt.Sprintf("-max-duration, %s, is over", s.maxDuration)
		case <-ticker.C:
		}
		select {
		case turns <- turn:
			turn++
		default:
			counts.skip()
		}
	}
	return fmt.Sprintf("-max-requests, %d, are sent", s.maxRequests)
}

func send(ctx context.Context, c *client, counts *counts, fresh bool) {
	record := counts.begin()
	began := time.Now()
	got, err := c.get(ctx, fresh)
	record(time.Now(), time.Since(began), got, err)
}
