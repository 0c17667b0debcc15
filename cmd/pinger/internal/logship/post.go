package logship

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/bindery-dev/bindery/cmd/internal/handle"
	"github.com/bindery-dev/bindery/cmd/internal/requestlog"
)

// poster knows the collector. The URL is used as it is: the token of a hosted collector is a part of its path.
type poster struct {
	url    string
	client *http.Client
}

func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: transport,
		Timeout:   tryTimeout,
		// A redirect would carry the lines, and a Referer, to a host that nobody attached.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (p poster) post(ctx context.Context, id string, batch [][]byte) error {
	body := slices.Concat([]byte(`{"logs":[`), bytes.Join(batch, []byte(",")), []byte(`]}`))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(requestlog.Header, id)
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// A body that is read to its end leaves a connection that can be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return refusal(response.StatusCode)
	}
	return nil
}

// refusal is an answer with a status other than 2xx.
type refusal int

func (r refusal) Error() string {
	return fmt.Sprintf("it answered %d %s", int(r), http.StatusText(int(r)))
}

// worthAnotherTry says whether a later try may succeed. It will not where the collector says that the request itself is wrong.
func worthAnotherTry(err error) bool {
	status, ok := errors.AsType[refusal](err)
	if !ok {
		return true
	}
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// reason is what may be logged of an error: those of net/http quote the URL.
func reason(err error) string {
	if status, ok := errors.AsType[refusal](err); ok {
		return status.Error()
	}
	return handle.Reason(err)
}
