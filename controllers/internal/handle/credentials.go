package handle

import (
	"errors"
	"regexp"
	"strings"
)

// Everybody who may read the BackingService, its status or its git repository can read a URL in spec.external.url. So a
// URL with a credential is refused, as far as a credential can be recognized: by the name of a parameter, and by the
// vendors whose addresses are credentials themselves.
//
// The rules are patterns, because they are used in two places: by the API server, in the definition of BackingServices,
// and here, for URLs that were stored before a rule existed. Both accept RE2. The tests make sure that both are the same,
// and `go test ./controllers/internal/handle -run TestTheDefinitionHasTheRules -update` writes the patterns into the
// API's markers.
//
// The patterns use no backslash and no quotes, which would have to be escaped three times in a marker.

// The names of parameters that carry credentials. A '-' stands for '-', '_', '.' or nothing: access-key also matches
// access_key and accessKey. Case does not matter.
var (
	// secretEndings end a name, no matter what is before them: password matches sslpassword, token matches access_token.
	secretEndings = []string{
		"password", "passwd", "passphrase", "pwd", "requirepass", "masterauth",
		"secret", "secret-id", // a role of Vault has both
		"token", "jwt", "authorization", "credential", "credentials",
		"signature", // in a presigned URL: of S3, Google and CloudFront, and of others that have copied them
		"session-id", "sessid",
		// The word key alone is often not a credential: think of partition_key, public-key and sentry_key.
		"access-key", "account-key", "admin-key", "api-key", "app-key", "application-key", "auth-key", "encryption-key",
		"functions-key", "insert-key", "integration-key", "license-key", "master-key", "private-key", "sas-key", "secret-key",
		"security-key", "service-key", "session-key", "shared-key", "signing-key", "subscription-key", "user-key", "write-key",
	}
	// secretWords end a name as a separate word: pass matches db_pass and dbPass, but not bypass or compass.
	secretWords = []string{"pass", "pw", "sig", "psk", "cred", "creds"}
	// secretNames are the whole name: key does not match monkey or keyspace, auth does not match author.
	secretNames = []string{"auth", "oauth", "bearer", "key", "sas"}
)

// vendor is a vendor whose addresses are credentials.
type vendor struct {
	// host without its port.
	host string
	// path, starting after its first slash: as much of it as distinguishes a credential from a page about it.
	path string
}

// anySubdomain also matches no subdomain.
const anySubdomain = `([^/?#]+[.])?`

// vendors lists addresses that must be kept secret, according to the vendors themselves.
var vendors = []vendor{
	{`hooks[.]slack(-gov)?[.]com`, `(services|workflows|triggers|commands)/+[^/?#]`},
	{anySubdomain + `discord(app)?[.]com`, `api/+(v[0-9]+/+)?webhooks/+[0-9]+/+[^/?#]`},
	{anySubdomain + `loggly[.]com`, `(inputs|bulk)/+[^/?#]`},
	{anySubdomain + `webhook[.]office[.]com`, `webhook[^/?#]*/+[^/?#]`}, // Microsoft Teams
	{`outlook[.]office(365)?[.]com`, `webhook/+[^/?#]`},
	{`api[.]telegram[.]org`, `(file/+)?bot[0-9]+(:|%3a)`},
	{anySubdomain + `sumologic[.]com`, `receiver/+v[0-9]+/+[^/?#]+/+[^/?#]`},
	{`hooks[.]zapier[.]com`, `hooks/+[^/?#]`},
	{`maker[.]ifttt[.]com`, `(use|[^?#]*with/+key)/+[^/?#]`},
	{`hook[.]` + anySubdomain + `(make|integromat)[.]com`, `[^/?#]`},
	{`(webexapis|api[.]ciscospark)[.]com`, `v1/+webhooks/+incoming/+[^/?#]`},
	{`events[.]` + anySubdomain + `pagerduty[.]com`, `(integration|x-ere)/+[^/?#]`},
	{anySubdomain + `datadoghq[.](com|eu)`, `v1/+input/+[^/?#]`},
	{anySubdomain + `azurewebsites[.]net`, `[^?#]*[?]([^#]*[&;])?code=`}, // the key of an Azure Function
	// These two are hosted by their users, so the host can be any. Mattermost has 26 letters and digits; Rocket.Chat has
	// an identifier and a token.
	{`[^/?#:]+`, `([^?#]*/)?hooks/+[a-z0-9]{26}([/?#]|$)`},
	{`[^/?#:]+`, `([^?#]*/)?hooks/+([a-z0-9]{17}|[a-z0-9]{24})/+[a-z0-9]{32}`},
}

