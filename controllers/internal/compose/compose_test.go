package compose

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// in looks a variable up in an environment.
func in(environment map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		text, ok := environment[name]
		return text, ok
	}
}

// The cases are those of the kubelet: third_party/forked/golang/expansion of Kubernetes, and its documentation.
func TestExpand(t *testing.T) {
	variables := map[string]string{"A": "1", "B": "$(A)", "C": "$$", "EMPTY": "", "a.b-c": "2", "A$": "3", "x(y": "4"}
	for value, want := range map[string]string{
		"":                        "",
		"text":                    "text",
		"$(A)":                    "1",
		"x$(A)y":                  "x1y",
		"$(A)$(A)":                "11",
		"$(EMPTY)x":               "x",
		"$(a.b-c)":                "2",
		"$(A$)":                   "3",
		"$(x(y)":                  "4",
		"$(NONE)":                 "$(NONE)",
		"x$(NONE)$(A)":            "x$(NONE)1",
		"$()":                     "$()",
		"$(B)":                    "$(A)", // what was put in is not looked at again
		"$(C)(A)":                 "$$(A)",
		"$$(A)":                   "$(A)",
		"$$$(A)":                  "$1",
		"$$$$(A)":                 "$$(A)",
		"$$":                      "$",
		"$":                       "$",
		"$A":                      "$A",
		"$A$(A)":                  "$A1",
		"$(A":                     "$(A",
		"$(A$(A)":                 "$(A$(A)", // the name is A$(A
		"mysql://$(A):$(B)@h/$$x": "mysql://1:$(A)@h/$x",
	} {
		if got := Expand(value, in(variables)); got != want {
			t.Errorf("%s becomes %s, want %s", value, got, want)
		}
	}
}

// The kubelet leaves a literal text as it is.
func TestALiteralTextStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("$(A)x"))).Draw(t, "text")
		if got := Expand(Literal(text), in(map[string]string{"A": "1"})); got != text {
			t.Errorf("%s becomes %s", text, got)
		}
	})
}

func TestTheVariablesOfAHandle(t *testing.T) {
	parts, value := Template("mysql://$(username):$(password)@$(host):$(port)/$(username)?x=$(a.b-c)").For("MYSQL_URL")
	want := []Part{
		{"BINDERY_MYSQL_URL_1", "username"}, {"BINDERY_MYSQL_URL_2", "password"}, {"BINDERY_MYSQL_URL_3", "host"},
		{"BINDERY_MYSQL_URL_4", "port"}, {"BINDERY_MYSQL_URL_5", "a.b-c"},
	}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if want := "mysql://$(BINDERY_MYSQL_URL_1):$(BINDERY_MYSQL_URL_2)@$(BINDERY_MYSQL_URL_3):$(BINDERY_MYSQL_URL_4)/$(BINDERY_MYSQL_URL_1)?x=$(BINDERY_MYSQL_URL_5)"; value != want {
		t.Errorf("the value is %s, want %s", value, want)
	}
	if !IsComposed(value) || IsComposed("mysql://$(MYSQL_HOST)/x") || IsComposed("$$(BINDERY_A_1)") || IsComposed("") {
		t.Error("what is composed by Bindery is not told from what is not")
	}
}

func TestWhichVariablesAreParts(t *testing.T) {
	for names, want := range map[string]string{
		"":                               "",
		"MYSQL_URL":                      "MYSQL_URL",
		"BINDERY_MYSQL_URL_1 MYSQL_URL":  "MYSQL_URL",
		"MYSQL_URL BINDERY_MYSQL_URL_12": "MYSQL_URL",
		"BINDERY_X_1_2 BINDERY_X_1 X_1":  "BINDERY_X_1 X_1",
		"BINDERY_MYSQL_URL_1":            "BINDERY_MYSQL_URL_1",
		"MYSQL_URL BINDERY_MYSQL_URL MYSQL_URL_1": "MYSQL_URL BINDERY_MYSQL_URL MYSQL_URL_1",
		"MYSQL_URL BINDERY_MYSQL_URL_0":           "MYSQL_URL BINDERY_MYSQL_URL_0",
	} {
		if got := strings.Join(WithoutParts(strings.Fields(names)), " "); got != want {
			t.Errorf("%s: %s, want %s", names, got, want)
		}
	}
}

