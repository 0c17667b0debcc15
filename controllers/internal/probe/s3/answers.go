package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
	"github.com/bindery-dev/bindery/controllers/internal/probe/ask"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

// answer is what is known of an answer of a store: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
type answer struct {
	ask.Answer
	// root is the name of the document.
	root string
	document
}

// document is the part of an error that is read. The rest repeats what was sent.
type document struct {
	Code   string `xml:"Code"`
	Region string `xml:"Region"`
}

// read reads an answer. One that is no such document has nothing in it. The list of a bucket need not be read to its end.
func read(got ask.Answer) answer {
	a := answer{Answer: got}
	decoder := xml.NewDecoder(bytes.NewReader(got.Body))
	for {
		token, err := decoder.Token()
		if err != nil {
			return a
		}
		if start, ok := token.(xml.StartElement); ok {
			a.root = start.Name.Local
			if a.root == "Error" && decoder.DecodeElement(&a.document, &start) != nil {
				a.document = document{}
			}
			return a
		}
	}
}

// lists says whether it is the list of a bucket, or of the buckets.
func (a answer) lists() bool {
	return a.Status == http.StatusOK && (a.root == "ListBucketResult" || a.root == "ListAllMyBucketsResult")
}

// otherRegion says whether the server is one of another region than that of the signature.
func (a answer) otherRegion() bool {
	return a.Code == "AuthorizationHeaderMalformed" || a.Code == "PermanentRedirect" || a.Code == "IllegalLocationConstraintException"
}

var (
	refusedToken = wire.Credentials("it refused the session token of the handle: it may have expired")
	refusedKeys  = wire.Credentials("it refused the keys of the handle")
	noBucket     = wire.DatabaseNotFound("it has no bucket of the name in the handle")
	closed       = wire.NotPermitted("the account of the keys is closed, or may not use it")
)

// codes are those that always mean the same.
var codes = map[string]*wire.Result{
	"InvalidAccessKeyId":    wire.Credentials("it knows no such access key as that of the handle"),
	"SignatureDoesNotMatch": wire.Credentials("the secret key of the handle is not the one of its access key"),
	"InvalidSecurity":       refusedKeys,
	"Unauthorized":          refusedKeys,
	"InvalidToken":          refusedToken,
	"ExpiredToken":          refusedToken,
	"TokenRefreshRequired":  refusedToken,
	"NoSuchBucket":          noBucket,
	"InvalidBucketName":     wire.DatabaseNotFound("it can have no bucket of the name in the handle"),
	"AccountProblem":        closed,
	"AllAccessDisabled":     closed,
	"NotSignedUp":           closed,
	"UserSuspended":         closed,
	"RequestTimeTooSkewed":  wire.Unreachable("its clock and the clock here are more than a quarter of an hour apart"),
}

// judge interprets an answer. named: the handle names the region that the request was signed for.
func judge(ctx context.Context, d wire.Dialer, to wire.Target, got answer, named bool) wire.Result {
	if away := ask.Unavailable(got.Answer); away != nil {
		return *away
	}
	if known, ok := codes[got.Code]; ok {
		return *known
	}
	reachable := exitcode.OfPassed(to.Kind, v1alpha1.ReasonReachable)
	switch {
	case got.lists():
		return wire.Passed("the object store listed what is in the bucket")
	case got.otherRegion() && named:
		return *wire.WrongProtocol("it serves another region than the handle names: correct the region, or the endpoint")
	case got.otherRegion():
		return wire.Found(reachable, "an object store answered, of a region that the handle does not name; the keys were not tried")
	case got.Code == "AccessDenied":
		// An app may only write.
		return wire.Found(reachable, "an object store answered, and does not let the user of the handle list the bucket; the rest was not tried")
	case got.Code != "" && got.Status == http.StatusUnauthorized:
		return *refusedKeys
	case got.Code != "":
		return wire.Found(reachable, fmt.Sprintf("an object store answered %d, which says nothing about the bucket and the keys", got.Status))
	}
	for _, other := range []*wire.Result{ask.TLSWanted(ctx, d, to, got.Answer), ask.Redirected(got.Answer)} {
		if other != nil {
			return *other
		}
	}
	return *wire.WrongProtocol(fmt.Sprintf("what answers, with %d, is no object store", got.Status))
}
