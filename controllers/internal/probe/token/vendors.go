package token

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// verdict is what an answer says about a token.
type verdict int

const (
	// unsaid: the answer can mean several things.
	unsaid verdict = iota
	good
	bad
)

// vendor is how a vendor is asked about a token, and how its answer is read.
type vendor interface {
	// endpoint is the vendor's usual address.
	endpoint(token string) *url.URL
	// inquiry changes nothing at the vendor.
	inquiry(token string) inquiry
	// verdict reads an answer that is neither 429 nor of a server that fails.
	verdict(answer) verdict
}

// inquiry is a request about a token. Its zero value gets the endpoint itself.
type inquiry struct {
	path          string
	query         url.Values
	header, value string
	// post is the body of a POST; empty: it is a GET.
	post string
}

// to is the inquiry at an endpoint.
func (i inquiry) to(ctx context.Context, endpoint *url.URL) (*http.Request, error) {
	u := endpoint.JoinPath(i.path)
	u.RawQuery = i.query.Encode()
	method := http.MethodGet
	if i.post != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(i.post))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "bindery")
	if i.header != "" {
		request.Header.Set(i.header, i.value)
	}
	return request, nil
}

// vendors are those that can be asked. catalog.Entry.Vendor says the same.
var vendors = map[v1alpha1.ServiceType]vendor{
	v1alpha1.TypePostmark:   postmark{},
	v1alpha1.TypeNewRelic:   newRelic{},
	v1alpha1.TypeTwitter:    twitter{},
	v1alpha1.TypeGoogleMaps: googleMaps{},
	v1alpha1.TypeLastFM:     lastFM{},
}

func at(host string) *url.URL { return &url.URL{Scheme: "https", Host: host} }

// byStatus is the verdict where 200 and 401 say it. All of these vendors answer in JSON: a page is somebody else's.
func byStatus(a answer) verdict {
	switch {
	case a.status == http.StatusOK && a.read(&struct{}{}):
		return good
	case a.status == http.StatusUnauthorized:
		return bad
	default:
		return unsaid
	}
}

// read reads an answer that is a JSON object; false if it is none.
func (a answer) read(into any) bool {
	return json.Unmarshal(a.body, into) == nil && bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("{"))
}

// postmark reads the server that a token belongs to: https://postmarkapp.com/developer/api/server-api
type postmark struct{}

func (postmark) endpoint(string) *url.URL { return at("api.postmarkapp.com") }

func (postmark) inquiry(token string) inquiry {
	return inquiry{path: "server", header: "X-Postmark-Server-Token", value: token}
}

func (postmark) verdict(a answer) verdict { return byStatus(a) }

// twitter reads how much an app has read: https://docs.x.com/x-api/usage/get-usage. 403 may be about the plan of the account.
type twitter struct{}

func (twitter) endpoint(string) *url.URL { return at("api.x.com") }

func (twitter) inquiry(token string) inquiry {
	return inquiry{path: "2/usage/tweets", header: "Authorization", value: "Bearer " + token}
}

func (twitter) verdict(a answer) verdict { return byStatus(a) }

// newRelic asks which host an agent is to send its data to, which is what each agent begins with. No data is sent.
type newRelic struct{}

// region is at the beginning of a licence key, and in the name of the host: the keys of the United States have none.
var region = regexp.MustCompile(`^([a-z]{2,4}[0-9]{2})x`)

func (newRelic) endpoint(token string) *url.URL {
	if match := region.FindStringSubmatch(token); match != nil {
		return at("collector." + match[1] + ".nr-data.net")
	}
	return at("collector.newrelic.com")
}

func (newRelic) inquiry(token string) inquiry {
	return inquiry{
		path:   "agent_listener/invoke_raw_method",
		query:  url.Values{"method": {"preconnect"}, "marshal_format": {"json"}, "protocol_version": {"17"}, "license_key": {token}},
		header: "Content-Type", value: "application/json",
		post: `[{"high_security":false}]`,
	}
}

// verdict also reads what the vendor answered in earlier versions of this protocol: 200 with an exception.
func (newRelic) verdict(a answer) verdict {
	var body struct {
		Value *struct {
			Host string `json:"redirect_host"`
		} `json:"return_value"`
		Exception struct {
			Type string `json:"error_type"`
		} `json:"exception"`
	}
	switch {
	case a.status != http.StatusOK:
		return byStatus(a)
	case !a.read(&body):
		return unsaid
	case strings.Contains(body.Exception.Type, "LicenseException"):
		return bad
	case body.Value != nil && body.Value.Host != "":
		return good
	default:
		return unsaid
	}
}

// googleMaps asks for the place of no address: https://developers.google.com/maps/documentation/geocoding/requests-geocoding.
// A question with an address costs money. The answer REQUEST_DENIED is the same to a key that is unknown, to one that may be
// used from other addresses only, and to one that may use other services only. So no key is refused here. And Google does not
// document that it looks at the key before it misses the address: of all verdicts, "good" means least here.
type googleMaps struct{}

func (googleMaps) endpoint(string) *url.URL { return at("maps.googleapis.com") }

func (googleMaps) inquiry(token string) inquiry {
	return inquiry{path: "maps/api/geocode/json", query: url.Values{"key": {token}}}
}

func (googleMaps) verdict(a answer) verdict {
	var body struct {
		Status string `json:"status"`
	}
	if a.read(&body) && body.Status == "INVALID_REQUEST" {
		return good
	}
	return unsaid
}

// lastFM reads the most used tags, one of them: https://www.last.fm/api/show/chart.getTopTags
type lastFM struct{}

// The errors that are about the key: https://www.last.fm/api/errorcodes
const (
	lastFMInvalidKey   = 10
	lastFMSuspendedKey = 26
)

func (lastFM) endpoint(string) *url.URL { return at("ws.audioscrobbler.com") }

func (lastFM) inquiry(token string) inquiry {
	return inquiry{path: "2.0/", query: url.Values{"method": {"chart.gettoptags"}, "limit": {"1"}, "format": {"json"}, "api_key": {token}}}
}

// verdict does not look at the status first: some errors have the status 200.
func (lastFM) verdict(a answer) verdict {
	var body struct {
		Error int `json:"error"`
	}
	switch {
	case !a.read(&body):
		return unsaid
	case body.Error == lastFMInvalidKey, body.Error == lastFMSuspendedKey:
		return bad
	case body.Error == 0 && a.status == http.StatusOK:
		return good
	default:
		return unsaid
	}
}
