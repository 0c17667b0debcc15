package smtp

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/probe/wire"
)

var modeNames = map[mode]string{offered: "offered", never: "never", startTLS: "STARTTLS", implicit: "TLS"}

// How clients come to TLS, by what a handle says. Where clients differ, each way is tried.
func TestHowAHandleIsRead(t *testing.T) {
	for handle, want := range map[string]string{
		"smtp://a":              "a:25 offered",
		"smtp://a:587":          "a:587 offered",
		"submission://a":        "a:587 offered",
		"smtp://a:465":          "a:465 TLS, a:465 offered",
		"smtps://a":             "a:465 TLS",
		"smtps://a:587":         "a:587 TLS",
		"submissions://a":       "a:465 TLS",
		"smtp+ssl://a":          "a:465 TLS",
		"smtp+tls://a":          "a:587 STARTTLS",
		"smtp+starttls://a":     "a:587 STARTTLS",
		"smtp+starttls://a:465": "a:465 TLS, a:465 STARTTLS",
		"smtp://a,b:26":         "a:25 offered, b:26 offered",

		"smtp://a?starttls=true":         "a:25 STARTTLS",
		"smtp://a?starttls=always":       "a:25 STARTTLS",
		"smtp://a?requireTLS=true":       "a:25 STARTTLS",
		"smtp://a?starttls=auto":         "a:25 offered",
		"smtp://a?starttls=false":        "a:25 never",
		"smtp://a?starttls=never":        "a:25 never",
		"smtp://a?ignoreTLS=true":        "a:25 never",
		"smtp://a?ignoreTLS=false":       "a:25 offered",
		"smtp://a?auto_tls=false":        "a:25 never",
		"smtp://a?enable_starttls_auto=": "a:25 offered",
		"smtp://a?secure=true":           "a:25 TLS, a:25 STARTTLS",
		"smtp://a?ssl=True":              "a:25 TLS, a:25 STARTTLS",
		"smtp://a?secure=false&tls=none": "a:25 never",
		"smtp://a?ssl=false":             "a:25 offered",
		"smtp://a?tls=true":              "a:25 STARTTLS, a:25 TLS",
		"smtp://a?tls=starttls":          "a:25 STARTTLS",
		"smtp://a?tls=preferred":         "a:25 offered",
		"smtp://a?tls=false":             "a:25 never",
		"smtp://a?encryption=ssl":        "a:25 TLS",
		"smtp://a?encryption=tls":        "a:25 STARTTLS, a:25 TLS",
		"smtp://a:465?tls=true":          "a:465 TLS, a:465 STARTTLS",
		"smtps://a?starttls=false":       "a:465 TLS",
		"smtp://a?timeout=5&pool=true":   "a:25 offered",
	} {
		t.Run(handle, func(t *testing.T) {
			to, failed := wire.Parse(v1alpha1.TypeSMTP, handle)
			if failed != nil {
				t.Fatal(failed.Sentence)
			}
			var got []string
			for _, r := range readingsOf(to) {
				got = append(got, r.to.Endpoints[0].Address()+" "+modeNames[r.mode])
				if r.to.Secure != (r.mode == implicit) {
					t.Errorf("%s: TLS from the first byte: %v", modeNames[r.mode], r.to.Secure)
				}
			}
			if diff := cmp.Diff(want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsLoggedInWith(t *testing.T) {
	for handle, want := range map[string]struct {
		login login
		whole bool
		part  bool
	}{
		"smtp://a":                          {},
		"smtp://u:p@a":                      {login{"u", "p"}, true, false},
		"smtp://u%40b.example:p%2F%3a%25@a": {login{"u@b.example", "p/:%"}, true, false},
		"smtp://u:p:q@a":                    {login{"u", "p:q"}, true, false},
		"smtp://u:p%zz@a":                   {login{"u", "p%zz"}, true, false},
		"smtp://u@a":                        {login{"u", ""}, false, true},
		"smtp://:p@a":                       {login{"", "p"}, false, true},
		"smtp://a?username=u&password=p%25": {login{"u", "p%"}, true, false},
		"smtp://u@a?pass=p":                 {login{"u", "p"}, true, false},
	} {
		t.Run(handle, func(t *testing.T) {
			to, failed := wire.Parse(v1alpha1.TypeSMTP, handle)
			if failed != nil {
				t.Fatal(failed.Sentence)
			}
			got := loginOf(to.Location)
			if got != want.login || got.isWhole() != want.whole || got.isPart() != want.part {
				t.Errorf("%+v, whole %v, part %v", got, got.isWhole(), got.isPart())
			}
		})
	}
}

func TestWhichLoginIsChosen(t *testing.T) {
	for offer, want := range map[string]string{
		"PLAIN LOGIN": "PLAIN", "LOGIN PLAIN XOAUTH2": "PLAIN", "login": "LOGIN", "CRAM-MD5 LOGIN": "LOGIN", "DIGEST-MD5 CRAM-MD5": "CRAM-MD5",
		"SCRAM-SHA-256": "", "": "", "PLAINER": "",
	} {
		got := ""
		if chosen := (login{"u", "p"}).authentication(offer); chosen != nil {
			var err error
			if got, _, err = chosen.Start(nil); err != nil {
				t.Fatal(err)
			}
		}
		if got != want {
			t.Errorf("of %q it chooses %q, want %q", offer, got, want)
		}
	}
}

// Whatever somebody writes into a Secret, it is read without a crash, and each way to read it is one server.
func FuzzReadings(f *testing.F) {
	for _, seed := range []string{
		"smtp://u:p@a:587?tls=true", "smtps://a", "smtp+starttls://u%40b:p@[::1]:25,b", "failover(smtp://a smtps://b)", "sendgrid+smtp://k@default",
		"submission://a?starttls=never&ssl=0", "host=a;port=1;username=u", "smtp://a:465?secure",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		to, failed := wire.Parse(v1alpha1.TypeSMTP, raw)
		if failed != nil {
			return
		}
		readings := readingsOf(to)
		if len(readings) < len(to.Endpoints) {
			t.Errorf("%q has %d servers and %d readings", raw, len(to.Endpoints), len(readings))
		}
		for _, r := range readings {
			if len(r.to.Endpoints) != 1 || r.to.Endpoints[0].Port == "" {
				t.Errorf("a reading of %q is of no server: %v", raw, r.to.Endpoints)
			}
			if to.Secure && r.mode != implicit {
				t.Errorf("%q is spoken to without TLS", raw)
			}
			if r.login.isWhole() && r.login.isPart() {
				t.Errorf("%q has a whole login that is a part of one", raw)
			}
		}
	})
}

// Whatever a server sends, it is recognized or not, without a crash.
func FuzzSpeaksSMTP(f *testing.F) {
	for _, seed := range []string{"220 a", "220-", "2", "HTTP/1.1", "\x15\x03\x01", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, heard []byte) {
		if speaksSMTP(heard) && len(heard) > 0 && (heard[0] < '0' || heard[0] > '9') {
			t.Errorf("%q is no answer of a mail server", heard)
		}
	})
}
