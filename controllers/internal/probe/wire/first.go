package wire

import (
	"context"

	"github.com/bindery-dev/bindery/controllers/internal/exitcode"
)

// First tries targets in turn, until one of them passes. Otherwise the result is that of the first that answers. Each has
// an equal share of the time that is left.
func First(ctx context.Context, d Dialer, targets []Target, probe Probe) Result {
	var found *Result
	for i, to := range targets {
		share, cancel := ShareOf(ctx, len(targets)-i)
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
