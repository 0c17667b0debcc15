// Serve runs a stand-in of package standin in a Pod: over HTTP at port 8080, or over HTTPS at port 8443 if there is a
// certificate. At port 8080 it tells the kubelet and tests in both cases how it is:
//
//	GET /-/healthz  200 while it runs
//	GET /-/counts   what the vendors of tokens were asked, and how many of the requests would have changed something
//
//	usage: serve couchdb|couchdb-maintenance|opensearch|vendors|web
//
// CREDENTIAL is the password of the user app, or the tokens that are good, separated by commas: arguments can be read by
// everybody. TLS is the folder of the certificate, tls.crt and tls.key.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bindery-dev/bindery/hack/standin"
)

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:], os.Getenv("CREDENTIAL"), os.Getenv("TLS"))
	restore()
	if err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, credential, folder string) error {
	if len(arguments) != 1 {
		return errors.New("usage: serve NAME")
	}
	service, ok := services(credential)[arguments[0]]
	if !ok {
		return fmt.Errorf("there is no stand-in %q", arguments[0])
	}
	mux := http.NewServeMux()
	mux.Handle("/-/healthz", standin.Answer(http.StatusOK, ""))
	if v, ok := service.(*vendors); ok {
		mux.HandleFunc("/-/counts", v.counts)
	}
	plain, secure := server(":8080", mux), server(":8443", service)
	group, ctx := errgroup.WithContext(ctx)
	certificate, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	switch _, err := os.Stat(certificate); {
	case err == nil:
		group.Go(func() error { return secure.ListenAndServeTLS(certificate, key) })
	case errors.Is(err, fs.ErrNotExist):
		mux.Handle("/", service)
	default:
		return err
	}
	group.Go(plain.ListenAndServe)
	group.Go(func() error {
		<-ctx.Done()
		return errors.Join(plain.Close(), secure.Close())
	})
	if err := group.Wait(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func server(address string, handler http.Handler) *http.Server {
	return &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
}

// services are the stand-ins, by name.
func services(credential string) map[string]http.Handler {
	const user = "app"
	couch := standin.CouchDB{User: user, Password: credential}
	down := couch
	down.Up = standin.Answer(http.StatusNotFound, standin.CouchDBMaintenance)
	return map[string]http.Handler{
		"couchdb":             couch,
		"couchdb-maintenance": down,
		"opensearch":          standin.Search{User: user, Password: credential},
		"vendors":             newVendors(credential),
		"web":                 standin.Web(user, credential),
	}
}
