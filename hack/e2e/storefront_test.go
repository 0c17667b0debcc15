//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// serverType is a type, and the port of its servers.
type serverType struct {
	kind v1alpha1.ServiceType
	port int
}

func (t serverType) String() string { return string(t.kind) }

// endpoint is where one of two servers of the type is.
func (t serverType) endpoint(name string) string {
	return fmt.Sprintf("%s-%s:%d", t.kind, name, t.port)
}

// storefrontTypes are those that storefront is swapped between servers of.
var storefrontTypes = []serverType{
	{v1alpha1.TypeMySQL, 3306}, {v1alpha1.TypePostgreSQL, 5432}, {v1alpha1.TypeRabbitMQ, 5672},
	{v1alpha1.TypeMemcached, 11211}, {v1alpha1.TypeSMTP, 1025}, {v1alpha1.TypeS3, 7070},
}

// The samples of the second story are what the API server takes.
func TestSamplesOfTheCatalog(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("the samples").
		Assess("are taken by the API server", in(func(s *scene) {
			s.kubectl("apply", "--dry-run=server", "-f", samples+"catalog")
		})).
		Feature())
}

// An app uses servers of six types at once, for each request, and is swapped from one server of each to another. Not in
// parallel with other tests, as TestSwapUnderLoad.
func TestSwapOfTypesUnderLoad(t *testing.T) {
	needTime(t)
	running := map[string]server{}
	story := features.New("an app with six services").
		Setup(in(func(s *scene) {
			parts := map[string]func(*scene){}
			for _, of := range storefrontTypes {
				for _, name := range []string{"a", "b"} {
					name = string(of.kind) + "-" + name
					parts[name] = func(s *scene) {
						server := s.runServer(of.kind, name)
						remember(s, server)
						s.external(name, of.kind, server.handle, "")
					}
				}
			}
			s.each("server", parts)
			for name := range parts {
				running[name] = s.neighbour(name)
			}
			s.apply("catalog/storefront.yaml")
			for _, of := range storefrontTypes {
				s.bind("storefront-"+string(of.kind), "storefront", string(of.kind)+"-a")
			}
			for _, of := range storefrontTypes {
				s.awaitBinding("storefront-" + string(of.kind))
			}
			s.awaitDeployment("storefront")
			s.runLoadOn("storefront")
			s.awaitAnswers(enoughRequests)
			l := s.load(http.MethodPost, "/reset")
			s.requireNoneFailed(l)
			for _, of := range storefrontTypes {
				s.requireFrom(l, string(of.kind), of.endpoint("a"))
			}
		}))
	for round := range slices.Chunk(storefrontTypes, 1) {
		story = story.Assess(fmt.Sprintf("is swapped to another server of %v in one rollout, and fails no request", round), in(func(s *scene) {
			for _, of := range round {
				s.requireUsed(of.kind, running[string(of.kind)+"-a"], running[string(of.kind)+"-b"])
			}
			s.swapStorefront(round)
			for _, of := range round {
				s.requireUsed(of.kind, running[string(of.kind)+"-b"])
			}
		}))
	}
	suite.Test(t, story.
		Assess("is not touched by a handle with a wrong password, and fails no request", in(func(s *scene) {
			s.external("refused", v1alpha1.TypeMySQL, running["mysql-a"].wrong[v1alpha1.ReasonCredentialsRefused], "")
			since := s.untouchedSince("storefront")
			s.load(http.MethodPost, "/reset")
			s.refused("storefront-mysql", "refused", v1alpha1.ReasonCredentialsRefused)
			s.awaitAnswers(enoughRequests)
			since.require(s)
			l := s.load(http.MethodPost, "/reset")
			s.requireNoneFailed(l)
			for _, of := range storefrontTypes {
				s.requireFrom(l, string(of.kind), of.endpoint("b"))
			}
		})).
		Assess("has said no credential, nor has anything else", in(func(s *scene) {
			s.requireNone(canary, "the log of storefront", s.kubectl("logs", "--selector=app.kubernetes.io/name=storefront", "--tail=-1"))
			s.requireNoCanary()
		})).
		Feature())
}

// swapStorefront swaps the app from one server of some types to another of each, under load.
func (s *scene) swapStorefront(types []serverType) {
	s.Helper()
	since := s.rollouts("storefront")
	s.load(http.MethodPost, "/reset")
	for _, of := range types {
		s.swap("storefront-"+string(of.kind), string(of.kind)+"-b")
	}
	for _, of := range types {
		s.awaitBinding("storefront-" + string(of.kind))
	}
	during := s.load(http.MethodPost, "/reset")
	s.requireNoneFailed(during)
	for _, of := range types {
		s.requireFrom(during, string(of.kind), of.endpoint("a"), of.endpoint("b"))
	}
	s.awaitAnswers(enoughRequests / 2)
	after := s.load(http.MethodPost, "/reset")
	s.requireNoneFailed(after)
	for _, of := range types {
		s.requireFrom(after, string(of.kind), of.endpoint("b"))
	}
	s.requireRollouts(since, 1)
}

// requireUsed asks servers that can be asked whether the first was used, and the others were not.
func (s *scene) requireUsed(kind v1alpha1.ServiceType, used server, unused ...server) {
	s.Helper()
	var count func(server) int
	switch kind {
	case v1alpha1.TypeSMTP:
		count = s.mailsIn
	case v1alpha1.TypeS3:
		count = s.objectsIn
	default:
		return // its answers say where they come from
	}
	for i, each := range slices.Concat([]server{used}, unused) {
		have := count(each)
		s.Logf("%s has %d of storefront's", each.name, have)
		if i == 0 && have == 0 || i > 0 && have != 0 {
			s.Errorf("%s has %d of storefront's, and it was used: %t", each.name, have, i == 0)
		}
	}
}

// mailsIn asks a Mailpit how many mails it has. From time to time it removes all but the last five hundred.
func (s *scene) mailsIn(of server) int {
	s.Helper()
	var answer struct{ Total int }
	s.retry(of.name+" answers", soon, func() string {
		text, err := s.request(http.MethodGet, "services", of.name+":8025", "/api/v1/messages").Param("limit", "1").DoRaw(s.ctx)
		if err != nil {
			return err.Error()
		}
		return errorText(json.Unmarshal(text, &answer))
	})
	return answer.Total
}

// objectsIn asks an object store how many objects the bucket of its handle has, a thousand at most.
func (s *scene) objectsIn(of server) int {
	s.Helper()
	endpoint := "http://" + s.forward(s.namespace, "service/"+of.name, 7070)
	store := s3.New(s3.Options{
		Region: "eu-test-1", BaseEndpoint: &endpoint, UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: of.values["USER"], SecretAccessKey: of.values["PASSWORD"]}, nil
		}),
	})
	list, err := store.ListObjectsV2(s.ctx, &s3.ListObjectsV2Input{Bucket: aws.String("shop")})
	s.no(err)
	return int(*list.KeyCount)
}
