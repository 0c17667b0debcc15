// Package catalog says what each type of backing service speaks: the variable that apps usually read, the schemes of its
// handle, its port, and how far a handle of it can be tried. It is only data; it decides nothing.
package catalog

import (
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// Entry is what Bindery knows about one type.
type Entry struct {
	// Variable is the usual name of the environment variable that carries the handle. Empty: there is none, and the user
	// must name one.
	Variable string
	// Schemes that a handle usually begins with, without "://". Empty: any scheme, or no URL at all.
	Schemes []string
	// Dialects are other schemes that clients of the type accept. See Speaks.
	Dialects []string
	// Token is true if the handle is a credential by itself, so that it cannot be written as a plain URL.
	Token bool
	// Vendor is true if the vendor of a token can be asked whether the token is good, in a request that changes nothing.
	Vendor bool
	// Family is what an app reads in a URL of the type: types of one family can take each other's place. See
	// Interchangeable. Empty: no other type is like this one.
	Family string
	// DefaultPort of the protocol, for a handle that names none. 0: it depends on the scheme, or there is none.
	DefaultPort int32
	// Probed: package probe speaks the type's own protocol.
	Probed bool
}

// The families.
const (
	// mail: an app that reads an SMTP URL can send its mail through Postmark as well.
	mail = "mail"
	// web: an app that posts to a URL can post to Loggly as well.
	web = "web"
)

var entries = map[v1alpha1.ServiceType]Entry{
	v1alpha1.TypeRedis: {Variable: "REDIS_URL", Schemes: []string{"redis", "rediss"}, DefaultPort: 6379, Probed: true, Dialects: []string{
		"valkey", "valkeys", "redis-cluster", "rediss-cluster", "redis-socket", "redis-sentinel", "rediss-sentinel", "sentinel",
	}},
	v1alpha1.TypeCollector: {Variable: "COLLECTOR_URL", Schemes: []string{"http", "https"}, Family: web, Probed: true},
	v1alpha1.TypeMySQL: {Variable: "MYSQL_URL", Schemes: []string{"mysql"}, DefaultPort: 3306, Probed: true, Dialects: []string{
		"mysql2", "mysqls", "mariadb", "trilogy",
	}},
	v1alpha1.TypePostgreSQL: {Variable: "DATABASE_URL", Schemes: []string{"postgres", "postgresql"}, DefaultPort: 5432, Probed: true, Dialects: []string{
		"pg", "pgsql", "psql", "postgis",
	}},
	v1alpha1.TypeCouchDB: {Variable: "COUCHDB_URL", Schemes: []string{"http", "https"}, Dialects: []string{"couchdb", "couchdbs"}, Probed: true},
	v1alpha1.TypeRabbitMQ: {Variable: "RABBITMQ_URL", Schemes: []string{"amqp", "amqps"}, Probed: true, Dialects: []string{
		"pyamqp", "librabbitmq", "rabbitmq",
	}},
	v1alpha1.TypeBeanstalkd: {Variable: "BEANSTALKD_URL", Schemes: []string{"beanstalk"}, DefaultPort: 11300, Probed: true, Dialects: []string{
		"beanstalkd",
	}},
	v1alpha1.TypeMemcached: {Variable: "MEMCACHED_URL", Schemes: []string{"memcached"}, DefaultPort: 11211, Probed: true, Dialects: []string{
		"memcache", "memcacheds", "pylibmc", "pymemcache",
	}},
	v1alpha1.TypeSMTP: {Variable: "SMTP_URL", Schemes: []string{"smtp", "smtps"}, Family: mail, Probed: true, Dialects: []string{
		"submission", "submissions",
	}},
	v1alpha1.TypePostmark: {Variable: "POSTMARK_API_TOKEN", Token: true, Vendor: true, Family: mail},
	v1alpha1.TypeS3:       {Variable: "S3_URL", Schemes: []string{"s3"}, Dialects: []string{"s3a", "s3n", "http", "https"}, Probed: true},
	v1alpha1.TypeOpenSearch: {Variable: "OPENSEARCH_URL", Schemes: []string{"http", "https"}, Probed: true, Dialects: []string{
		"opensearch", "elasticsearch",
	}},
	v1alpha1.TypeNewRelic:   {Variable: "NEW_RELIC_LICENSE_KEY", Token: true, Vendor: true},
	v1alpha1.TypeLoggly:     {Variable: "LOGGLY_TOKEN", Token: true, Family: web},
	v1alpha1.TypeTwitter:    {Variable: "TWITTER_BEARER_TOKEN", Token: true, Vendor: true},
	v1alpha1.TypeGoogleMaps: {Variable: "GOOGLE_MAPS_API_KEY", Token: true, Vendor: true},
	v1alpha1.TypeLastFM:     {Variable: "LASTFM_API_KEY", Token: true, Vendor: true},
	v1alpha1.TypeHTTP:       {Variable: "SERVICE_URL", Schemes: []string{"http", "https"}, Family: web, Probed: true},
	v1alpha1.TypeGeneric:    {},
}

// split are the variables that the clients of a type read by themselves, and the others in use.
var split = map[v1alpha1.ServiceType][]v1alpha1.EnvVar{
	v1alpha1.TypeRedis: {
		{Name: "REDIS_HOST", Key: v1alpha1.KeyHost}, {Name: "REDIS_PORT", Key: v1alpha1.KeyPort},
		{Name: "REDIS_USERNAME", Key: v1alpha1.KeyUsername}, {Name: "REDIS_PASSWORD", Key: v1alpha1.KeyPassword},
	},
	v1alpha1.TypeMySQL: {
		{Name: "MYSQL_HOST", Key: v1alpha1.KeyHost}, {Name: "MYSQL_PORT", Key: v1alpha1.KeyPort},
		{Name: "MYSQL_USER", Key: v1alpha1.KeyUsername}, {Name: "MYSQL_PASSWORD", Key: v1alpha1.KeyPassword},
		{Name: "MYSQL_DATABASE", Key: v1alpha1.KeyDatabase},
	},
	// https://www.postgresql.org/docs/current/libpq-envars.html
	v1alpha1.TypePostgreSQL: {
		{Name: "PGHOST", Key: v1alpha1.KeyHost}, {Name: "PGPORT", Key: v1alpha1.KeyPort},
		{Name: "PGUSER", Key: v1alpha1.KeyUsername}, {Name: "PGPASSWORD", Key: v1alpha1.KeyPassword},
		{Name: "PGDATABASE", Key: v1alpha1.KeyDatabase},
	},
	v1alpha1.TypeRabbitMQ: {
		{Name: "RABBITMQ_HOST", Key: v1alpha1.KeyHost}, {Name: "RABBITMQ_PORT", Key: v1alpha1.KeyPort},
		{Name: "RABBITMQ_USERNAME", Key: v1alpha1.KeyUsername}, {Name: "RABBITMQ_PASSWORD", Key: v1alpha1.KeyPassword},
	},
	// https://www.memcachier.com/documentation
	v1alpha1.TypeMemcached: {
		{Name: "MEMCACHIER_SERVERS", Key: "servers"},
		{Name: "MEMCACHIER_USERNAME", Key: v1alpha1.KeyUsername}, {Name: "MEMCACHIER_PASSWORD", Key: v1alpha1.KeyPassword},
	},
	v1alpha1.TypeSMTP: {
		{Name: "SMTP_HOST", Key: v1alpha1.KeyHost}, {Name: "SMTP_PORT", Key: v1alpha1.KeyPort},
		{Name: "SMTP_USERNAME", Key: v1alpha1.KeyUsername}, {Name: "SMTP_PASSWORD", Key: v1alpha1.KeyPassword},
	},
	// The Secret of an ObjectBucketClaim has these keys, and Secrets that people make for the AWS clients have them too.
	v1alpha1.TypeS3: {
		{Name: "AWS_ACCESS_KEY_ID", Key: "AWS_ACCESS_KEY_ID"}, {Name: "AWS_SECRET_ACCESS_KEY", Key: "AWS_SECRET_ACCESS_KEY"},
	},
}

// Split returns the usual variables of apps that take a handle of the type in pieces, and the keys that Secrets usually
// have for them; none if there are no such variables.
func Split(t v1alpha1.ServiceType) []v1alpha1.EnvVar { return slices.Clone(split[t]) }

// schemePorts are the ports of schemes whose port differs from that of their type, or whose type has none.
var schemePorts = map[string]int32{
	"http": 80, "https": 443, "couchdb": 5984, "couchdbs": 6984, "opensearch": 9200, "elasticsearch": 9200,
	"amqp": 5672, "amqps": 5671, "pyamqp": 5672, "librabbitmq": 5672, "rabbitmq": 5672, "amqp+ssl": 5671, "amqp+tls": 5671,
	"smtp": 25, "smtps": 465, "submission": 587, "submissions": 465, "smtp+ssl": 465, "smtp+tls": 587, "smtp+starttls": 587,
	"sentinel": 26379, "redis+sentinel": 26379, "rediss+sentinel": 26379, "redis-sentinel": 26379, "rediss-sentinel": 26379,
}

// Lookup returns the entry of a type. A type that the catalog does not know is treated like generic.
func Lookup(t v1alpha1.ServiceType) Entry { return entries[t] }

// Types returns every type of the catalog.
func Types() []v1alpha1.ServiceType {
	types := make([]v1alpha1.ServiceType, 0, len(entries))
	for t := range entries {
		types = append(types, t)
	}
	return types
}

// Passed returns what it means if a handle of a type was tried and nothing was found wrong, as the reason of the
// condition Verified: Verified, Reachable or NotProbed. Somebody who may not read the Pod or the log of the Job that
// tries a handle sees only that the Job is Complete. So the type alone decides:
//
//   - a type with a probe of its own: the probe spoke with the service, with the credentials of the handle: Verified;
//   - a type whose handles all lead to a host and a port: a connection was opened: Reachable;
//   - a token, and a handle that may have neither host nor port (s3://bucket): NotProbed. The form of a token was looked
//     at. If the handle does name a host and a port, a connection to it was opened as well.
//
// If spec.probe.ask had the vendor of a token asked, it is Verified instead.
func Passed(t v1alpha1.ServiceType) string {
	entry := Lookup(t)
	if entry.Probed {
		return v1alpha1.ReasonVerified
	}
	if len(entry.Schemes) == 0 || slices.ContainsFunc(entry.Schemes, func(scheme string) bool { return Port(t, scheme) == 0 }) {
		return v1alpha1.ReasonNotProbed
	}
	return v1alpha1.ReasonReachable
}

// Interchangeable says whether a variable that carries the handle of a service of one type may carry that of another type,
// with no change of the app: an app that reads SMTP_URL sends its mail through Postmark as soon as the URL is Postmark's.
// Only a URL can be exchanged like this. The usual variable of a type whose handle is a token carries a token.
func Interchangeable(a, b v1alpha1.ServiceType, variable string) bool {
	if a == b {
		return true
	}
	one, other := Lookup(a), Lookup(b)
	return one.Family != "" && one.Family == other.Family && !one.tokenIn(variable) && !other.tokenIn(variable)
}

// tokenIn says whether the variable carries a token of the type, and no URL.
func (e Entry) tokenIn(variable string) bool { return e.Token && e.Variable == variable }

// Port returns the port that a handle of this type and scheme uses if it names none. 0: not known.
func Port(t v1alpha1.ServiceType, scheme string) int32 {
	if port, ok := schemePorts[scheme]; ok {
		return port
	}
	for _, word := range Words(scheme) {
		if port, ok := schemePorts[word]; ok && Lookup(t).takes(word) {
			return port
		}
	}
	if entry := Lookup(t); Speaks(t, scheme) == Own || len(entry.Schemes) == 0 {
		return entry.DefaultPort
	}
	return 0
}

// Fit is how a scheme fits a type.
type Fit int

const (
	// Unknown is a scheme that no type of the catalog has. A client of any type may accept it.
	Unknown Fit = iota
	// Own is one that clients of the type accept.
	Own
	// Foreign is one that clients of another type accept, but none of this type.
	Foreign
)

// Speaks says how a scheme fits a type. The number of possible dialects is unlimited (postgresql+asyncpg,
// jdbc:mysql:loadbalance), so one matching word is enough.
func Speaks(t v1alpha1.ServiceType, scheme string) Fit {
	entry, words := Lookup(t), Words(scheme)
	if len(entry.Schemes) == 0 || slices.ContainsFunc(words, entry.takes) {
		return Own
	}
	for _, other := range entries {
		if slices.ContainsFunc(words, other.takes) {
			return Foreign
		}
	}
	return Unknown
}

// Words are the parts of a scheme: jdbc, mysql and loadbalance; postgresql and asyncpg. A scheme without '+' and ':' is
// one word.
func Words(scheme string) []string {
	return strings.FieldsFunc(scheme, func(r rune) bool { return r == '+' || r == ':' })
}

func (e Entry) takes(scheme string) bool {
	return slices.Contains(e.Schemes, scheme) || slices.Contains(e.Dialects, scheme)
}
