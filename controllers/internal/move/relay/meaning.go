package relay

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bindery-dev/bindery/controllers/internal/move/resp"
)

// kind is what a command does to its connection.
type kind int

const (
	plain      kind = iota // nothing that outlasts its reply
	introduces             // says who the client is, and how it wants its replies
	resets                 // makes the connection a new one
	watches                // begins what only this connection can end
	unwatches
	begins
	executes
	discards
	subscribes
	unsubscribes
	waits // may be answered much later
	loads // has the body of a script
	stays // can't be set up at another server
	mutes // has no reply, or takes the replies of others away
)

// meaning is what the relay has to know about a command.
type meaning struct {
	kind kind

	// slot is which part of an introduction this is: the next one of the same slot replaces it.
	slot string

	// raw is the command itself, where it may have to be said again.
	raw []byte

	// names are the channels of a subscription, and family is which of the three kinds of them it is.
	names  []string
	family string

	// timeout is the argument of a waiting command that says how long; unit is what it counts.
	timeout int
	unit    time.Duration

	// resp3 and tracking are what an introduction has asked for.
	resp3, tracking bool
}

// meaningOf reads a command. It keeps nothing of it but copies.
func meaningOf(command resp.Command) meaning {
	name := word(command.Args, 0)
	m := meaning{kind: plain}
	if fixed, ok := kinds[name]; ok {
		m.kind = fixed
	}
	switch name {
	case "AUTH", "SELECT":
		m.kind, m.slot = introduces, name
	case "HELLO":
		m = hello(command.Args)
	case "CLIENT":
		m = client(command.Args)
	case "SCRIPT":
		if word(command.Args, 1) != "LOAD" {
			m.kind = plain
		}
	case "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE":
		m.family = strings.TrimSuffix(strings.TrimSuffix(name, "SUBSCRIBE"), "UN")
		for _, arg := range command.Args[1:] {
			m.names = append(m.names, string(arg))
		}
	default:
		m = waiting(name, command.Args, m)
	}
	if !command.Whole && m.kind != plain && m.kind != loads {
		return meaning{kind: stays} // it is too long to be said again
	}
	if m.kind == introduces || m.kind == waits {
		m.raw = bytes.Clone(command.Raw)
	}
	return m
}

var kinds = map[string]kind{
	"RESET": resets, "WATCH": watches, "UNWATCH": unwatches, "MULTI": begins, "EXEC": executes, "DISCARD": discards,
	"SUBSCRIBE": subscribes, "PSUBSCRIBE": subscribes, "SSUBSCRIBE": subscribes,
	"UNSUBSCRIBE": unsubscribes, "PUNSUBSCRIBE": unsubscribes, "SUNSUBSCRIBE": unsubscribes,
	"EVAL": loads, "EVAL_RO": loads, "SCRIPT": loads,
	"MONITOR": mutes, "SYNC": mutes, "PSYNC": mutes,
}

func word(args [][]byte, i int) string {
	if i >= len(args) {
		return ""
	}
	return strings.ToUpper(string(args[i]))
}

func hello(args [][]byte) meaning {
	m := meaning{kind: introduces, slot: "HELLO", resp3: word(args, 1) == "3"}
	if len(args) < 2 {
		return meaning{kind: plain} // it only asks
	}
	for i := 2; i < len(args); i++ {
		switch word(args, i) {
		case "AUTH":
			m.slot = "HELLO AUTH"
			i += 2
		case "SETNAME":
			i++
		}
	}
	return m
}

func client(args [][]byte) meaning {
	what := word(args, 1)
	m := meaning{kind: introduces, slot: "CLIENT " + what}
	switch what {
	case "SETNAME", "NO-EVICT", "NO-TOUCH":
		return m
	case "SETINFO":
		m.slot += " " + word(args, 2)
		return m
	case "TRACKING":
		m.tracking = word(args, 2) == "ON"
		for i := 3; i < len(args); i++ {
			if word(args, i) == "REDIRECT" {
				return meaning{kind: stays} // to a connection that has another number there
			}
		}
		return m
	case "REPLY":
		return meaning{kind: mutes}
	default:
		return meaning{kind: plain}
	}
}

// waiting are the commands that wait for others, and where they say how long: in the last argument, in the first, or
// behind a word.
func waiting(name string, args [][]byte, m meaning) meaning {
	switch name {
	case "BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BZPOPMIN", "BZPOPMAX":
		m.kind, m.timeout, m.unit = waits, len(args)-1, time.Second
	case "BLMPOP", "BZMPOP":
		m.kind, m.timeout, m.unit = waits, 1, time.Second
	case "XREAD", "XREADGROUP":
		block := slices.IndexFunc(args, func(arg []byte) bool { return bytes.EqualFold(arg, []byte("BLOCK")) })
		if block < 0 {
			return m
		}
		m.kind, m.timeout, m.unit = waits, block+1, time.Millisecond
	}
	return m
}

