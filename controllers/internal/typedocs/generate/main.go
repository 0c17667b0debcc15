// Generate writes the pages about the types into a folder, and leaves what else is there.
//
//	usage: generate DIR
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/bindery-dev/bindery/controllers/internal/typedocs"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("usage: generate DIR")
	}
	pages, err := typedocs.Pages()
	if err != nil {
		return err
	}
	folder, err := os.OpenRoot(arguments[0])
	if err != nil {
		return err
	}
	for name, content := range pages {
		err = errors.Join(err, folder.WriteFile(name, content, 0o600))
	}
	return errors.Join(err, folder.Close())
}