const (
	// anyScheme may have colons of its own: jdbc:mysql.
	anyScheme = `^[^/?#]*://`

	// unescaped is a user whose password has a slash: the part before the slash has a colon, but no port after it.
	unescaped = anyScheme + `[^/?#,]*:[^]/?#,@]*[^]0-9/?#,@][^]/?#,@]*/[^?#]*@`

	// nameBegins is what comes before a parameter's name, and nameChar is what the name consists of: in queries, in
	// fragments, and in the parameters that a path can have.
	nameBegins = `[?&;#]`
	nameChar   = `[^?&;#=]`

	// encoded is a character that is percent-encoded although it need not be: a letter, a digit, '-', '.' or '_'.
	encoded = `%(2d|2e|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a])`

	refusedURL      = "must not hold credentials: keep the whole URL in a Secret and name it with secretRef instead"
	refusedEncoding = "must not percent-encode letters, digits, '-', '.' and '_' in its path and in the names of its parameters, " +
		"where the name of a credential would not be seen: write them as they are"
)

// rule has the patterns that a URL must not match, and the message for a URL that does.
type rule struct {
	patterns []string
	message  string
}

// rules are those of the definition of BackingServices, in the same order.
func rules() []rule {
	return []rule{
		{[]string{anyScheme + `[^/?#]*@`, anyScheme + `[^/?#]*[?#][^/=]*@`, unescaped, secretParameter(), secretAddress()}, refusedURL},
		{[]string{`(?i)(^[^?#]*|` + nameBegins + nameChar + `*)` + encoded}, refusedEncoding},
	}
}

// A handle that is composed has a credential only as the content of a key: as $(KEY). Everybody may read the rest of it.
const (
	// keyOf is how such a handle names a key.
	keyOf = `[$][(][-._a-zA-Z0-9]+[)]`

	// composed is a URL whose user, hosts, path and parameters are text and keys, and whose password is one key.
	composed = `^[a-z][a-z0-9+.-]*(:[a-z0-9+.-]+)*://((` + keyOf + `|[A-Za-z0-9._~%-])*(:(` + keyOf + `)?)?@)?(` + keyOf +
		`|[][A-Za-z0-9._:,-])+(/(` + keyOf + `|[^$?#@[:space:]])*)?([?](` + keyOf + `|[^$?#@[:space:]])*)?$`

	notComposed = "must be a URL of text and $(KEY), in which the password is a $(KEY), for example " +
		"mysql://$(username):$(password)@$(host):$(port)/shop"
	refusedText = "must not hold credentials: keep them in keys of the Secret, and name those with $(KEY)"
)

// textParameter matches a parameter whose name is that of a credential, and whose value is a text.
func textParameter() string { return secretParameter() + `[^$&;#]` }

// secretParameter matches a URL with a parameter whose name is that of a credential. A name may be nested, as in PHP and
// Rails: auth[], user[password].
func secretParameter() string {
	word := `(` + strings.Join(secretWords, "|") + `)`
	names := []string{
		nameChar + `*(` + strings.ReplaceAll(strings.Join(secretEndings, "|"), "-", "[-_.]?") + `)`,
		`(` + nameChar + `*([-_.+[]|%5b))?` + word,
		nameChar + `*(?-i:[a-z0-9](` + strings.Join(capitals(secretWords), "|") + `))`,
		`(` + strings.Join(secretNames, "|") + `)`,
	}
	return `(?i)` + nameBegins + `(` + strings.Join(names, "|") + `)([]]|%5d)?(([[]|%5b)` + nameChar + `*)?=`
}

func capitals(words []string) []string {
	capital := make([]string, 0, len(words))
	for _, word := range words {
		capital = append(capital, strings.ToUpper(word[:1])+word[1:])
	}
	return capital
}

// secretAddress matches a URL of a vendor whose addresses are credentials.
func secretAddress() string {
	addresses := make([]string, 0, len(vendors))
	for _, v := range vendors {
		addresses = append(addresses, v.host+`[.]?(:[0-9]*)?/+`+v.path)
	}
	return `(?i)` + anyScheme + `(` + strings.Join(addresses, "|") + `)`
}

// refusal is one pattern of a rule, in the form that is used here.
type refusal struct {
	pattern *regexp.Regexp
	message string
}

var refusals = func() []refusal {
	var all []refusal
	for _, r := range rules() {
		for _, pattern := range r.patterns {
			all = append(all, refusal{regexp.MustCompile(pattern), r.message})
		}
	}
	return all
}()

// CheckURL returns an error for a URL that holds credentials, or may hide them, as far as that can be recognized. The
// error says how to correct that, and never contains the URL.
func CheckURL(raw string) error {
	for _, r := range refusals {
		if r.pattern.MatchString(raw) {
			return errors.New("spec.external.url " + r.message)
		}
	}
	return nil
}