// again is a waiting command as it is to be said once more, when some of its time has passed.
func (m meaning) again(passed time.Duration) []byte {
	command, err := resp.NewReader(bytes.NewReader(m.raw)).Command()
	if err != nil || m.timeout < 1 || m.timeout >= len(command.Args) {
		return m.raw
	}
	args := make([]string, len(command.Args))
	for i, arg := range command.Args {
		args[i] = string(arg)
	}
	whole, err := strconv.ParseFloat(args[m.timeout], 64)
	if err != nil || whole <= 0 {
		return m.raw // for ever, or Redis has something to say about it
	}
	left := max(whole-passed.Seconds()/m.unit.Seconds(), time.Millisecond.Seconds()/m.unit.Seconds())
	if m.unit == time.Millisecond {
		args[m.timeout] = strconv.FormatInt(int64(left), 10)
	} else {
		args[m.timeout] = strconv.FormatFloat(left, 'f', 3, 64)
	}
	return resp.NewCommand(args...)
}

// said is a part of an introduction as it is said to a server that takes other passwords.
func (m meaning) said(passwords map[string]string) []byte {
	command, err := resp.NewReader(bytes.NewReader(m.raw)).Command()
	if err != nil {
		return m.raw
	}
	return translate(command, passwords)
}

// translate is a command with the password that a server takes, in place of what the client has sent.
func translate(command resp.Command, passwords map[string]string) []byte {
	at := passwordIn(command.Args)
	if at == 0 || !command.Whole {
		return command.Raw
	}
	password, ok := passwords[string(command.Args[at])]
	if !ok {
		return command.Raw
	}
	args := make([]string, len(command.Args))
	for i, arg := range command.Args {
		args[i] = string(arg)
	}
	args[at] = password
	return resp.NewCommand(args...)
}

// passwordIn is the place of the password in a command that logs in; 0 = it does not.
func passwordIn(args [][]byte) int {
	switch word(args, 0) {
	case "AUTH":
		return len(args) - 1
	case "HELLO":
		for i := 2; i < len(args); i++ {
			switch word(args, i) {
			case "AUTH":
				if i+2 < len(args) {
					return i + 2
				}
			case "SETNAME":
				i++
			}
		}
	}
	return 0
}

// bodyOf is the body of a script that a command has.
func bodyOf(command resp.Command) (string, bool) {
	at := 1
	if word(command.Args, 0) == "SCRIPT" {
		at = 2
	}
	if at >= len(command.Args) {
		return "", false
	}
	return string(command.Args[at]), true
}

// introduction is what a client has said about itself, in the order in which it first did, and what of that is still true.
type introduction struct {
	parts         []meaning
	subscriptions map[string][]string // of each family
}

// learn takes in what a server has agreed to.
func (i *introduction) learn(m meaning) {
	switch m.kind {
	default: // nothing that outlasts it
	case introduces:
		if at := slices.IndexFunc(i.parts, func(part meaning) bool { return part.slot == m.slot }); at >= 0 {
			i.parts[at] = m
			return
		}
		i.parts = append(i.parts, m)
	case resets:
		*i = introduction{}
	}
}

// confirm takes in that a server has confirmed one channel of a command, the one with that number.
func (i *introduction) confirm(m meaning, number int) {
	if i.subscriptions == nil {
		i.subscriptions = map[string][]string{}
	}
	if m.kind == unsubscribes && len(m.names) == 0 {
		delete(i.subscriptions, m.family)
		return
	}
	name := m.names[number]
	at := slices.Index(i.subscriptions[m.family], name)
	switch {
	case m.kind == subscribes && at < 0:
		i.subscriptions[m.family] = append(i.subscriptions[m.family], name)
	case m.kind == unsubscribes && at >= 0:
		i.subscriptions[m.family] = slices.Delete(i.subscriptions[m.family], at, at+1)
	}
}

// confirmations is how many a command gets.
func (i *introduction) confirmations(m meaning) int {
	if m.kind == unsubscribes && len(m.names) == 0 {
		return max(len(i.subscriptions[m.family]), 1)
	}
	return len(m.names)
}

func (i *introduction) subscribed() bool {
	for _, names := range i.subscriptions {
		if len(names) > 0 {
			return true
		}
	}
	return false
}

// resp3 says whether the client has asked for RESP3. The last HELLO counts.
func (i *introduction) resp3() bool {
	asked := false
	for _, part := range i.parts {
		if strings.HasPrefix(part.slot, "HELLO") {
			asked = part.resp3
		}
	}
	return asked
}

func (i *introduction) tracking() bool {
	return slices.ContainsFunc(i.parts, func(part meaning) bool { return part.tracking })
}
