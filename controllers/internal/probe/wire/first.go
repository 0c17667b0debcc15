package wire

import (
	"context"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// First tries targets in turn, until one of them passes. Otherwise the result is that of the first that answers. Each may
// use half of the time that is left, and the last one all of it: a server may be slow to refuse a password.
func First(ctx context.Context, d Dialer, targets []Target, probe Probe) Result {
	var found *Result
	for i, to := range targets {
		share, cancel := ShareOf(ctx, min(len(targets)-i, 2))
		result := probe(share, d, to)
		cancel()
		if result.Code == exitcode.Passed {
			return result
		}
		if found == nil || !found.Answered() && result.Answered() || exitcode.Passes(result.Code) && !exitcode.Passes(found.Code) {
			found = &result
		}
	}
	return *found
}
