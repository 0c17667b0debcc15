package main

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/bindery-dev/bindery/cmd/internal/httpserver"
	"github.com/bindery-dev/bindery/cmd/internal/requestlog"
)

// app answers requests.
type app struct {
	config config
	visits *visits // nil: attached to no Redis
}

// answer is what every path answers. The names are those of the original Pinger.
type answer struct {
	AppName       string    `json:"appName"`
	CurrentTime   time.Time `json:"currentTime"`
	Port          int       `json:"PINGER_PORT"`
	RandomMessage string    `json:"randomMessage"`
	CorrelationID string    `json:"correlationId"`
	// Visits is absent without a Redis and null with one that cannot be reached.
	Visits      *count   `json:"visits,omitempty"`
	VisitsError string   `json:"visitsError,omitempty"`
	Attached    attached `json:"attached"`
	*adminAnswer
}

// attached says where the app's resources are: host and port of each, and nothing else of its handle.
type attached struct {
	Redis     *resource `json:"redis,omitempty"`
	Collector *resource `json:"collector,omitempty"`
}

type resource struct {
	Endpoint string `json:"endpoint"`
}

var messages = []string{
	"The code does not know where its Redis lives.",
	"A resource is attached, not installed.",
	"Local or far away: the app cannot tell.",
	"One handle, one line, one rollout.",
	"Detach me and I still answer.",
	"The old database stays a few days, attached to nothing.",
	"Config lives in the environment.",
	"Swap it while I talk.",
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply := answer{
		AppName:       "Pinger",
		CurrentTime:   time.Now().UTC(),
		Port:          a.config.port,
		RandomMessage: messages[rand.IntN(len(messages))],
		CorrelationID: requestlog.CorrelationID(r.Context()),
	}
	if a.config.collector.Attached() {
		reply.Attached.Collector = &resource{Endpoint: a.config.collector.Endpoint()}
	}
	if a.visits != nil {
		reply.Attached.Redis = &resource{Endpoint: a.config.redis.Endpoint()}
		reply.Visits, reply.VisitsError = a.visits.next(r.Context())
	}
	if a.config.admin {
		reply.adminAnswer = inspect(a.config.version)
	}
	httpserver.WriteJSON(w, http.StatusOK, reply)
}
