package evidence

import (
	"maps"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// shown has what a type can find out beyond what is asked of every type, and what is shown better by a test of its own: the
// folder of a probe, and a test in it.
var shown = map[v1alpha1.ServiceType]map[string]string{
	v1alpha1.TypeRedis: {
		v1alpha1.ReasonVerified:           ". TestProbe/redis/a password",
		v1alpha1.ReasonReachable:          ". TestHandlesThatClientsTake/redis/a list of replicas",
		v1alpha1.ReasonTLSRefused:         ". TestProbe/redis/TLS where there is none",
		v1alpha1.ReasonCredentialsRefused: ". TestProbe/redis/a wrong password",
		v1alpha1.ReasonReadOnly:           ". TestProbe/redis/a replica",
		v1alpha1.ReasonDatabaseNotFound:   ". TestProbe/redis/a database that is not there",
		v1alpha1.ReasonOutOfMemory:        ". TestProbe/redis/one that is full",
	},
	v1alpha1.TypeCollector: {
		v1alpha1.ReasonVerified:           ". TestProbe/collector/JSON",
		v1alpha1.ReasonReachable:          ". TestHandlesThatClientsTake/others/a dialect of the web that nobody knows",
		v1alpha1.ReasonTLSRequired:        ". TestEveryType/collector/TLS that is not asked for",
		v1alpha1.ReasonCredentialsRefused: ". TestProbe/collector/a wrong token",
	},
	v1alpha1.TypeHTTP: {
		v1alpha1.ReasonVerified:           ". TestProbe/http/200",
		v1alpha1.ReasonReachable:          ". TestHandlesThatClientsTake/others/a path that only some send as it is",
		v1alpha1.ReasonTLSRequired:        ". TestEveryType/http/TLS that is not asked for",
		v1alpha1.ReasonCredentialsRefused: ". TestProbe/http/other credentials",
	},
	v1alpha1.TypeMySQL: {
		v1alpha1.ReasonVerified:                "mysql TestItChangesNothing/a probe",
		v1alpha1.ReasonReachable:               "mysql TestHandles/without a user",
		v1alpha1.ReasonTLSRefused:              "mysql TestTLS/a server that has none",
		v1alpha1.ReasonCertificateUntrusted:    "mysql TestTLS/an authority that is not trusted",
		v1alpha1.ReasonCertificateNameMismatch: "mysql TestTLS/a certificate for another name",
		v1alpha1.ReasonTLSRequired:             "mysql TestTLS/a server that must",
		v1alpha1.ReasonCredentialsRefused:      "mysql TestLogins/a wrong password",
		v1alpha1.ReasonNotPermitted:            "mysql TestLogins/a database of others",
		v1alpha1.ReasonReadOnly:                "mysql TestReadOnly/a replica",
		v1alpha1.ReasonDatabaseNotFound:        "mysql TestLogins/no such database, and a user for all",
	},
	v1alpha1.TypePostgreSQL: {
		v1alpha1.ReasonVerified:                "postgresql TestItChangesNothing/a probe",
		v1alpha1.ReasonReachable:               "postgresql TestHandles/without a user",
		v1alpha1.ReasonTLSRefused:              "postgresql TestTLS/no TLS where it is wanted",
		v1alpha1.ReasonCertificateUntrusted:    "postgresql TestTLS/an authority that is not trusted",
		v1alpha1.ReasonCertificateNameMismatch: "postgresql TestTLS/a certificate for another name",
		v1alpha1.ReasonTLSRequired:             "postgresql TestTLS/a user who must, and does not",
		v1alpha1.ReasonCredentialsRefused:      "postgresql TestLogins/a wrong password",
		v1alpha1.ReasonNotPermitted:            "postgresql TestLogins/a database of others",
		v1alpha1.ReasonReadOnly:                "postgresql TestStandby/APP@STANDBY/shop",
		v1alpha1.ReasonDatabaseNotFound:        "postgresql TestLogins/no such database",
	},
	v1alpha1.TypeCouchDB: {
		v1alpha1.ReasonVerified:           "couchdb TestProbeOfARealServer/a database of the user",
		v1alpha1.ReasonReachable:          "couchdb TestProbe/a path that Go does not send as it is",
		v1alpha1.ReasonTLSRefused:         "couchdb TestProbeOfARealServer/TLS where there is none",
		v1alpha1.ReasonTLSRequired:        "couchdb TestProbe/no TLS where there is",
		v1alpha1.ReasonCredentialsRefused: "couchdb TestProbeOfARealServer/a wrong password",
		v1alpha1.ReasonNotPermitted:       "couchdb TestProbeOfARealServer/a database of others",
		v1alpha1.ReasonDatabaseNotFound:   "couchdb TestProbeOfARealServer/a database that is not there",
	},
	v1alpha1.TypeOpenSearch: {
		v1alpha1.ReasonVerified:           "opensearch TestProbe/OpenSearch",
		v1alpha1.ReasonReachable:          "opensearch TestProbe/a scheme that nobody knows",
		v1alpha1.ReasonTLSRequired:        "opensearch TestProbe/no TLS where there is",
		v1alpha1.ReasonCredentialsRefused: "opensearch TestProbe/a wrong password",
		v1alpha1.ReasonNotPermitted:       "opensearch TestProbe/a policy of Amazon",
	},
	v1alpha1.TypeS3: {
		v1alpha1.ReasonVerified:                "s3 TestProbe/a bucket",
		v1alpha1.ReasonReachable:               "s3 TestProbe/a user who may not list it",
		v1alpha1.ReasonTLSRefused:              "s3 TestProbe/TLS where there is none",
		v1alpha1.ReasonCertificateUntrusted:    "s3 TestProbe/TLS of an authority of its own",
		v1alpha1.ReasonCertificateNameMismatch: "s3 TestProbe/TLS of another name",
		v1alpha1.ReasonTLSRequired:             "s3 TestProbe/no TLS where there is",
		v1alpha1.ReasonCredentialsRefused:      "s3 TestProbe/a wrong secret key",
		v1alpha1.ReasonNotPermitted:            "s3 TestAnswers/a user that is suspended",
		v1alpha1.ReasonWrongProtocol:           "s3 TestProbe/another region",
		v1alpha1.ReasonDatabaseNotFound:        "s3 TestProbe/a bucket that is not there",
	},
	v1alpha1.TypeRabbitMQ: {
		v1alpha1.ReasonVerified:                "rabbitmq TestRabbitMQ/handle/a virtual host",
		v1alpha1.ReasonReachable:               "rabbitmq TestRabbitMQ/handle/a certificate of the app",
		v1alpha1.ReasonTLSRefused:              "rabbitmq TestRabbitMQ/tls/where there is none",
		v1alpha1.ReasonCertificateUntrusted:    "rabbitmq TestRabbitMQ/tls/of an authority that is not",
		v1alpha1.ReasonCertificateNameMismatch: "rabbitmq TestRabbitMQ/tls/for another name",
		v1alpha1.ReasonTLSRequired:             "rabbitmq TestRabbitMQ/tls/where none is asked for",
		v1alpha1.ReasonCredentialsRefused:      "rabbitmq TestRabbitMQ/refused/a wrong password",
		v1alpha1.ReasonNotPermitted:            "rabbitmq TestRabbitMQ/refused/a virtual host of others",
		v1alpha1.ReasonReadOnly:                "rabbitmq TestRabbitMQ/short of disk/shop",
		v1alpha1.ReasonDatabaseNotFound:        "rabbitmq TestRabbitMQ/refused/no such virtual host",
		v1alpha1.ReasonOutOfMemory:             "rabbitmq TestRabbitMQ/short of memory/shop",
	},
	v1alpha1.TypeMemcached: {
		v1alpha1.ReasonVerified:                "memcached TestMemcached/login/by SASL",
		v1alpha1.ReasonReachable:               "memcached TestMemcached/handle/a dialect that nobody knows",
		v1alpha1.ReasonTLSRefused:              "memcached TestMemcached/tls/where there is none",
		v1alpha1.ReasonCertificateUntrusted:    "memcached TestMemcached/tls/of an authority that is not",
		v1alpha1.ReasonCertificateNameMismatch: "memcached TestMemcached/tls/for another name",
		v1alpha1.ReasonTLSRequired:             "memcached TestMemcached/tls/where none is asked for",
		v1alpha1.ReasonCredentialsRefused:      "memcached TestMemcached/login/by SASL, wrong",
	},
	v1alpha1.TypeBeanstalkd: {
		v1alpha1.ReasonVerified:    "beanstalkd TestBeanstalkd/handle/a URL",
		v1alpha1.ReasonReachable:   "beanstalkd TestBeanstalkd/handle/a dialect that nobody knows",
		v1alpha1.ReasonTLSRefused:  "beanstalkd TestBeanstalkd/handle/TLS, which it does not know",
		v1alpha1.ReasonReadOnly:    "beanstalkd TestBeanstalkd/draining/a URL",
		v1alpha1.ReasonOutOfMemory: "beanstalkd TestBeanstalkd/broken/no memory",
	},
	v1alpha1.TypeSMTP: {
		v1alpha1.ReasonVerified:                "smtp TestAgainstMailpit/a login over STARTTLS",
		v1alpha1.ReasonReachable:               "smtp TestAgainstMailpit/credentials where no login is taken",
		v1alpha1.ReasonTLSRefused:              "smtp TestAgainstMailpit/smtps where there is none",
		v1alpha1.ReasonCertificateUntrusted:    "smtp TestAgainstMailpit/STARTTLS of another authority",
		v1alpha1.ReasonCertificateNameMismatch: "smtp TestAgainstMailpit/STARTTLS of another name",
		v1alpha1.ReasonTLSRequired:             "smtp TestAgainstMailpit/STARTTLS that is wanted, and forbidden",
		v1alpha1.ReasonCredentialsRefused:      "smtp TestAgainstMailpit/a wrong password over STARTTLS",
	},
	v1alpha1.TypePostmark: withVendor("postmark", map[string]string{
		v1alpha1.ReasonReachable:        "token TestAURLOfPostmark/a server that asks for no login",
		v1alpha1.ReasonUnreachable:      "token TestAURLOfPostmark/nobody listens",
		v1alpha1.ReasonHandleNotEncoded: "token TestAURLOfPostmark/a slash in the password",
	}),
	v1alpha1.TypeLoggly: withForm("loggly", map[string]string{
		v1alpha1.ReasonUnreachable:             "token TestAURLOfLoggly/nobody listens",
		v1alpha1.ReasonNameNotFound:            "token TestAURLOfLoggly/no such name",
		v1alpha1.ReasonTLSRefused:              "token TestAURLOfLoggly/no TLS",
		v1alpha1.ReasonCertificateUntrusted:    "token TestAURLOfLoggly/an unknown authority",
		v1alpha1.ReasonCertificateNameMismatch: "token TestAURLOfLoggly/another name",
	}),
	v1alpha1.TypeNewRelic: withVendor("newrelic", nil),
	v1alpha1.TypeTwitter:  withVendor("twitter", nil),
	v1alpha1.TypeGoogleMaps: withForm("googlemaps", map[string]string{
		v1alpha1.ReasonVerified:          "token TestAVendorIsAskedOnceAndNothingIsChanged/googlemaps, a good token",
		v1alpha1.ReasonVendorUnavailable: "token TestAVendorIsAskedOnceAndNothingIsChanged/googlemaps, a bad token",
	}),
	v1alpha1.TypeLastFM: withVendor("lastfm", nil),
	v1alpha1.TypeGeneric: {
		v1alpha1.ReasonNotProbed:               ". TestProbe/others/a generic URL with a port",
		v1alpha1.ReasonUnreachable:             ". TestProbe/others/a generic URL that is down",
		v1alpha1.ReasonNameNotFound:            ". TestProbe/names/no such name of anything",
		v1alpha1.ReasonTLSRefused:              ". TestProbe/tls/generic without TLS",
		v1alpha1.ReasonCertificateUntrusted:    ". TestProbe/tls/generic",
		v1alpha1.ReasonCertificateNameMismatch: ". TestProbe/tls/a file with the authority, and another name",
	},
}

// withForm are the rows of a token whose form is looked at.
func withForm(t string, more map[string]string) map[string]string {
	rows := map[string]string{
		v1alpha1.ReasonNotProbed:      "token TestNobodyIsAsked/" + t,
		v1alpha1.ReasonTokenMalformed: "token TestNobodyIsAsked/" + t,
	}
	maps.Copy(rows, more)
	return rows
}

// withVendor are those of a token about which its vendor can be asked.
func withVendor(t string, more map[string]string) map[string]string {
	const vendor = "token TestAVendorIsAskedOnceAndNothingIsChanged/"
	rows := withForm(t, map[string]string{
		v1alpha1.ReasonVerified:           vendor + t + ", a good token",
		v1alpha1.ReasonVendorUnavailable:  vendor + t + ", a vendor that is busy",
		v1alpha1.ReasonCredentialsRefused: vendor + t + ", a bad token",
	})
	maps.Copy(rows, more)
	return rows
}
