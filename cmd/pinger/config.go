package main

import (
	"errors"
	"time"

	"github.com/bindery-dev/bindery/cmd/internal/env"
	"github.com/bindery-dev/bindery/cmd/internal/handle"
	"github.com/bindery-dev/bindery/cmd/internal/redisclient"
)

const defaultPort = 3000

// config is what the environment says.
type config struct {
	port          int
	admin         bool
	version       string
	shutdownDelay time.Duration
	redis         *redisclient.Client // nil: attached to none
	collector     handle.Handle
}

// ListenPort is for the frame of the program.
func (c config) ListenPort() int { return c.port }

// readConfig reads all of it; the error joins one for each variable.
func readConfig(get env.Lookup) (config, error) {
	c := config{version: get("CURRENT_VERSION")}
	var err [5]error
	c.port, err[0] = env.Port(get, "PINGER_PORT", defaultPort)
	c.admin, err[1] = env.Bool(get, "PINGER_ADMIN")
	c.shutdownDelay, err[2] = env.Duration(get, "PINGER_SHUTDOWN_DELAY", 0)
	// An empty handle is a detached one: clearing the variable is the oldest way to detach.
	if value := get("REDIS_URL"); value != "" {
		// INCR is not sent twice: one whose answer was lost would count its visitor twice.
		c.redis, err[3] = redisclient.Open("REDIS_URL", value, 0)
	}
	if value := get("COLLECTOR_URL"); value != "" {
		c.collector, err[4] = handle.Parse("COLLECTOR_URL", value, handle.Schemes{"http": "80", "https": "443"})
	}
	return c, errors.Join(err[:]...)
}
