package evidence

import (
	"slices"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// onNode has the reasons that TestCatalog of hack/e2e shows with real Pods: an app is attached, swapped, and left alone by each
// handle that does not pass. It compares what it has shown with docs/types/findings.md, which has this list.
var onNode = map[v1alpha1.ServiceType][]string{
	v1alpha1.TypeMySQL: with(verified, away, unlike, overTLS, []string{
		v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonDatabaseNotFound, v1alpha1.ReasonNotPermitted, v1alpha1.ReasonTLSRequired,
		v1alpha1.ReasonReadOnly,
	}),
	v1alpha1.TypePostgreSQL: with(verified, away, unlike, overTLS, []string{
		v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonDatabaseNotFound, v1alpha1.ReasonNotPermitted, v1alpha1.ReasonTLSRequired,
		v1alpha1.ReasonReadOnly,
	}),
	v1alpha1.TypeRabbitMQ: with(verified, away, unlike, overTLS, []string{
		v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonDatabaseNotFound, v1alpha1.ReasonNotPermitted, v1alpha1.ReasonTLSRequired,
		v1alpha1.ReasonOutOfMemory,
	}),
	v1alpha1.TypeMemcached:  with(verified, away, unlike, overTLS, []string{v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonTLSRequired}),
	v1alpha1.TypeBeanstalkd: with(verified, away, unlike, []string{v1alpha1.ReasonReadOnly}),
	v1alpha1.TypeSMTP:       with(verified, away, unlike, overTLS, []string{v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonTLSRequired}),
	v1alpha1.TypeCouchDB: with(verified, away, unlike, overTLS, []string{
		v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonDatabaseNotFound, v1alpha1.ReasonNotPermitted, v1alpha1.ReasonTLSRequired,
	}),
	v1alpha1.TypeS3: with(verified, away, unlike, overTLS, []string{
		v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonDatabaseNotFound, v1alpha1.ReasonTLSRequired,
	}),
	v1alpha1.TypeRedis: with(verified, away, unlike, overTLS, []string{
		v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonDatabaseNotFound, v1alpha1.ReasonReadOnly, v1alpha1.ReasonOutOfMemory,
	}),
	v1alpha1.TypeCollector:  with(verified, away, unlike, overTLS, []string{v1alpha1.ReasonTLSRequired}),
	v1alpha1.TypeOpenSearch: with(verified, away, unlike, overTLS, []string{v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonTLSRequired}),
	v1alpha1.TypeHTTP:       with(verified, away, unlike, overTLS, []string{v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonTLSRequired}),
	v1alpha1.TypeGeneric:    with(away, []string{v1alpha1.ReasonNotProbed}),
	v1alpha1.TypePostmark:   with(verified, ofToken, asked, []string{v1alpha1.ReasonCredentialsRefused}),
	v1alpha1.TypeNewRelic:   with(verified, ofToken, asked, []string{v1alpha1.ReasonCredentialsRefused}),
	v1alpha1.TypeTwitter:    with(verified, ofToken, asked, []string{v1alpha1.ReasonCredentialsRefused}),
	v1alpha1.TypeLastFM:     with(verified, ofToken, asked, []string{v1alpha1.ReasonCredentialsRefused}),
	v1alpha1.TypeGoogleMaps: with(verified, ofToken, asked),
	v1alpha1.TypeLoggly:     ofToken,
}

var (
	verified = []string{v1alpha1.ReasonVerified}
	away     = []string{v1alpha1.ReasonUnreachable, v1alpha1.ReasonNameNotFound}
	unlike   = []string{v1alpha1.ReasonWrongProtocol, v1alpha1.ReasonTLSRefused}
	overTLS  = []string{v1alpha1.ReasonCertificateUntrusted, v1alpha1.ReasonCertificateNameMismatch}
	ofToken  = []string{v1alpha1.ReasonNotProbed, v1alpha1.ReasonTokenMalformed}
	asked    = []string{v1alpha1.ReasonVendorUnavailable}
)

func with(reasons ...[]string) []string { return slices.Concat(reasons...) }
