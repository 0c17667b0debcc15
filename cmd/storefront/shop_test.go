package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/cmd/internal/program/programtest"
)

// One server of each type is enough for everything: some need ten seconds to start.
func TestStorefront(t *testing.T) {
	running := startServers(t)
	t.Run("an order does something with each service", func(t *testing.T) {
		app := start(t, running.env())
		if status, body := ask(t, http.MethodGet, app.URL+"/readyz"); status != http.StatusOK {
			t.Fatalf("/readyz = %d %s", status, body)
		}
		if n := running.mail.Mails(); n != 0 {
			t.Errorf("%d mails were sent before the first order", n)
		}
		const orders = 5
		var last answer
		for range orders {
			last = order(t, app, http.StatusOK)
		}
		did := map[string]string{
			"mysql": "inserted a row, of 5", "postgresql": "inserted a row, of 5", "rabbitmq": "published a message, which was confirmed",
			"memcached": "set a key, and got it", "smtp": "sent a mail", "s3": "put an object, and got it", "twitter": "has a token",
		}
		for name, endpoint := range running.endpoints() {
			if got, want := last.Attached[name], (outcome{Endpoint: endpoint, Did: did[name]}); got != want {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
		want := map[string]int{"mysql": orders, "postgresql": orders, "rabbitmq": orders, "smtp": orders, "s3": orders}
		if diff := cmp.Diff(want, running.orders(t)); diff != "" {
			t.Errorf("orders that the servers have (-want +got):\n%s", diff)
		}
		if last.AppName != "Storefront" || last.Order == "" || last.CorrelationID == "" || len(last.Attached) != len(kinds) {
			t.Errorf("answer = %+v", last)
		}
		mustBeSilent(t, "the log", app.Log.String())
	})
	// A handle that leads to something that does not work, or to nobody.
	t.Run("a service that does not work fails the order, and is named", func(t *testing.T) {
		wrong := func(variable string) string {
			return strings.NewReplacer(escaped, "c4n4ry-wrong", plain, "c4n4ry-wrong").Replace(running.env()[variable])
		}
		down := regexp.MustCompile(`127\.0\.0\.1:\d+`)
		tests := map[string]struct {
			variable, value, failed, reason string
		}{
			"MySQL with a wrong password":         {"MYSQL_URL", wrong("MYSQL_URL"), "mysql", "it answered with the error 1045"},
			"PostgreSQL with a wrong password":    {"DATABASE_URL", wrong("DATABASE_URL"), "postgresql", "it answered with the error 28P01"},
			"RabbitMQ with a wrong password":      {"RABBITMQ_URL", wrong("RABBITMQ_URL"), "rabbitmq", "no usable answer"},
			"a mail server with a wrong password": {"SMTP_URL", wrong("SMTP_URL"), "smtp", "it answered with the status 535"},
			"S3 with a wrong key": {
				"S3_URL", strings.Replace(running.env()["S3_URL"], running.store.Secret, "c4n4ry-wrong", 1), "s3", "it answered with the status 403",
			},
			"a MySQL that is away":       {"MYSQL_URL", "", "mysql", "connection refused"},
			"a PostgreSQL that is away":  {"DATABASE_URL", "", "postgresql", "connection refused"},
			"a RabbitMQ that is away":    {"RABBITMQ_URL", "", "rabbitmq", "connection refused"},
			"a Memcached that is away":   {"MEMCACHED_URL", "", "memcached", "connection refused"},
			"a mail server that is away": {"SMTP_URL", "", "smtp", "connection refused"},
			"an S3 that is away":         {"S3_URL", "", "s3", "connection refused"},
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				if tt.value == "" {
					tt.value = down.ReplaceAllString(running.env()[tt.variable], "127.0.0.1:1")
				}
				app := start(t, running.env().With(programtest.Env{tt.variable: tt.value}))
				status, body := ask(t, http.MethodGet, app.URL+"/readyz")
				if status != http.StatusServiceUnavailable || !strings.Contains(body, tt.variable+" leads to 127.0.0.1:") || !strings.Contains(body, tt.reason) {
					t.Errorf("/readyz = %d %s, want 503 and %s: %s", status, body, tt.variable, tt.reason)
				}
				got := order(t, app, http.StatusServiceUnavailable)
				if !cmp.Equal(got.Failed, []string{tt.failed}) || got.Attached[tt.failed].Error != tt.reason {
					t.Errorf("answer = %+v, want that %s failed: %s", got, tt.failed, tt.reason)
				}
				for other, outcome := range got.Attached {
					if other != tt.failed && (outcome.Error != "" || outcome.Did == "") {
						t.Errorf("%s: %+v, and nothing is wrong with it", other, outcome)
					}
				}
				mustBeSilent(t, "the log", app.Log.String())
			})
		}
	})
	t.Run("connections that the servers closed are opened again", func(t *testing.T) {
		app := start(t, running.env())
		order(t, app, http.StatusOK)
		for _, row := range running.mysql.Ask("SELECT id FROM information_schema.processlist WHERE user = 'app'") {
			running.mysql.Do("KILL CONNECTION " + row[0])
		}
		running.postgres.Do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
		running.rabbit.Control("close_all_connections", "--vhost", "shop", "test")
		running.memcached.Kill()
		running.startCache(t)
		order(t, app, http.StatusOK)
	})
	t.Run("the keys of S3 may be in variables of their own", func(t *testing.T) {
		app := start(t, programtest.Env{
			"S3_URL": "s3://made-by-the-app", "AWS_ACCESS_KEY_ID": running.store.Access, "AWS_SECRET_ACCESS_KEY": running.store.Secret,
			"AWS_ENDPOINT_URL_S3": "http://" + running.store.Addr, "AWS_REGION": "eu-test-1",
		})
		got := order(t, app, http.StatusOK)
		if want := map[string]outcome{"s3": {Endpoint: running.store.Addr, Did: "put an object, and got it"}}; !cmp.Equal(got.Attached, want) {
			t.Errorf("attached = %+v, want %+v", got.Attached, want)
		}
	})
}

