package handle

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// Store is where a handle of type s3 leads to. What follows s3:// is a bucket to most clients, and a server to some, so
// the server comes from what the handle says beyond that: an endpoint, a port, or the region of a bucket at AWS. A bucket
// is never looked up as if it were a host.
type Store struct {
	// Scheme of requests: http or https. Empty: the handle does not say.
	Scheme string
	// Paths are those of the bucket, escaped. There is more than one if clients read the path in different ways. The path
	// is "/" if the host has the bucket in its name, and if the handle names no bucket.
	Paths []string
	// Region that requests are signed for. Empty: the handle names none.
	Region string
}

const secureScheme, plainScheme = "https", "http"

var (
	// amazon is a server of S3: https://docs.aws.amazon.com/general/latest/gr/s3.html. Its groups are the bucket, if the
	// name has one, and the region.
	amazon = regexp.MustCompile(`^(?:(.+)\.)?s3(?:-fips|-accelerate)?(?:\.dualstack)?(?:[.-](` + amazonRegion + `))?\.amazonaws\.com(?:\.cn)?$`)
	region = regexp.MustCompile(`^` + amazonRegion + `$`)
	// label is a bucket that can be a part of a host. One with a dot cannot: certificates do not cover it.
	label = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)
)

const (
	amazonRegion = `[a-z]{2}(?:-[a-z]+)+-[0-9]+`

	// directoryBucket ends the name of a bucket of S3 Express, which has servers and logins of its own.
	directoryBucket = "--x-s3"
)

// inStore reads what only a handle of type s3 has. Its servers are those of the URL until then.
func (l *Location) inStore() Fault {
	endpoint, _ := l.Options.Get("endpoint", "endpointurl", "awsendpointurl", "awsendpointurls3", "s3endpoint", "customendpoint")
	s := &Store{Scheme: l.transport()}
	s.Region, _ = l.Options.Get("region", "awsregion", "awsdefaultregion", "defaultregion", "regionname", "s3region")
	if len(l.Servers) != 1 {
		return elsewhere
	}
	fault := Good
	switch server := l.Servers[0]; {
	case l.Says(plainScheme), l.Says(secureScheme):
		s.Scheme = plainScheme
		if l.Says(secureScheme) {
			s.Scheme = secureScheme
		}
		s.at(server.Host, l.Path(), l.bucket(""))
	case endpoint != "":
		bucket := server.Host
		if isServer(server) {
			bucket = first(l.Path())
		}
		fault = l.atEndpoint(s, endpoint, l.bucket(bucket))
	case isServer(server):
		l.Servers[0] = s.complete(server)
		s.at(server.Host, l.Path(), l.bucket(""))
	default:
		fault = l.atAmazon(s, l.bucket(server.Host))
	}
	if fault == Good {
		l.Store = s
	}
	return fault
}

// bucket is the one of an option. Otherwise it is that one.
func (l *Location) bucket(otherwise string) string {
	if named, _ := l.Options.Get("bucket", "bucketname"); named != "" {
		return named
	}
	return otherwise
}

// transport is the scheme that options say.
func (l *Location) transport() string {
	tls := l.Options.TLS()
	disabled, hasDisabled := l.Options.Get("disablessl", "disablehttps", "disabletls")
	secure, hasSecure := l.Options.Get("secure", "usehttps", "https")
	switch {
	case tls.Off,
		hasDisabled && !slices.Contains(no, canonical(disabled)),
		hasSecure && slices.Contains(no, canonical(secure)):
		return plainScheme
	case tls.On, hasSecure:
		return secureScheme
	default:
		return ""
	}
}

// isServer says whether what follows s3:// is surely a server. A bucket has no port, and does not look like an address.
func isServer(s Server) bool {
	_, err := netip.ParseAddr(s.Host)
	return s.Port != "" || err == nil || s.Host == "localhost" || amazon.MatchString(s.Host)
}

// complete adds the port to a server, and the scheme if there is no port to try others at.
func (s *Store) complete(server Server) Server {
	if server.Port == "" && s.Scheme == "" {
		s.Scheme = secureScheme
	}
	switch {
	case server.Port != "":
	case s.Scheme == plainScheme:
		server.Port = "80"
	default:
		server.Port = "443"
	}
	return server
}

// at reads the path on a server. named is a bucket that is not in the path.
func (s *Store) at(host, path, named string) {
	path = strings.TrimRight(path, "/")
	parts := amazon.FindStringSubmatch(host)
	if parts != nil && s.Region == "" {
		s.Region = parts[2]
	}
	switch {
	case named != "":
		s.Paths = []string{path + "/" + url.PathEscape(named)}
	case parts != nil && parts[1] != "":
		s.Paths = []string{"/"}
	default:
		s.Paths = []string{"/" + first(path)}
		if whole := path; whole != "" && whole != s.Paths[0] {
			s.Paths = append(s.Paths, whole) // the server may be below a path
		}
	}
}

// first is the first part of a path.
func first(path string) string {
	part, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	return part
}

// atEndpoint reads the endpoint of an option: a URL, or a host with or without a port.
func (l *Location) atEndpoint(s *Store, endpoint, bucket string) Fault {
	scheme, rest, found := strings.Cut(endpoint, "://")
	if !found {
		scheme, rest = s.Scheme, endpoint
	}
	authority, tail := cutAny(rest, "/?#")
	if s.Scheme = strings.ToLower(scheme); s.Scheme != "" && s.Scheme != plainScheme && s.Scheme != secureScheme || strings.Contains(authority, "@") {
		return elsewhere
	}
	servers, fault := readServers(v1alpha1.TypeS3, s.Scheme, authority, "")
	if fault != Good {
		return fault
	}
	if len(servers) != 1 {
		return elsewhere
	}
	l.Servers = []Server{s.complete(servers[0])}
	path, _ := cutAny(tail, "?#")
	if parts := amazon.FindStringSubmatch(servers[0].Host); parts != nil && s.Region == "" {
		s.Region = parts[2]
	}
	s.Paths = []string{strings.TrimRight(path, "/") + "/" + url.PathEscape(Decoded(bucket))}
	return Good
}

// atAmazon is for a bucket without an endpoint: clients ask S3 of its region. Without a region, only the app knows where.
func (l *Location) atAmazon(s *Store, bucket string) Fault {
	if !region.MatchString(s.Region) || strings.Contains(s.Region, "-iso") || !label.MatchString(bucket) || strings.HasSuffix(bucket, directoryBucket) {
		return elsewhere
	}
	host := bucket + ".s3." + s.Region + ".amazonaws.com"
	if strings.HasPrefix(s.Region, "cn-") {
		host += ".cn"
	}
	if s.Scheme == "" {
		s.Scheme = secureScheme
	}
	l.Servers, s.Paths = []Server{s.complete(Server{Host: host})}, []string{"/"}
	return Good
}
