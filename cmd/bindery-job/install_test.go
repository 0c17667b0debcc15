package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestTheProgramIsInstalledWhereOthersRunIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bindery-job")
	for range 2 { // a Pod whose init container is started again
		var said bytes.Buffer
		if code := run(context.Background(), []string{installCommand, file}, os.LookupEnv, &said); code != 0 {
			t.Fatalf("exit code %d: %s", code, &said)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) || info.Mode().Perm()&0o555 != 0o555 {
		t.Errorf("it has %d bytes of %d, and the mode %s", len(have), len(want), info.Mode())
	}
}

func TestWhatCannotBeInstalledIsSaid(t *testing.T) {
	for name, args := range map[string][]string{
		"no file": {installCommand}, "two files": {installCommand, "a", "b"},
		"a folder that is not there": {installCommand, filepath.Join(t.TempDir(), "none", "bindery-job")},
	} {
		var said bytes.Buffer
		if code := run(context.Background(), args, os.LookupEnv, &said); code == 0 || said.Len() == 0 {
			t.Errorf("%s: exit code %d, %q", name, code, &said)
		}
	}
}
