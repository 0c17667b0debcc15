package main

import (
	"context"

	"github.com/bindery-dev/bindery/cmd/internal/env"
)

// twitter is a token. It is not sent to its vendor: a demonstration posts nothing.
type twitter struct{}

func openTwitter(string, string, env.Lookup) (service, error) { return twitter{}, nil }

func (twitter) endpoint() string { return "" }

func (twitter) prepare(context.Context) error { return nil }

func (twitter) use(context.Context, string) (string, error) { return "has a token", nil }

func (twitter) close() {}
