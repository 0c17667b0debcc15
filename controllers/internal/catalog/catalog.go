// Package catalog says what each type of backing service speaks: the variable that apps usually find it in, the schemes
// of its handle, and its port. It is data; it decides nothing.
package catalog

import "github.com/bindery-dev/bindery/api/v1alpha1"

// Entry is what Bindery knows about one type.
type Entry struct {
	// Variable is the usual name of the environment variable that carries the handle. Empty: there is none, the user
	// must name one.
	Variable string
	// Schemes that a handle may begin with, without "://". Empty: any scheme, or no URL at all.
	Schemes []string
	// Token is true where the handle is a credential by itself, so that it cannot be written as a plain URL.
	Token bool
	// DefaultPort of the protocol, for a handle that names none. 0: it depends on the scheme, or there is none.
	DefaultPort int32
}

var entries = map[v1alpha1.ServiceType]Entry{
	v1alpha1.TypeRedis:      {Variable: "REDIS_URL", Schemes: []string{"redis", "rediss"}, DefaultPort: 6379},
	v1alpha1.TypeCollector:  {Variable: "COLLECTOR_URL", Schemes: []string{"http", "https"}},
	v1alpha1.TypeMySQL:      {Variable: "MYSQL_URL", Schemes: []string{"mysql"}, DefaultPort: 3306},
	v1alpha1.TypePostgreSQL: {Variable: "DATABASE_URL", Schemes: []string{"postgres", "postgresql"}, DefaultPort: 5432},
	v1alpha1.TypeCouchDB:    {Variable: "COUCHDB_URL", Schemes: []string{"http", "https"}},
	v1alpha1.TypeRabbitMQ:   {Variable: "RABBITMQ_URL", Schemes: []string{"amqp", "amqps"}},
	v1alpha1.TypeBeanstalkd: {Variable: "BEANSTALKD_URL", Schemes: []string{"beanstalk"}, DefaultPort: 11300},
	v1alpha1.TypeMemcached:  {Variable: "MEMCACHED_URL", Schemes: []string{"memcached"}, DefaultPort: 11211},
	v1alpha1.TypeSMTP:       {Variable: "SMTP_URL", Schemes: []string{"smtp", "smtps"}},
	v1alpha1.TypePostmark:   {Variable: "POSTMARK_API_TOKEN", Token: true},
	v1alpha1.TypeS3:         {Variable: "S3_URL", Schemes: []string{"s3"}},
	v1alpha1.TypeNewRelic:   {Variable: "NEW_RELIC_LICENSE_KEY", Token: true},
	v1alpha1.TypeLoggly:     {Variable: "LOGGLY_TOKEN", Token: true},
	v1alpha1.TypeTwitter:    {Variable: "TWITTER_BEARER_TOKEN", Token: true},
	v1alpha1.TypeGoogleMaps: {Variable: "GOOGLE_MAPS_API_KEY", Token: true},
	v1alpha1.TypeLastFM:     {Variable: "LASTFM_API_KEY", Token: true},
	v1alpha1.TypeHTTP:       {Variable: "SERVICE_URL", Schemes: []string{"http", "https"}},
	v1alpha1.TypeGeneric:    {},
}

// schemePorts are the ports of schemes whose type has more than one.
var schemePorts = map[string]int32{
	"http": 80, "https": 443, "amqp": 5672, "amqps": 5671, "smtp": 25, "smtps": 465,
}

// Lookup returns the entry of a type. A type that the catalog does not know is answered like generic.
func Lookup(t v1alpha1.ServiceType) Entry { return entries[t] }

// Types returns every type of the catalog.
func Types() []v1alpha1.ServiceType {
	types := make([]v1alpha1.ServiceType, 0, len(entries))
	for t := range entries {
		types = append(types, t)
	}
	return types
}

// Port returns the port that a handle of this type and scheme means when it names none. 0: not known.
func Port(t v1alpha1.ServiceType, scheme string) int32 {
	if port, ok := schemePorts[scheme]; ok {
		return port
	}
	return Lookup(t).DefaultPort
}
