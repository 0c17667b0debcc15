//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// server is a real server in the scene's namespace, or a stand-in where none can be run.
type server struct {
	name   string            // of its Deployment and its Service
	handle string            // one that works: scheme, a user with few rights, password, host = name of the Service, port, database
	wrong  map[string]string // by reason of the condition Verified: a handle that shows it
	// secrets are every password and token in the handles: canaries.
	secrets []string
	// authority is the ConfigMap with that of its certificate; "" = it has none.
	authority string
	// values are those of the placeholders of its recipe.
	values map[string]string
}

// recipe says how a server is run, and how handles of it look. All texts have placeholders: <NAME> of the server,
// <NAMESPACE>, <USER>, <PASSWORD>, <WRONG> for a password that is not right, and <ADMIN> for that of the administrator.
type recipe struct {
	// manifest is a file of testdata/servers.
	manifest string
	// settings are further placeholders of the manifest.
	settings map[string]string
	handle   string
	wrong    map[string]string
}

// runServer runs a server of the type, without TLS.
func (s *scene) runServer(t v1alpha1.ServiceType, name string) server {
	s.Helper()
	r, ok := plainServers[t]
	if !ok {
		s.Fatalf("nobody runs a server of type %s here", t)
	}
	return s.serve(name, r)
}

// runSecureServer runs one that speaks TLS only, with a certificate for the name of its Service, by an authority that is in
// the ConfigMap NAME-authority, key ca.pem.
func (s *scene) runSecureServer(t v1alpha1.ServiceType, name string) server {
	s.Helper()
	r, ok := secureServers[t]
	if !ok {
		s.Fatalf("nobody runs a server of type %s with TLS here", t)
	}
	r.wrong = maps.Clone(r.wrong)
	r.wrong[v1alpha1.ReasonCertificateUntrusted] = r.handle // without the authority
	r.wrong[v1alpha1.ReasonCertificateNameMismatch] = strings.Replace(r.handle, "<NAME>:", "<NAME>.<NAMESPACE>.svc:", 1)
	s.certify(name)
	running := s.serve(name, r)
	running.authority = name + "-authority"
	return running
}

