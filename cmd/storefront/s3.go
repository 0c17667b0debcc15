package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	store "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/bindery-dev/bindery/cmd/internal/env"
	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

// mostInvoice is how many bytes of an invoice are read.
const mostInvoice = 1 << 10

type s3 struct {
	at, bucket string
	client     *store.Client
}

// openS3 reads the bucket, and where it is. The client reads no URL.
func openS3(variable, value string, get env.Lookup) (service, error) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return nil, fmt.Errorf("%s is not s3://key:secret@bucket?endpoint=https://host&region=region", variable)
	}
	access, secret := get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")
	if u.User != nil {
		access = u.User.Username()
		secret, _ = u.User.Password()
	}
	endpoint := cmp.Or(u.Query().Get("endpoint"), get("AWS_ENDPOINT_URL_S3"))
	region := cmp.Or(u.Query().Get("region"), get("AWS_REGION"), "us-east-1")
	where := cmp.Or(endpoint, "https://s3."+region+".amazonaws.com")
	at, err := handle.Parse("the endpoint of "+variable, where, handle.Schemes{"http": "80", "https": "443"})
	if err != nil {
		return nil, err
	}
	options := store.Options{
		Region: region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: access, SecretAccessKey: secret}, nil
		}),
	}
	if endpoint != "" {
		options.BaseEndpoint, options.UsePathStyle = aws.String(endpoint), true
	}
	return &s3{at: at.Endpoint(), bucket: u.Host, client: store.New(options)}, nil
}

func (s *s3) endpoint() string { return s.at }

func (s *s3) prepare(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &store.HeadBucketInput{Bucket: &s.bucket})
	if missing, ok := errors.AsType[*types.NotFound](err); ok && missing != nil {
		_, err = s.client.CreateBucket(ctx, &store.CreateBucketInput{Bucket: &s.bucket})
	}
	return err
}

func (s *s3) use(ctx context.Context, order string) (string, error) {
	key, invoice := aws.String("invoices/"+order), []byte("Invoice of order "+order)
	if _, err := s.client.PutObject(ctx, &store.PutObjectInput{Bucket: &s.bucket, Key: key, Body: bytes.NewReader(invoice)}); err != nil {
		return "", err
	}
	object, err := s.client.GetObject(ctx, &store.GetObjectInput{Bucket: &s.bucket, Key: key})
	if err != nil {
		return "", err
	}
	defer object.Body.Close()
	read, err := io.ReadAll(io.LimitReader(object.Body, mostInvoice))
	if err != nil {
		return "", err
	}
	if !bytes.Equal(read, invoice) {
		return "", errUnexpected
	}
	return "put an object, and got it", nil
}

func (*s3) close() {} // connections that nobody uses end with the process
