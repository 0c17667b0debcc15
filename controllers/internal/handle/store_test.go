package handle

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// What a handle of type s3 says about its bucket: SCHEME PATH,PATH REGION, with "-" for what it leaves open.
func TestWhereABucketIs(t *testing.T) {
	for raw, want := range map[string]string{
		"s3://k:s@b?endpoint=https://a&region=r":             "https /b r",
		"s3://k:s@b/prefix/x?endpoint=https://a":             "https /b -",
		"s3://b?endpoint=https://a/storage/v1/s3/":           "https /storage/v1/s3/b -",
		"s3://b?endpoint=a:9000":                             "- /b -",
		"s3://b?endpoint=a:9000&use_ssl=false":               "http /b -",
		"s3://b?endpoint=a:9000&disable_https=true":          "http /b -",
		"s3://b?endpoint=a:9000&disableSSL=false":            "- /b -",
		"s3://b?endpoint=a:9000&secure=true":                 "https /b -",
		"s3://b?endpoint=a":                                  "https /b -",
		"s3://b?endpoint=HTTP://a&ssl=true":                  "http /b -",
		"s3://b?endpoint=https://s3.eu-west-1.amazonaws.com": "https /b eu-west-1",
		"s3://x?endpoint=https://a&bucket=b":                 "https /b -",
		"s3://a:1/b?endpoint=https://c":                      "https /b -",
		"s3://k:s@a:9000/b/prefix":                           "- /b,/b/prefix -",
		"s3://k:s@a:9000/b?region=r&ssl=no":                  "http /b r",
		"s3://k:s@a:9000":                                    "- / -",
		"s3://bbb?aws_region=eu-west-1":                      "https / eu-west-1",
		"s3://bbb?region=eu-west-1&ssl=false":                "http / eu-west-1",
		"https://k:s@a/b":                                    "https /b -",
		"https://k:s@a/b/":                                   "https /b -",
		"https://k:s@a/storage/v1/s3/b":                      "https /storage,/storage/v1/s3/b -",
		"https://k:s@a/b?region=r":                           "https /b r",
		"https://k:s@a?bucket=b":                             "https /b -",
		"http://k:s@a":                                       "http / -",
		"https://s3.eu-west-1.amazonaws.com/b":               "https /b eu-west-1",
		"https://s3-eu-west-1.amazonaws.com/b":               "https /b eu-west-1",
		"https://s3.dualstack.eu-west-1.amazonaws.com/b":     "https /b eu-west-1",
		"https://b.s3.eu-west-1.amazonaws.com/prefix":        "https / eu-west-1",
		"https://b.b.s3.cn-north-1.amazonaws.com.cn":         "https / cn-north-1",
		"https://b.s3.amazonaws.com/prefix":                  "https / -",
		"https://b.s3-fips.us-gov-west-1.amazonaws.com":      "https / us-gov-west-1",
		"s3+https://a/b":                                     "https /b -",
		"s3://b":                                             "nowhere",
	} {
		l, fault := Parse(v1alpha1.TypeS3, raw)
		if fault != Good {
			t.Errorf("%s %s", raw, fault)
			continue
		}
		got := "nowhere"
		if s := l.Store; s != nil {
			got = or(s.Scheme) + " " + strings.Join(s.Paths, ",") + " " + or(s.Region)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// No handle of type s3 makes the parser fail, or makes a host of a bucket.
func FuzzStore(f *testing.F) {
	for _, seed := range []string{
		"s3://k:s@b?endpoint=https://a&region=r", "s3://b/k", "s3://k:s@a:1/b", "https://b.s3.eu-west-1.amazonaws.com/x", "s3://bbb?region=eu-west-1",
		"s3://b?endpoint=a:1&ssl=0", "s3://x?bucket=b&endpoint=//", "s3+http://[::1]/b?bucket=%2F", "s3://b?endpoint=https://u@a", "https://a/%zz/b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		l, fault := Parse(v1alpha1.TypeS3, raw)
		switch {
		case l.Store == nil && fault == Good && len(l.Servers) > 0:
			if l.Scheme != "" {
				t.Errorf("%q leads to %v, and to no store", raw, l.Servers)
			}
			return
		case l.Store == nil:
			return
		case len(l.Servers) != 1 || l.Servers[0].Port == "" || l.Servers[0].Host == "":
			t.Fatalf("%q is in a store of the servers %v", raw, l.Servers)
		}
		for _, path := range l.Store.Paths {
			if !strings.HasPrefix(path, "/") {
				t.Errorf("%q has the path %q", raw, path)
			}
		}
		if len(l.Store.Paths) == 0 {
			t.Errorf("%q has no path", raw)
		}
		_, named := l.Options.Get("endpoint", "endpointurl", "awsendpointurl", "awsendpointurls3", "s3endpoint", "customendpoint")
		if host := l.Servers[0].Host; !named && !l.Says("http") && !l.Says("https") && !strings.Contains(raw, ":"+l.Servers[0].Port) &&
			!isServer(Server{Host: host}) && !strings.Contains(host, ".amazonaws.com") {
			t.Errorf("%q leads to %s", raw, host)
		}
	})
}

// A list of URLs leads to hosts of the list, or nowhere.
func FuzzListOfURLs(f *testing.F) {
	for _, seed := range []string{"http://a:1,http://b:2", "http://u:p@a, http://u:p@b/i", "https://u:p@a,https://b", "http://a,,http://b", "elasticsearch://a,b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		l, fault := Parse(v1alpha1.TypeOpenSearch, raw)
		for _, s := range l.Servers {
			if fault == Good && s.Host == "" {
				t.Errorf("%q has a server without a host", raw)
			}
		}
	})
}
