// Package gitops has only tests: they run the health scripts of config/argocd as Argo CD runs them, and hold them to every
// reason of the API.
package gitops

import (
	"errors"
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

// health is what a script returns. The words of Status are Argo CD's: Healthy, Progressing, Suspended, Degraded.
type health struct {
	Status, Message string
}

// run runs a script over an object, with the libraries that Argo CD gives to scripts of its ConfigMap.
func run(script string, object map[string]any) (health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return health{}, fmt.Errorf("open the library %q: %w", name, err)
		}
	}
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return health{}, err
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return health{}, fmt.Errorf("the script returns a %s, and no table", state.Get(-1).Type())
	}
	status, hasStatus := result.RawGetString("status").(lua.LString)
	message, hasMessage := result.RawGetString("message").(lua.LString)
	if !hasStatus || !hasMessage {
		return health{}, errors.New("the script returns a table without status or message")
	}
	return health{Status: string(status), Message: string(message)}, nil
}

// value is a value of JSON in Lua.
func value(state *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case bool:
		return lua.LBool(v)
	case float64:
		return lua.LNumber(v)
	case int64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		table := state.CreateTable(len(v), 0)
		for _, item := range v {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(v))
		for key, item := range v {
			table.RawSetString(key, value(state, item))
		}
		return table
	}
	return lua.LNil
}
