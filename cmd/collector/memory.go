package main

import (
	"context"
	"errors"
	"math"
	"runtime/debug"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// takePatience is how long a request waits for memory: as long as a burst lasts, and less than its sender waits.
	takePatience = time.Second

	// copies is how often an object is in memory while it is stored or answered, at most, with room for everything else.
	copies = 16
)

// errNoMemory says that others have all the memory that there is for objects.
var errNoMemory = errors.New("too much is being stored and read at once: try again in a second")

// memory is what the objects may take that are being received, stored and answered. Each request takes the size of its
// object before it has any of it, and gives it back when it is answered.
type memory struct {
	size int64
	free *semaphore.Weighted
}

// newMemory shares out a part of what the process may have, which GOMEMLIMIT says: at least as much as one request needs.
func newMemory() *memory { return memoryOf(debug.SetMemoryLimit(-1)) }

func memoryOf(limit int64) *memory {
	if limit == math.MaxInt64 { // nobody has said
		limit = 1 << 30
	}
	size := max(limit/copies, maxRecord)
	return &memory{size: size, free: semaphore.NewWeighted(size)}
}

// take waits a while for that many bytes. The caller gives them back.
func (m *memory) take(ctx context.Context, bytes int64) error {
	if bytes > m.size {
		return errNoMemory
	}
	ctx, cancel := context.WithTimeout(ctx, takePatience)
	defer cancel()
	if m.free.Acquire(ctx, bytes) != nil {
		return errNoMemory
	}
	return nil
}

func (m *memory) giveBack(bytes int64) { m.free.Release(bytes) }
