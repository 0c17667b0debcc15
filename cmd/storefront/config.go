package main

import (
	"errors"
	"time"

	"github.com/bindery-dev/bindery/cmd/internal/env"
)

const defaultPort = 3000

// config is what the environment says.
type config struct {
	port          int
	shutdownDelay time.Duration
	attached      []*attachment
}

// ListenPort is for the frame of the program.
func (c config) ListenPort() int { return c.port }

// kind is one of the types of services that the app can use.
type kind struct {
	name, variable string
	// open reads the handle, the value of the variable. It opens no connection. Its error names the variable, and has no part of the value.
	open func(variable, value string, get env.Lookup) (service, error)
}

var kinds = []kind{
	{"mysql", "MYSQL_URL", openMySQL},
	{"postgresql", "DATABASE_URL", openPostgreSQL},
	{"rabbitmq", "RABBITMQ_URL", openRabbitMQ},
	{"memcached", "MEMCACHED_URL", openMemcached},
	{"smtp", "SMTP_URL", openSMTP},
	{"s3", "S3_URL", openS3},
	{"twitter", "TWITTER_BEARER_TOKEN", openTwitter},
}

// readConfig reads all of it; the error joins one for each variable.
func readConfig(get env.Lookup) (config, error) {
	var c config
	var err [2]error
	c.port, err[0] = env.Port(get, "STOREFRONT_PORT", defaultPort)
	c.shutdownDelay, err[1] = env.Duration(get, "STOREFRONT_SHUTDOWN_DELAY", 0)
	problems := err[:]
	for _, k := range kinds {
		value := get(k.variable)
		if value == "" {
			continue
		}
		opened, err := k.open(k.variable, value, get)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		c.attached = append(c.attached, &attachment{kind: k, service: opened})
	}
	return c, errors.Join(problems...)
}
