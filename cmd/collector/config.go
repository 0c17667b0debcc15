package main

import (
	"errors"
	"time"

	"github.com/bindery-dev/bindery/cmd/internal/env"
	"github.com/bindery-dev/bindery/cmd/internal/redisclient"
)

const defaultPort = 4001

// config is what the environment says.
type config struct {
	port          int
	ttl           time.Duration // 0: for ever
	shutdownDelay time.Duration
	redis         *redisclient.Client // nil: attached to none
}

// ListenPort is for the frame of the program.
func (c config) ListenPort() int { return c.port }

// readConfig reads all of it; the error joins one for each variable.
func readConfig(get env.Lookup) (config, error) {
	var c config
	var err [4]error
	c.port, err[0] = env.Port(get, "COLLECTOR_PORT", defaultPort)
	c.ttl, err[1] = env.Duration(get, "COLLECTOR_TTL", time.Second)
	c.shutdownDelay, err[2] = env.Duration(get, "COLLECTOR_SHUTDOWN_DELAY", 0)
	if value := get("REDIS_URL"); value != "" {
		// SET of a value under a key of its own and GET may be sent twice: the second changes nothing.
		c.redis, err[3] = redisclient.Open("REDIS_URL", value, 1)
	}
	return c, errors.Join(err[:]...)
}