// plainServers are how servers without TLS are run, by their type.
var plainServers = map[v1alpha1.ServiceType]recipe{
	v1alpha1.TypeMySQL: {
		manifest: "mysql", settings: map[string]string{"OPTIONS": ""}, handle: "mysql://app:<PASSWORD>@<NAME>:3306/shop",
		wrong: map[string]string{
			v1alpha1.ReasonCredentialsRefused: "mysql://app:<WRONG>@<NAME>:3306/shop",
			v1alpha1.ReasonDatabaseNotFound:   "mysql://reader:<PASSWORD>@<NAME>:3306/nothing",
			v1alpha1.ReasonNotPermitted:       "mysql://stranger:<PASSWORD>@<NAME>:3306/shop",
			v1alpha1.ReasonTLSRefused:         "mysql://app:<PASSWORD>@<NAME>:3306/shop?tls=true",
		},
	},
	v1alpha1.TypePostgreSQL: {
		manifest: "postgresql", settings: map[string]string{"PRIMARY": ""}, handle: "postgres://app:<PASSWORD>@<NAME>:5432/shop?sslmode=disable",
		wrong: map[string]string{
			v1alpha1.ReasonCredentialsRefused: "postgres://app:<WRONG>@<NAME>:5432/shop?sslmode=disable",
			v1alpha1.ReasonDatabaseNotFound:   "postgres://app:<PASSWORD>@<NAME>:5432/nothing?sslmode=disable",
			v1alpha1.ReasonNotPermitted:       "postgres://stranger:<PASSWORD>@<NAME>:5432/shop?sslmode=disable",
			v1alpha1.ReasonTLSRefused:         "postgres://app:<PASSWORD>@<NAME>:5432/shop?sslmode=require",
		},
	},
	v1alpha1.TypeRabbitMQ: {
		manifest: "rabbitmq", settings: map[string]string{"MEMORY": "1GB", "PORT": "amqp"}, handle: "amqp://app:<PASSWORD>@<NAME>:5672/shop",
		wrong: map[string]string{
			v1alpha1.ReasonCredentialsRefused: "amqp://app:<WRONG>@<NAME>:5672/shop",
			v1alpha1.ReasonDatabaseNotFound:   "amqp://app:<PASSWORD>@<NAME>:5672/nothing",
			v1alpha1.ReasonNotPermitted:       "amqp://stranger:<PASSWORD>@<NAME>:5672/shop",
			v1alpha1.ReasonTLSRefused:         "amqps://app:<PASSWORD>@<NAME>:5672/shop",
		},
	},
	v1alpha1.TypeMemcached: {
		manifest: "memcached", settings: map[string]string{"SASL": ""}, handle: "memcached://<NAME>:11211",
		wrong: map[string]string{v1alpha1.ReasonTLSRefused: "memcacheds://<NAME>:11211"},
	},
	v1alpha1.TypeBeanstalkd: {
		manifest: "beanstalkd", handle: "beanstalk://<NAME>:11300",
		wrong: map[string]string{v1alpha1.ReasonTLSRefused: "beanstalk+tls://<NAME>:11300"},
	},
	v1alpha1.TypeCouchDB: {
		manifest: "couchdb", handle: "http://app:<PASSWORD>@<NAME>:5984/shop",
		wrong: map[string]string{
			v1alpha1.ReasonCredentialsRefused: "http://app:<WRONG>@<NAME>:5984/shop",
			v1alpha1.ReasonDatabaseNotFound:   "http://app:<PASSWORD>@<NAME>:5984/nothing",
			v1alpha1.ReasonNotPermitted:       "http://app:<PASSWORD>@<NAME>:5984/others",
			v1alpha1.ReasonTLSRefused:         "https://app:<PASSWORD>@<NAME>:5984/shop",
		},
	},
	v1alpha1.TypeSMTP: {
		manifest: "smtp", settings: map[string]string{"FLAGS": "--smtp-auth-allow-insecure"}, handle: "smtp://app:<PASSWORD>@<NAME>:1025",
		wrong: map[string]string{
			v1alpha1.ReasonCredentialsRefused: "smtp://app:<WRONG>@<NAME>:1025",
			v1alpha1.ReasonTLSRefused:         "smtps://app:<PASSWORD>@<NAME>:1025",
		},
	},
	v1alpha1.TypeS3: {
		manifest: "s3", settings: map[string]string{"FLAGS": "--quiet"},
		handle: "s3://<USER>:<PASSWORD>@shop?endpoint=http://<NAME>:7070&region=eu-test-1",
		wrong: map[string]string{
			v1alpha1.ReasonCredentialsRefused: "s3://<USER>:<WRONG>@shop?endpoint=http://<NAME>:7070&region=eu-test-1",
			v1alpha1.ReasonDatabaseNotFound:   "s3://<USER>:<PASSWORD>@nothing?endpoint=http://<NAME>:7070&region=eu-test-1",
			v1alpha1.ReasonTLSRefused:         "s3://<USER>:<PASSWORD>@shop?endpoint=https://<NAME>:7070&region=eu-test-1",
		},
	},
	v1alpha1.TypeRedis: {
		manifest: "redis", settings: map[string]string{"OPTIONS": ""}, handle: "redis://app:<PASSWORD>@<NAME>:6379/1",
		wrong: map[string]string{
			v1alpha1.ReasonCredentialsRefused: "redis://app:<WRONG>@<NAME>:6379/1",
			v1alpha1.ReasonDatabaseNotFound:   "redis://app:<PASSWORD>@<NAME>:6379/99",
			v1alpha1.ReasonTLSRefused:         "rediss://app:<PASSWORD>@<NAME>:6379/1",
		},
	},
	v1alpha1.TypeCollector: {
		manifest: "collector", handle: "http://<NAME>:4001",
		wrong: map[string]string{v1alpha1.ReasonTLSRefused: "https://<NAME>:4001"},
	},
	v1alpha1.TypeOpenSearch: plainStandin("opensearch"),
	v1alpha1.TypeHTTP:       plainStandin("web"),
}