func TestAttachedToNothing(t *testing.T) {
	app := start(t, programtest.Env{"MYSQL_URL": "", "TWITTER_BEARER_TOKEN": ""})
	if got := order(t, app, http.StatusOK); len(got.Attached) != 0 || len(got.Failed) != 0 {
		t.Errorf("answer = %+v, want nothing attached and nothing failed", got)
	}
	if status, body := ask(t, http.MethodGet, app.URL+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz = %d %s, want 200", status, body)
	}
	for path, want := range map[string]int{"/elsewhere": http.StatusNotFound, "/healthz": http.StatusOK} {
		if status, body := ask(t, http.MethodGet, app.URL+path); status != want {
			t.Errorf("%s = %d %s, want %d", path, status, body, want)
		}
	}
	if status, body := ask(t, http.MethodPost, app.URL+"/"); status != http.StatusMethodNotAllowed {
		t.Errorf("POST / = %d %s, want 405", status, body)
	}
}

// start runs the app in this process.
func start(t *testing.T, e programtest.Env) *programtest.Instance {
	t.Helper()
	return programtest.Serve(t, storefront, maps.Clone(e))
}

func order(t *testing.T, app *programtest.Instance, want int) answer {
	t.Helper()
	status, body := ask(t, http.MethodGet, app.URL+"/")
	var got answer
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != want {
		t.Fatalf("GET / = %d %s, %v, want %d", status, body, err, want)
	}
	return got
}

func ask(t *testing.T, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true // a connection kept open is one that the stop of the app waits for
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	mustBeSilent(t, "the answer", string(body))
	return response.StatusCode, string(body)
}

func mustBeSilent(t *testing.T, what, text string) {
	t.Helper()
	if strings.Contains(text, "c4n4ry") {
		t.Errorf("a credential is in %s: %s", what, text)
	}
}
