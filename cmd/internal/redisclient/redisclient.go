// Package redisclient opens the Redis that an app is attached to.
//
// The handle says which Redis, and who we are. The app decides how long to wait: it is better to say in time that there
// is no answer than to answer late. So the URL's address, credentials, database, TLS and protocol are taken, and its
// other options are checked but not followed.
package redisclient

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

// Patience bounds one exchange with Redis, a connection that has to be opened for it included. It is less than the
// second that the kubelet gives a readiness probe unless told otherwise, so that our answer comes before it gives up.
const Patience = 750 * time.Millisecond

// Client is a Redis client that knows what it may say of its address.
type Client struct {
	*redis.Client
	handle.Handle
}

// Open reads the handle in the environment variable of that name and makes a client for it. It opens no connection: an
// app starts while its Redis is away, and says that it is not ready. Errors name the variable and hold no part of the
// value.
//
// A command is tried retries more times when the connection broke; 0 is for commands that do more when they are sent
// again.
func Open(variable, value string, retries int) (*Client, error) {
	h, err := handle.Parse(variable, value, handle.Schemes{"redis": "6379", "rediss": "6379"})
	if err != nil {
		return nil, err
	}
	parsed, err := redis.ParseURL(h.Reveal())
	if err != nil {
		// The error quotes the path and the query, where the half of an unescaped password ends up.
		return nil, fmt.Errorf("%s has a path or an option that Redis clients do not know: want a database number, "+
			"as in redis://host:6379/0, and the options of go-redis after a question mark", variable)
	}
	if retries == 0 {
		retries = -1 // the library's word for none
	}
	// The library also writes to stderr what it returns as errors: in lines that are not JSON, with addresses and any
	// text that a server sent.
	logging.Disable()
	return &Client{Handle: h, Client: redis.NewClient(&redis.Options{
		Addr:       parsed.Addr,
		Username:   parsed.Username,
		Password:   parsed.Password,
		DB:         parsed.DB,
		TLSConfig:  parsed.TLSConfig,
		Protocol:   parsed.Protocol,
		ClientName: parsed.ClientName,

		ContextTimeoutEnabled: true, // the caller's deadline bounds everything below
		DialTimeout:           Patience,
		ReadTimeout:           Patience,
		WriteTimeout:          Patience,
		PoolTimeout:           Patience,
		DialerRetries:         1,
		MaxRetries:            retries,

		// Each of these costs an exchange on every new connection, and older servers answer it with an error.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})}, nil
}

// Reason says in a few words why Redis did not do what it was asked. Of what Redis itself said only the code is passed
// on, because its sentences name users.
func Reason(err error) string {
	answer, ok := errors.AsType[redis.Error](err)
	if !ok {
		if errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) {
			return "no connection was free in time"
		}
		return handle.Reason(err)
	}
	code := errorCode.FindString(answer.Error())
	if meaning, ok := meanings[code]; ok {
		return meaning
	}
	if strings.Contains(answer.Error(), "DB index is out of range") {
		return "it has no database of that number"
	}
	if code == "" {
		return "it answered with an error"
	}
	return "it answered " + code
}

// errorCode is what an error of Redis begins with: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
var errorCode = regexp.MustCompile(`^[A-Z]{2,20}\b`)

var meanings = map[string]string{
	"WRONGPASS":  "it refused the credentials",
	"NOAUTH":     "it refused the credentials",
	"NOPERM":     "it does not permit this command",
	"READONLY":   "it is a replica that takes no writes",
	"OOM":        "it is full (maxmemory)",
	"LOADING":    "it is still loading its data",
	"MISCONF":    "it cannot write its data to disk",
	"MASTERDOWN": "it is a replica whose primary is away",
	"WRONGTYPE":  "something of another type is stored under that key",
}