// secureServers are how servers with TLS are run, by their type.
var secureServers = map[v1alpha1.ServiceType]recipe{
	v1alpha1.TypeMySQL: {
		manifest: "mysql", settings: map[string]string{"OPTIONS": ""}, handle: "mysql://app:<PASSWORD>@<NAME>:3306/shop?tls=true",
		wrong: map[string]string{v1alpha1.ReasonTLSRequired: "mysql://app:<PASSWORD>@<NAME>:3306/shop"},
	},
	v1alpha1.TypePostgreSQL: {
		manifest: "postgresql", settings: map[string]string{"PRIMARY": ""}, handle: "postgres://app:<PASSWORD>@<NAME>:5432/shop?sslmode=verify-full",
		wrong: map[string]string{v1alpha1.ReasonTLSRequired: "postgres://app:<PASSWORD>@<NAME>:5432/shop?sslmode=disable"},
	},
	v1alpha1.TypeRabbitMQ: {
		manifest: "rabbitmq", settings: map[string]string{"MEMORY": "1GB", "PORT": "amqps"}, handle: "amqps://app:<PASSWORD>@<NAME>:5671/shop",
		wrong: map[string]string{v1alpha1.ReasonTLSRequired: "amqp://app:<PASSWORD>@<NAME>:5671/shop"},
	},
	v1alpha1.TypeMemcached: {
		manifest: "memcached", settings: map[string]string{"SASL": ""}, handle: "memcacheds://<NAME>:11211",
		wrong: map[string]string{v1alpha1.ReasonTLSRequired: "memcached://<NAME>:11211"},
	},
	v1alpha1.TypeSMTP: {
		manifest: "smtp", handle: "smtp://app:<PASSWORD>@<NAME>:1025?starttls=true",
		settings: map[string]string{"FLAGS": "--smtp-tls-cert, /tls/tls.crt, --smtp-tls-key, /tls/tls.key, --smtp-require-starttls"},
		wrong:    map[string]string{v1alpha1.ReasonTLSRequired: "smtp://app:<PASSWORD>@<NAME>:1025?starttls=false"},
	},
	v1alpha1.TypeS3: {
		manifest: "s3", settings: map[string]string{"FLAGS": "--quiet, --cert, /tls/tls.crt, --key, /tls/tls.key"},
		handle: "s3://<USER>:<PASSWORD>@shop?endpoint=https://<NAME>:7070&region=eu-test-1",
		wrong: map[string]string{
			v1alpha1.ReasonTLSRequired: "s3://<USER>:<PASSWORD>@shop?endpoint=http://<NAME>:7070&region=eu-test-1",
		},
	},
	v1alpha1.TypeRedis: {
		manifest: "redis", settings: map[string]string{"OPTIONS": strings.Join([]string{
			"port 0", "tls-port 6379", "tls-auth-clients no", "tls-cert-file /tls/tls.crt", "tls-key-file /tls/tls.key", "tls-ca-cert-file /tls/ca.pem",
		}, "\n    ")},
		handle: "rediss://app:<PASSWORD>@<NAME>:6379/1",
		wrong:  map[string]string{v1alpha1.ReasonWrongProtocol: "redis://app:<PASSWORD>@<NAME>:6379/1"}, // it hangs up, and says nothing
	},
	v1alpha1.TypeCollector:  secureStandin("web", ""),
	v1alpha1.TypeCouchDB:    secureStandin("couchdb", "shop"),
	v1alpha1.TypeOpenSearch: secureStandin("opensearch", ""),
	v1alpha1.TypeHTTP:       secureStandin("web", ""),
}

