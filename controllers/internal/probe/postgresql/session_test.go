package postgresql

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

// Only what libpq sends is sent, whatever else a handle has.
func TestWhatIsSentToTheServer(t *testing.T) {
	for tail, want := range map[string]map[string]string{
		"": {},
		"?pgbouncer=true&schema=public&sslmode=require&connect_timeout=3":          {},
		"?application_name=pinger&options=-c%20search_path%3Dshop&currentSchema=x": {"application_name": "pinger", "options": "-c search_path=shop"},
		"?application_name=&options=a%00b":                                         {},
	} {
		l, _ := handle.Parse(v1alpha1.TypePostgreSQL, "postgres://u:p@h/d"+tail)
		if diff := cmp.Diff(want, sessionOf(&l).parameters); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tail, diff)
		}
	}
}

func TestWhichServersAreRight(t *testing.T) {
	for asked, want := range map[string]struct {
		seeks bool
		wants wanted
	}{
		"": {}, "target_session_attrs=any": {}, "target_session_attrs=nothing": {},
		"target_session_attrs=read-write": {seeks: true}, "targetServerType=master": {seeks: true}, "Target Session Attributes=prefer-primary": {seeks: true},
		"target_session_attrs=read-only": {wants: wantsStandby}, "targetServerType=slave": {wants: wantsStandby},
		"target_session_attrs=prefer-standby": {wants: wantsAny}, "targetServerType=preferSecondary": {wants: wantsAny},
		"readOnly=true": {wants: wantsAny}, "readOnly=false": {},
		"options=-c%20default_transaction_read_only%3Don": {wants: wantsAny}, "options=-c%20default_transaction_read_only%3Doff": {},
	} {
		l, _ := handle.Parse(v1alpha1.TypePostgreSQL, "postgres://u:p@h/d?"+strings.ReplaceAll(asked, " ", "%20"))
		if s := sessionOf(&l); s.seeksPrimary != want.seeks || s.wants != want.wants {
			t.Errorf("%s: %+v, want %+v", asked, s, want)
		}
	}
}

// No query makes more of itself than parameters of libpq.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"options=-c%20a%3Db&application_name=x", "hostaddr=1.2.3.4,5.6.7.8&host=a", "sslnegotiation=direct&target_session_attrs=READ_WRITE", "options=%00", "readonly=TRUE",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		l, fault := handle.Parse(v1alpha1.TypePostgreSQL, "postgres://u:p@h/d?"+query)
		if fault != handle.Good {
			t.Skip("it is no handle")
		}
		s := sessionOf(&l)
		for name, value := range s.parameters {
			if name != "options" && name != "application_name" || value == "" || strings.Contains(value, "\x00") {
				t.Errorf("%s: it sends %q=%q", query, name, value)
			}
		}
		if s.seeksPrimary && s.wants == wantsStandby {
			t.Errorf("%s: it wants both", query)
		}
	})
}

// The first bytes of an answer are judged without a look at the rest.
func FuzzFirstBytes(f *testing.F) {
	for _, seed := range []string{"R\x00\x00\x00\x08\x00\x00\x00", "E\x00\x00\x00\x60SFA", "N", "S\x16\x03", "J\x00\x00\x00\x0a5.5", "HTTP/1.1", "220 mail"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, heard []byte) {
		if len(heard) == 0 {
			t.Skip("then the question is not asked")
		}
		plain := (&conversation{}).speaks(heard)
		if plain && !strings.ContainsRune("REv", rune(heard[0])) {
			t.Errorf("%q is no message", heard)
		}
		if mysql := len(heard) > headLength && heard[3] == 0 && heard[1] == 0 && heard[2] == 0 && heard[4] == '\n'; mysql && plain {
			t.Errorf("%q is the greeting of a MySQL", heard)
		}
	})
}
