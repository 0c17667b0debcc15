package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSpecification(t *testing.T) {
	tests := map[string]struct {
		arguments []string
		want      string
	}{
		"of a container is in its bundle": {
			[]string{"--root", "/run/runc", "--log", "/log.json", "--log-format", "json", "create", "--bundle", "/b", "--pid-file", "/p", "id"},
			"/b/config.json",
		},
		"of a container is in its bundle, in the short form":                            {[]string{"run", "-b", "/b", "id"}, "/b/config.json"},
		"of a container is in the folder that runc starts in, where no bundle is named": {[]string{"create", "id"}, "config.json"},
		"of a process is a file of its own": {
			[]string{"--root=/run/runc", "exec", "--process", "/tmp/process", "--detach", "id"},
			"/tmp/process",
		},
		"of a process is a file of its own, in one word":           {[]string{"exec", "--process=/tmp/process", "id"}, "/tmp/process"},
		"of a process that is given by its arguments is not there": {[]string{"exec", "id", "sh"}, ""},
		"of a command that starts nothing is not there":            {[]string{"--root", "/run/runc", "delete", "--force", "id"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := specification(test.arguments); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestRelax(t *testing.T) {
	const process = `{
		"args": ["sh"], "oomScoreAdj": -999, "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1048576, "soft": 1048576}], "new": 18446744073709551615,
		"capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_KILL"], "ambient": ["CAP_SYS_RESOURCE"]}}`
	const relaxed = `{"args": ["sh"], "new": 18446744073709551615, "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"], "ambient": []}}`
	tests := map[string]struct {
		text        string
		isContainer bool
		want        string
	}{
		"a container keeps all but what needs the capability": {
			`{"ociVersion": "1.0.2", "process": ` + process + `, "linux": {"resources": {"memory": {"limit": 9007199254740993}}}}`, true,
			`{"ociVersion": "1.0.2", "process": ` + relaxed + `, "linux": {"resources": {"memory": {"limit": 9007199254740993}}}}`,
		},
		"a process keeps all but what needs the capability": {process, false, relaxed},
		"a container without a process stays as it is":      {`{"ociVersion": "1.0.2"}`, true, `{"ociVersion": "1.0.2"}`},
		"a process without capabilities has none":           {`{"args": ["sh"]}`, false, `{"args": ["sh"]}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := relax([]byte(test.text), test.isContainer)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(canonical(t, test.want), canonical(t, string(got))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, text := range map[string]string{
		"a specification that is cut off is an error":      `{"process": {`,
		"capabilities of an unknown form are an error":     `{"process": {"capabilities": ["CAP_CHOWN"]}}`,
		"a process that is not what it should be is error": `{"process": []}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := relax([]byte(text), true); err == nil {
				t.Errorf("got %s", got)
			}
		})
	}
}

// canonical keeps every digit of a number, which `any` would not.
func canonical(t *testing.T, text string) string {
	t.Helper()
	fields, err := object([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for name, value := range fields {
		if inner, err := object(value); err == nil && inner != nil {
			fields[name] = json.RawMessage(canonical(t, string(value)))
		}
	}
	compact, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(compact)
}

func TestRewriteKeepsWhoMayReadTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), bundleFile)
	if err := os.WriteFile(file, []byte(`{"process": {"oomScoreAdj": -999}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(file); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != `{"process":{}}` || info.Mode().Perm() != 0o600 {
		t.Errorf("got %s with mode %s", got, info.Mode())
	}
}

func TestNothingIsRunWhereTheSpecificationCannotBeRead(t *testing.T) {
	if err := run([]string{"create", "--bundle", t.TempDir(), "id"}); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}
