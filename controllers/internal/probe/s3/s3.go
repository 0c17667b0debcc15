// Package s3 tries handles of object stores: Amazon S3, and what speaks as it does.
//
// It asks for one object of the bucket with a signed GET, which shows in one answer whether the server is a store, whether
// it takes the keys, and whether it has the bucket: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html.
// A HEAD would not do: its answer has no code.
package s3

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// Probe asks at the server of the handle. If the handle does not say whether it speaks TLS, that is found out.
func Probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	return prober{time.Now}.probe(ctx, d, to)
}

// prober has the clock that requests are signed by.
type prober struct{ now func() time.Time }

func (p prober) probe(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	if to.Location.Store == nil {
		return wire.Reach(ctx, d, to) // a scheme that nobody knows
	}
	if scheme := to.Location.Store.Scheme; scheme != "" {
		to.Secure = scheme == "https"
		return p.find(ctx, d, to)
	}
	half, cancel := wire.ShareOf(ctx, 2)
	defer cancel()
	to.Secure = true
	found := p.find(half, d, to)
	if found.Answered() && found.Code != exitcode.TLSRefused {
		return found
	}
	to.Secure = false
	if plain := p.find(ctx, d, to); plain.Answered() {
		return plain
	}
	return found
}

// find asks at each path that the handle may mean.
func (p prober) find(ctx context.Context, d wire.Dialer, to wire.Target) wire.Result {
	var found wire.Result
	for i, path := range to.Location.Store.Paths {
		result := p.list(ctx, d, to, path)
		if i == 0 || result.Code != exitcode.WrongProtocol {
			found = result
		}
		if result.Code != exitcode.WrongProtocol {
			break
		}
	}
	return found
}

// usualRegion is what clients sign for if they know of no region, and what most stores with one region take.
const usualRegion = "us-east-1"

// regionForm is that of a region's name. What a server says is signed only in this form.
var regionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)

// list asks for what is in the bucket at a path. If the handle names no region, and the server names its own, it asks
// again with that: clients do the same, or are told the region elsewhere.
func (p prober) list(ctx context.Context, d wire.Dialer, to wire.Target, path string) wire.Result {
	region, named := to.Location.Store.Region, true
	if region == "" {
		region, named = usualRegion, false
	}
	got, failed := p.ask(ctx, d, to, path, region)
	if failed == nil && !named && got.otherRegion() && got.Region != region && regionForm.MatchString(got.Region) {
		got, failed = p.ask(ctx, d, to, path, got.Region)
	}
	if failed != nil {
		return *failed
	}
	return judge(ctx, d, to, got, named)
}

func (p prober) ask(ctx context.Context, d wire.Dialer, to wire.Target, path, region string) (answer, *wire.Result) {
	u, err := url.Parse("http://host" + path)
	if err != nil {
		return answer{}, new(wire.Reach(ctx, d, to)) // some clients send such a path as it is
	}
	if to.Secure {
		u.Scheme = "https"
	}
	u.Host, u.RawQuery = wire.HostOf(u.Scheme, to.Endpoints[0]), "list-type=2&max-keys=1"
	request, failed := ask.Request(ctx, http.MethodGet, u)
	if failed != nil {
		return answer{}, failed
	}
	if failed := p.sign(request, keysOf(to.Location), region); failed != nil {
		return answer{}, failed
	}
	got, failed := ask.Send(d, to, request, ask.Enough)
	if failed != nil {
		return answer{}, failed
	}
	return read(got), nil
}

// nothing is the SHA-256 of an empty body.
const nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// sign signs a request. Without keys, it stays as it is: the app may have them from elsewhere, and some buckets are open.
func (p prober) sign(request *http.Request, keys aws.Credentials, region string) *wire.Result {
	if keys.AccessKeyID == "" || keys.SecretAccessKey == "" {
		return nil
	}
	request.Header.Set("X-Amz-Content-Sha256", nothing)
	err := v4.NewSigner().SignHTTP(request.Context(), keys, request, nothing, "s3", region, p.now(), func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = true // S3 signs a path as it is sent
	})
	if err != nil {
		return wire.Credentials("no request can be signed with the keys of the handle")
	}
	return nil
}

// keysOf are the keys of a handle: before the @, or among the options.
func keysOf(l handle.Location) aws.Credentials {
	user, password, _ := strings.Cut(l.UserInfo, ":")
	keys := aws.Credentials{AccessKeyID: handle.Decoded(user), SecretAccessKey: handle.Decoded(password)}
	for key, names := range map[*string][]string{
		&keys.AccessKeyID:     {"accesskeyid", "accesskey", "awsaccesskeyid", "awsaccesskey", "keyid", "key"},
		&keys.SecretAccessKey: {"secretaccesskey", "secretkey", "awssecretaccesskey", "awssecretkey", "secret"},
		&keys.SessionToken:    {"sessiontoken", "awssessiontoken", "securitytoken", "token"},
	} {
		if *key == "" {
			*key, _ = l.Options.Get(names...)
		}
	}
	return keys
}
