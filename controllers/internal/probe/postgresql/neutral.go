package postgresql

import (
	"errors"
	"os"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// nowhere is the address that the library believes it connects to. It needs one, and repeats it in errors.
const nowhere = "192.0.2.1"

// settings name everything that the library would take from files of this machine and from its environment otherwise. Each
// of them is replaced later, or means that there is none. The one for the service is missing: even an empty one is looked up.
const settings = "host=" + nowhere + " port=5432 user=nobody password=none dbname=none passfile='' servicefile='' " +
	"sslmode=disable sslcert='' sslkey='' sslcertmode=disable sslrootcert='' sslpassword='' sslsni=1 sslnegotiation=postgres " +
	"target_session_attrs=any min_protocol_version=3.0 max_protocol_version=3.0 channel_binding=prefer require_auth=''"

// errNoKerberos is what the library gets instead of a ticket.
var errNoKerberos = errors.New("there is no Kerberos here")

var setUp sync.Once

// neutral is a configuration with nothing of this machine. The library makes none without reading its environment, where a
// PGSERVICE that leads nowhere is an error. This program reads no such variable either, so they are removed.
func neutral() (*pgconn.Config, error) {
	setUp.Do(func() { pgconn.RegisterGSSProvider(func() (pgconn.GSS, error) { return nil, errNoKerberos }) })
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PG") {
			if err := os.Unsetenv(name); err != nil {
				return nil, err
			}
		}
	}
	return pgconn.ParseConfig(settings)
}
