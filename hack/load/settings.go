package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"time"
)

// Bounds of what may be asked for. One node of a development cluster serves the app, this and everything else.
const (
	mostRate        = 1000
	mostConcurrency = 256
	mostRequests    = 10_000_000
)

type settings struct {
	target      *url.URL
	rate        int // requests per second
	concurrency int
	listen      string
	maxDuration time.Duration
	maxRequests int
}

func parse(args []string, output io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(output)
	target := flags.String("url", "", "where to send requests, such as http://pinger.shop.svc:3000/")
	flags.IntVar(&s.rate, "rate", 50, "requests per `second`")
	flags.IntVar(&s.concurrency, "concurrency", 8, "most requests at the same time")
	flags.StringVar(&s.listen, "listen", ":8080", "`address` to serve /stats, /reset and /healthz on")
	flags.DurationVar(&s.maxDuration, "max-duration", 30*time.Minute, "stop sending after this time")
	flags.IntVar(&s.maxRequests, "max-requests", 1_000_000, "stop sending after this many requests")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	var err error
	if s.target, err = parseTarget(*target); err != nil {
		return s, err
	}
	return s, errors.Join(
		unexpected(flags.Args()),
		within("-rate", s.rate, mostRate),
		within("-concurrency", s.concurrency, mostConcurrency),
		within("-max-requests", s.maxRequests, mostRequests),
		positive("-max-duration", s.maxDuration),
	)
}

func unexpected(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

func within(name string, value, most int) error {
	if value < 1 || value > most {
		return fmt.Errorf("%s is %d: want 1 to %d", name, value, most)
	}
	return nil
}

func positive(name string, value time.Duration) error {
	if value <= 0 {
		return fmt.Errorf("%s is %s: want more than 0", name, value)
	}
	return nil
}
