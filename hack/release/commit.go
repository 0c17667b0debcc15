package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// commit is what a release is built from.
type commit struct {
	sha  string // with -dirty behind it, if the tree has changes that are not committed
	date time.Time
}

// commitOf asks git about the tree. A tree with changes is refused, unless this is a trial. sourceDateEpoch is the variable
// of that name (https://reproducible-builds.org/specs/source-date-epoch/), in seconds; empty = the date of the commit.
func commitOf(root, sourceDateEpoch string, trial bool) (commit, error) {
	sha, err := git(root, "rev-parse", "HEAD")
	if err != nil {
		return commit{}, err
	}
	changes, err := git(root, "status", "--porcelain")
	if err != nil {
		return commit{}, err
	}
	if changes != "" {
		if !trial {
			return commit{}, fmt.Errorf("the tree has changes that are not committed:\n%s\ncommit them, or say TRIAL=1 for a release that is never published",
				changes)
		}
		sha += "-dirty"
	}
	seconds := sourceDateEpoch
	if seconds == "" {
		if seconds, err = git(root, "show", "--no-patch", "--format=%ct", "HEAD"); err != nil {
			return commit{}, err
		}
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return commit{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is no number of seconds", seconds)
	}
	return commit{sha: sha, date: time.Unix(at, 0).UTC()}, nil
}

func git(root string, args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimRight(string(out), "\n"), nil
}