// Whatever two variables are called, no part of the one is a part of the other.
func TestPartsDoNotCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A_1]{1,6}`)
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		n, m := rapid.IntRange(1, 12).Draw(t, "n"), rapid.IntRange(1, 12).Draw(t, "m")
		if PartOf(a, n) == PartOf(b, m) && (a != b || n != m) {
			t.Errorf("%s is a part of %s and of %s", PartOf(a, n), a, b)
		}
	})
}

// The app gets the text of the template with the contents of the keys in it, whatever the contents are.
func TestTheKubeletComposesTheHandle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.StringOf(rapid.SampledFrom([]rune("$()AB1@:/?#% \n")))
		secret := map[string]string{"user": content.Draw(t, "user"), "pass": content.Draw(t, "pass"), "host": content.Draw(t, "host")}
		parts, value := Template("db://$(user):$(pass)@$(host)/x").For("URL")
		environment := map[string]string{}
		for _, part := range parts {
			environment[part.Name] = secret[part.Key]
		}
		if got, want := Expand(value, in(environment)), "db://"+secret["user"]+":"+secret["pass"]+"@"+secret["host"]+"/x"; got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	})
}

func TestWhatAPartMayBe(t *testing.T) {
	const template = Template("db://$(user):$(pass)@$(host):$(port)/$(path)?x=$(query)")
	for name, test := range map[string]struct {
		key, text string
		want      Place
	}{
		"letters and digits":               {"pass", "Ab0-._~", ""},
		"a password that is encoded":       {"pass", "p%40ss%2Fw%20rd", ""},
		"nothing":                          {"pass", "", ""},
		"what a user may have by RFC 3986": {"pass", "!$&'()*+,;=", ""},
		"what the kubelet does not expand": {"pass", "$(host)$$", ""},
		"a colon in a password":            {"pass", "a:b", ""},
		"a colon in a user":                {"user", "a:b", InUser},
		"an at sign":                       {"pass", "p@ss", InPassword},
		"a slash":                          {"pass", "p/ss", InPassword},
		"a question mark":                  {"pass", "p?ss", InPassword},
		"a hash":                           {"pass", "p#ss", InPassword},
		"a bracket":                        {"pass", "p[ss", InPassword},
		"a quote":                          {"pass", `p"ss`, InPassword},
		"a percent sign":                   {"pass", "100%", InPassword},
		"a percent sign with one digit":    {"pass", "%4", InPassword},
		"a percent sign with other words":  {"pass", "%zz", InPassword},
		"a space":                          {"pass", "p ss", InPassword},
		"a line break at the end":          {"pass", "pass\n", InPassword},
		"a letter of another alphabet":     {"pass", "pässword", InPassword},
		"a line break in a user":           {"user", "app\n", InUser},
		"a host":                           {"host", "db.example.com", ""},
		"an address":                       {"host", "[fe80::1]", ""},
		"several hosts":                    {"host", "a:1,b:2", ""},
		"a host with a user":               {"host", "u@h", InHost},
		"a host with a path":               {"host", "h/x", InHost},
		"a host with a line break":         {"host", "h\n", InHost},
		"a port with a line break":         {"port", "3306\n", InHost},
		"a database":                       {"path", "shop-1_a", ""},
		"a virtual host":                   {"path", "/", InPath},
		"a virtual host that is encoded":   {"path", "%2F", ""},
		"a database with a parameter":      {"path", "shop?tls=false", InPath},
		"an address as a parameter":        {"query", "https://s3.example.com:9000/x", ""},
		"two parameters":                   {"query", "a&tls=false", InQuery},
		"a fragment":                       {"query", "a#b", InQuery},
	} {
		t.Run(name, func(t *testing.T) {
			parts := map[string]string{"user": "app", "pass": "p", "host": "h", "port": "1", "path": "d", "query": "q"}
			parts[test.key] = test.text
			if place, missing := template.Check(in(parts)); place != test.want || missing {
				t.Errorf("%q, %v; want %q", place, missing, test.want)
			}
		})
	}
}

func TestAPartThatIsMissing(t *testing.T) {
	const template = Template("db://$(user):$(pass)@$(host)")
	if _, missing := template.Check(in(map[string]string{"user": "a", "host": "h"})); !missing {
		t.Error("it is not told")
	}
	if _, missing := template.Check(in(map[string]string{"user": "", "pass": "", "host": ""})); missing {
		t.Error("a part that is empty is not missing")
	}
	if place, missing := Template("").Check(nil); place != "" || missing {
		t.Error("a handle that is not composed has no parts")
	}
}

// A key in the parameters of JDBC, and one in two places, is looked at where it is.
func TestWhereAPartIs(t *testing.T) {
	parts := in(map[string]string{"host": "h", "pass": "a:b/c", "name": "a:b"})
	for template, want := range map[Template]Place{
		"jdbc:mysql://$(host):3306/shop?user=app&password=$(pass)": "",
		"mysql://$(name)@$(host)/shop":                             InUser,
		"mysql://app:$(name)@$(host)/shop":                         "",
		"mysql://app:$(name)@$(host)/$(pass)":                      InPath,
		"redis://:$(name)@$(host)":                                 "",
		"http://$(host)":                                           "",
		"http://$(host)?x=$(pass)":                                 "",
	} {
		if got, _ := template.Check(parts); got != want {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
	}
}

// Whatever a key holds, a handle whose parts are encoded is read as what the key holds.
func TestAHandleThatIsEscaped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user, pass, path := rapid.String().Draw(t, "user"), rapid.String().Draw(t, "pass"), rapid.StringMatching(`[^/.][^/]*`).Draw(t, "path")
		query := rapid.String().Draw(t, "query")
		escaped := Template("s3://$(user):$(pass)@$(host)/$(path)?x=$(query)").Escape(in(map[string]string{
			"user": user, "pass": pass, "host": "h:1", "path": path, "query": query,
		}))
		u, err := url.Parse(escaped)
		if err != nil {
			t.Fatal(err)
		}
		password, _ := u.User.Password()
		if u.User.Username() != user || password != pass || u.Host != "h:1" || strings.TrimPrefix(u.Path, "/") != path || u.Query().Get("x") != query {
			t.Errorf("%s is read as %q, %q, %q, %q, %q", escaped, u.User.Username(), password, u.Host, u.Path, u.Query().Get("x"))
		}
	})
}
