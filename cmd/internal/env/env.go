// Package env reads the settings of an app that are not handles. Its errors name the variable and the fix.
package env

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Lookup answers the value of an environment variable, "" when it is not set: os.Getenv in a program.
type Lookup func(name string) string

// Port reads a TCP port.
//
// Kubernetes puts variables of the form NAME_PORT=tcp://10.0.0.1:80 into each Pod for each Service NAME of its namespace:
// a Service named collector sets COLLECTOR_PORT. This has an error of its own, because nobody finds it by reading the
// Deployment.
func Port(get Lookup, name string, otherwise int) (int, error) {
	value := get(name)
	if value == "" {
		return otherwise, nil
	}
	if strings.Contains(value, "://") {
		return 0, fmt.Errorf("%s holds an address and not a port: Kubernetes set it for a Service of that name; "+
			"set enableServiceLinks: false in the Pod template, or give the container its own %s", name, name)
	}
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%s is not a port: want a number from 1 to 65535", name)
	}
	return int(port), nil
}

// Duration reads a length of time, 0 when the variable is not set. One that is shorter than the least, and not 0, is an
// error.
func Duration(get Lookup, name string, least time.Duration) (time.Duration, error) {
	value := get(name)
	if value == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s is not a duration: want a number with a unit, such as 500ms, 10s or 72h", name)
	}
	if d != 0 && d < least {
		return 0, fmt.Errorf("%s is too short: want 0 or at least %s", name, least)
	}
	return d, nil
}

// Bool reads true or false, false when the variable is not set.
func Bool(get Lookup, name string) (bool, error) {
	switch get(name) {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	default:
		return false, fmt.Errorf("%s is neither true nor false", name)
	}
}
