package database

import (
	"strings"
	"testing"

	"github.com/bindery-dev/bindery/controllers/internal/handle"
)

var (
	// silent is what clients do if the handle is silent about TLS.
	silent   = Security{Use: IfOffered, Unverified: true}
	never    = Security{Use: Never}
	encrypt  = Security{Use: Always, Unverified: true}
	verified = Security{Use: Always}
	// own is what is checked with a file of the app's.
	own = Security{Use: Always, Own: true}
)

// The spellings of the common libraries.
func TestWhatAHandleSaysAboutTLS(t *testing.T) {
	for tail, want := range map[string]Security{
		"":                    {Use: IfOffered, Unverified: true},
		"/d?parseTime=true":   silent,
		"?sslmode=":           silent,
		"#insecure":           silent,
		"?requireSSL=false":   silent,
		"?ssl_disabled=false": silent,

		// libpq
		"?sslmode=disable": never, "?sslmode=allow": {Use: IfRefused, Unverified: true}, "?sslmode=prefer": silent, "?sslmode=require": encrypt,
		"?sslmode=verify-ca": {Use: Always, AnyName: true}, "?sslmode=verify-full": verified, "?sslrootcert=system": verified,
		"?sslmode=verify-full&sslrootcert=/ca.pem": own, "?ssl=true": encrypt, "?sslmode=disable&sslrootcert=/ca.pem": {Use: Never, Own: true},
		"?sslmode=verify-ca&sslrootcert=/ca.pem": {Use: Always, AnyName: true, Own: true}, "?sslmode=require&sslrootcert=/ca.pem": {Use: Always, AnyName: true, Own: true},
		"?sslmode=prefer&sslrootcert=/ca.pem": {Use: IfOffered, Unverified: true, Own: true},
		// MySQL and MariaDB
		"?ssl-mode=DISABLED": never, "?ssl-mode=PREFERRED": silent, "?ssl-mode=REQUIRED": encrypt, "?ssl_mode=VERIFY_CA": {Use: Always, AnyName: true},
		"?ssl-mode=VERIFY_IDENTITY": verified, "?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem": own, "?ssl-mode=REQUIRED&ssl-ca=/ca.pem": {Use: Always, Unverified: true, Own: true},
		// Go
		"?tls=true": verified, "?tls=false": never, "?tls=skip-verify": encrypt, "?tls=preferred": silent, "?tls=rds": encrypt,
		"?tls=true&allowFallbackToPlaintext=true": {Use: IfOffered},
		// Java
		"?sslMode=REQUIRED": encrypt, "?sslMode=trust": encrypt, "?sslMode=verify-full": verified, "?useSSL=true": silent, "?useSSL=false": never,
		"?useSSL=true&requireSSL=true": encrypt, "?sslMode=VERIFY_IDENTITY&trustCertificateKeyStoreUrl=file:ca": own,
		"?useSSL=true&verifyServerCertificate=false": silent,
		// JavaScript
		`?ssl={"rejectUnauthorized":true}`: verified, `?ssl={"rejectUnauthorized":false}`: encrypt, `?ssl={"rejectUnauthorized":true,"ca":"x"}`: {Use: Always, AnyName: true},
		"?ssl=%7B%22rejectUnauthorized%22%3Atrue%7D": verified, "?ssl={}": encrypt, "?ssl=Amazon+RDS": encrypt, "?sslmode=no-verify": encrypt,
		"?ssl={'ca':'/ca.pem'}": encrypt, "?sslaccept=strict": verified, "?sslaccept=accept_invalid_certs": encrypt,
		// Python, Ruby, .NET
		"?ssl=require": encrypt, "?ssl=verify-full": verified, "?ssl_disabled=true": never, "?SslMode=None": never, "?SSL Mode=VerifyFull": verified,
		"?sslmode=VerifyCA": {Use: Always, AnyName: true}, "?sslmode=verify-full&Trust Server Certificate=true": encrypt,
		// The more exact one counts.
		"?ssl=true&sslmode=verify-full": verified, "?sslmode=disable&ssl=true": never,
	} {
		l, fault := handle.Parse(postgresqlType, "postgres://u:p@h"+strings.ReplaceAll(tail, " ", "%20"))
		if fault != handle.Good {
			t.Fatalf("%s: the handle %s", tail, fault)
		}
		if got := SecurityOf(&l, silent); got != want {
			t.Errorf("%s: %+v, want %+v", tail, got, want)
		}
	}
	for raw, want := range map[string]Security{
		"mysqls://u:p@h": verified, "mysql+ssl://u:p@h": verified, "mysqls://u:p@h?verify=no": encrypt, "mysqls://u:p@h?ssl-mode=DISABLED": never,
		"mysqls://u:p@h?ssl_check_hostname=False": {Use: Always, AnyName: true}, "jdbc:mysql://h?sslmode=require&sslrootcert=/ca.pem": {Use: Always, Unverified: true, Own: true},
		"mysql+tls+insecure://u:p@h": encrypt, "u:p@tcp(h)/d?tls=true": verified, "Server=h;SslMode=Required": encrypt,
	} {
		l, _ := handle.Parse(mysqlType, raw)
		if got := SecurityOf(&l, silent); got != want {
			t.Errorf("%s: %+v, want %+v", raw, got, want)
		}
	}
}

// A certificate is checked where the handle says so, and its authority is the system's, or is known.
func TestWhatIsChecked(t *testing.T) {
	for security, want := range map[Security]struct{ unknown, known bool }{
		{Use: Always}:                                 {true, true},
		{Use: Always, Own: true}:                      {false, true},
		{Use: Always, AnyName: true}:                  {false, true},
		{Use: Always, Unverified: true}:               {false, false},
		{Use: Always, Unverified: true, Own: true}:    {false, false},
		{Use: IfOffered, Unverified: true, Own: true}: {false, false},
	} {
		if unknown, known := !security.unverified(false), !security.unverified(true); unknown != want.unknown || known != want.known {
			t.Errorf("%+v: checked with an unknown authority: %t, with a known one: %t", security, unknown, known)
		}
	}
}

// Whatever an option says, the probe asks for a certificate only where it asks for TLS.
func FuzzTLSOptions(f *testing.F) {
	for _, seed := range []string{
		"sslmode=verify-full", `ssl={"rejectUnauthorized":true}`, `ssl={"rejectUnauthorized":"x"}`, "tls=%7B", "ssl-mode=&tls=x", "useSSL=true&requireSSL=1", "sslrootcert=system",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		l, fault := handle.Parse(mysqlType, "mysql://u:p@h/d?"+query)
		if fault != handle.Good {
			t.Skip("it is no handle")
		}
		got := SecurityOf(&l, never)
		if checks := got.Use != Never && !got.Unverified; checks && got.Use != Always && !strings.Contains(strings.ToLower(query), "fallback") {
			t.Errorf("%s: %+v", query, got)
		}
		if again := SecurityOf(&l, never); again != got {
			t.Errorf("%s: %+v, and then %+v", query, got, again)
		}
	})
}
