// Package testrabbit runs a real RabbitMQ for tests: one node with ports, a folder, a cookie and a name server of its own,
// gone at the end of the test. It needs some ten seconds to start, so tests share one.
package testrabbit

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/bindery-dev/bindery/hack/testserver"
)

// Debian's programs on PATH run as root or as the user rabbitmq only, and these as anybody.
const (
	program = "/usr/lib/rabbitmq/bin/rabbitmq-server"
	control = "/usr/lib/rabbitmq/bin/rabbitmqctl"
)

// Definitions are what the node has at first: https://www.rabbitmq.com/docs/definitions
type Definitions struct {
	Users       []User       `json:"users"`
	Vhosts      []Vhost      `json:"vhosts"`
	Permissions []Permission `json:"permissions"`
	Parameters  []Parameter  `json:"parameters,omitempty"`
	Queues      []Queue      `json:"queues,omitempty"`
}

// User may do nothing until there is a Permission.
type User struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Tags     string `json:"tags"`
}

// Vhost is a virtual host.
type Vhost struct {
	Name string `json:"name"`
}

// Permission lets a user into a virtual host. The patterns say which queues and exchanges the user may use there.
type Permission struct {
	User      string `json:"user"`
	Vhost     string `json:"vhost"`
	Configure string `json:"configure"`
	Write     string `json:"write"`
	Read      string `json:"read"`
}

// Parameter is a setting of a virtual host, such as its limits.
type Parameter struct {
	Component string         `json:"component"`
	Name      string         `json:"name"`
	Vhost     string         `json:"vhost"`
	Value     map[string]int `json:"value"`
}

// Queue of a virtual host.
type Queue struct {
	Name       string         `json:"name"`
	Vhost      string         `json:"vhost"`
	Durable    bool           `json:"durable"`
	AutoDelete bool           `json:"auto_delete"`
	Arguments  map[string]any `json:"arguments"`
}

// Server is a running node.
type Server struct {
	tb            testing.TB
	environment   []string
	plain, secure string
	authority     *testserver.Authority
}

// Start runs a node until the test ends.
func Start(tb testing.TB, content Definitions) *Server {
	tb.Helper()
	dir, names := tb.TempDir(), testserver.FreePort(tb)
	s := &Server{tb: tb, plain: freeAddress(tb), secure: freeAddress(tb), authority: testserver.NewAuthority(tb)}
	s.environment = []string{
		"HOME=" + dir, // the cookie is there
		"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT=" + strconv.Itoa(names),
		"RABBITMQ_NODENAME=test@localhost",
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(testserver.FreePort(tb)),
		"RABBITMQ_CONF_ENV_FILE=" + filepath.Join(dir, "none"), // not that of the system
		"RABBITMQ_CONFIG_FILE=" + s.configure(dir, content),
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(dir, "plugins"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -kernel inet_dist_use_interface {127,0,0,1}",
		// The script becomes the node, and does not start one that outlives it.
		"RABBITMQ_ALLOW_INPUT=true",
	}
	// Erlang would start this by itself, and leave it behind.
	testserver.Start(tb, testserver.Listens(net.JoinHostPort("127.0.0.1", strconv.Itoa(names))), s.environment, "epmd")
	testserver.Start(tb, testserver.Listens(s.secure), s.environment, program)
	s.Control("await_startup")
	return s
}

// configure writes the files of the node, and returns the name of that with its settings.
func (s *Server) configure(dir string, content Definitions) string {
	s.tb.Helper()
	definitions, err := json.Marshal(content)
	if err != nil {
		s.tb.Fatal(err)
	}
	certificate, key, authority := s.authority.Files("127.0.0.1")
	loaded := filepath.Join(dir, "definitions.json")
	settings := "listeners.tcp.1 = " + s.plain + "\nlisteners.ssl.1 = " + s.secure +
		"\nssl_options.certfile = " + certificate + "\nssl_options.keyfile = " + key + "\nssl_options.cacertfile = " + authority +
		"\nssl_options.verify = verify_none\nload_definitions = " + loaded + "\n"
	file := filepath.Join(dir, "rabbitmq.conf")
	for path, text := range map[string][]byte{loaded: definitions, file: []byte(settings)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			s.tb.Fatal(err)
		}
	}
	return file
}

func freeAddress(tb testing.TB) string {
	tb.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(tb)))
}

// Addr is the host and port of AMQP.
func (s *Server) Addr() string { return s.plain }

// SecureAddr is the host and port of AMQP over TLS, with a certificate for 127.0.0.1.
func (s *Server) SecureAddr() string { return s.secure }

// Authority has issued that certificate.
func (s *Server) Authority() *testserver.Authority { return s.authority }

// Control runs rabbitmqctl, and returns what it says.
func (s *Server) Control(arguments ...string) string {
	s.tb.Helper()
	return testserver.Run(s.tb, s.environment, control, append([]string{"--quiet"}, arguments...)...)
}
