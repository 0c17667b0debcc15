// Thirdparty writes the page of the modules that each program is made of and of their licences. It fails, and writes
// nothing, where one has a licence that is not allowed, or none that is known.
//
//	usage: thirdparty [-root DIR] [-out FILE] PATTERN...
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/bindery-dev/bindery/hack/release/internal/thirdparty"
)

func main() {
	root := flag.String("root", "../..", "the tree")
	out := flag.String("out", "../../docs/third-party.md", "the page")
	flag.Parse()
	if err := write(*root, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "thirdparty:", err)
		os.Exit(1)
	}
}

func write(root, out string, patterns []string) error {
	programs, err := thirdparty.Programs(root, patterns...)
	if err != nil {
		return err
	}
	modules := thirdparty.All(programs)
	if err := thirdparty.Check(modules); err != nil {
		return err
	}
	page, err := thirdparty.Page(programs)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "thirdparty: %d modules of %d programs, all under allowed licences\n", len(modules), len(programs))
	return os.WriteFile(out, page, 0o644)
}