func plainStandin(service string) recipe {
	return recipe{
		manifest: "standin", settings: map[string]string{"SERVICE": service}, handle: "http://app:<PASSWORD>@<NAME>:8080/",
		wrong: map[string]string{
			v1alpha1.ReasonCredentialsRefused: "http://app:<WRONG>@<NAME>:8080/",
			v1alpha1.ReasonTLSRefused:         "https://app:<PASSWORD>@<NAME>:8080/",
		},
	}
}

func secureStandin(service, path string) recipe {
	return recipe{
		manifest: "standin", settings: map[string]string{"SERVICE": service}, handle: "https://app:<PASSWORD>@<NAME>:8443/" + path,
		wrong: map[string]string{v1alpha1.ReasonTLSRequired: "http://app:<PASSWORD>@<NAME>:8443/" + path},
	}
}

// starting limits how many servers start at once: the machine may be small.
var starting = make(chan struct{}, 3)

// serve runs a server, and waits until it is ready.
func (s *scene) serve(name string, r recipe) server {
	s.Helper()
	credentials := []string{"USER", "PASSWORD", "WRONG", "ADMIN"}
	values := map[string]string{}
	for _, each := range credentials {
		values[each] = newWord()
	}
	maps.Copy(values, r.settings)
	values["NAME"], values["NAMESPACE"] = name, s.namespace
	manifest, err := os.ReadFile(filepath.Join("testdata", "servers", r.manifest+".yaml"))
	s.no(err)
	starting <- struct{}{}
	defer func() { <-starting }()
	s.kubectlReads(s.fill(string(manifest), values), "apply", "-f", "-")
	s.awaitDeployment(name)
	running := server{name: name, handle: s.fill(r.handle, values), wrong: map[string]string{}, values: values}
	for reason, handle := range r.wrong {
		running.wrong[reason] = s.fill(handle, values)
	}
	for _, each := range credentials {
		running.secrets = append(running.secrets, values[each])
	}
	return running
}

// newWord is a canary that needs no escaping, neither in a URL nor in a file with settings.
func newWord() string { return fmt.Sprintf("c4n4ry%016x%016x", rand.Uint64(), rand.Uint64()) }

var placeholder = regexp.MustCompile(`<[A-Z]+>`)

// fill puts values into the placeholders of a text.
func (s *scene) fill(text string, values map[string]string) string {
	s.Helper()
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		value, ok := values[strings.Trim(p, "<>")]
		if !ok {
			s.Fatalf("there is no value for %s", p)
		}
		return value
	})
}

// certify makes the Secret NAME-tls with a certificate for the name, and the ConfigMap NAME-authority.
func (s *scene) certify(name string) {
	s.Helper()
	certificate, key, authority := testserver.NewAuthority(s.T).Files(name)
	files := map[string]string{}
	for file, path := range map[string]string{"tls.crt": certificate, "tls.key": key, "ca.pem": authority} {
		text, err := os.ReadFile(path)
		s.no(err)
		files[file] = string(text)
	}
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name + "-tls"}, StringData: files})
	s.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name + "-authority"}, Data: map[string]string{"ca.pem": files["ca.pem"]}})
}

// external makes a BackingService that somebody else runs, and the Secret NAME-handle with its handle. The ConfigMap
// AUTHORITY has the authority of its certificate; "" = there is none.
func (s *scene) external(name string, t v1alpha1.ServiceType, handle, authority string, changes ...func(*v1alpha1.BackingServiceSpec)) {
	s.Helper()
	secret := name + "-handle"
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}, StringData: map[string]string{"url": handle}})
	spec := v1alpha1.BackingServiceSpec{Type: t, External: &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{Name: secret, Key: "url"}}}
	if authority != "" {
		spec.External.CARef = &v1alpha1.AuthorityReference{Kind: v1alpha1.AuthorityConfigMap, Name: authority, Key: "ca.pem"}
	}
	for _, change := range changes {
		change(&spec)
	}
	s.provision(name, spec)
}
