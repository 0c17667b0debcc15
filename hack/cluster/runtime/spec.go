package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// bundleFile is the specification of a container, in the folder that --bundle names.
const bundleFile = "config.json"

// resource is what the machine's root does not have, and so cannot give.
const resource = "CAP_SYS_RESOURCE"

// specification finds the file that tells runc what to start: a container's own (create and run, --bundle), or that of
// one more process in it (exec, --process). It is empty for commands that start nothing.
func specification(arguments []string) string {
	switch command(arguments) {
	case "create", "run":
		return filepath.Join(option(arguments, "bundle", "b"), bundleFile)
	case "exec":
		return option(arguments, "process", "p")
	}
	return ""
}

// command is the first argument that is one of runc's commands; before it are options of runc itself.
func command(arguments []string) string {
	i := slices.IndexFunc(arguments, func(a string) bool { return a == "create" || a == "run" || a == "exec" || a == "--" })
	if i < 0 {
		return ""
	}
	return arguments[i]
}

// option is the value of an option in any of the forms that runc reads: --name VALUE, --name=VALUE, and the same with the
// short name and with one dash.
func option(arguments []string, names ...string) string {
	for i, argument := range arguments {
		name, value, joined := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(argument, "-"), "-"), "=")
		if !strings.HasPrefix(argument, "-") || !slices.Contains(names, name) {
			continue
		}
		if joined {
			return value
		}
		if i+1 < len(arguments) {
			return arguments[i+1]
		}
	}
	return ""
}

// relax takes out of a specification what needs CAP_SYS_RESOURCE. Everything else stays as it is, also fields that are
// not known here: only the way down to what is removed is read.
func relax(text []byte, isContainer bool) ([]byte, error) {
	spec, err := object(text)
	if err != nil {
		return nil, err
	}
	if !isContainer {
		if err := relaxProcess(spec); err != nil {
			return nil, err
		}
		return json.Marshal(spec)
	}
	if spec["process"] == nil {
		return text, nil
	}
	process, err := object(spec["process"])
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	if err := relaxProcess(process); err != nil {
		return nil, err
	}
	if spec["process"], err = json.Marshal(process); err != nil {
		return nil, err
	}
	return json.Marshal(spec)
}

func relaxProcess(process map[string]json.RawMessage) error {
	delete(process, "oomScoreAdj")
	delete(process, "rlimits")
	if process["capabilities"] == nil {
		return nil
	}
	var sets map[string][]string
	if err := json.Unmarshal(process["capabilities"], &sets); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for name, set := range sets {
		sets[name] = slices.DeleteFunc(set, func(capability string) bool { return capability == resource })
	}
	var err error
	process["capabilities"], err = json.Marshal(sets)
	return err
}

func object(text []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	err := json.NewDecoder(bytes.NewReader(text)).Decode(&fields)
	return fields, err
}
