package main

import (
	"fmt"
	"math"
	"runtime/debug"
	"strconv"
)

// memoryVariable has the memory limit of the container, in bytes, as the downward API writes it.
const memoryVariable = "MEMORY_LIMIT"

// limitMemory sets Go's memory limit to nine tenths of the container's: the program collects garbage before the kernel
// kills it. What GOMEMLIMIT says wins: the runtime has read it. It returns the limit in bytes; 0 = there is none.
func limitMemory(environment func(string) (string, bool)) (int64, error) {
	text, ok := environment(memoryVariable)
	if own, _ := environment("GOMEMLIMIT"); ok && own == "" {
		limit, err := strconv.ParseInt(text, 10, 64)
		if err != nil || limit <= 0 {
			return 0, fmt.Errorf("%s=%s: want the memory limit of the container in bytes, for example 536870912", memoryVariable, text)
		}
		debug.SetMemoryLimit(limit / 10 * 9)
	}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 { // a negative number only asks
		return limit, nil
	}
	return 0, nil
}
