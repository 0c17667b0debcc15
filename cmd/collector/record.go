package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"time"
)

// An object is kept as the text that it came as, and what is added to it is added to the text: a large number stays the
// number it was, and an object of very many small members takes no more memory than it has bytes.

var (
	errNotObject = errors.New("want a JSON object, such as {\"logs\":[]}")
	errNotRecord = errors.New("what is stored under this key is no JSON object")
)

const (
	// added is what a record has beside the body, at most.
	added = 512
	// maxRecord is the largest record, in bytes. An earlier version has escaped some characters, each as \u003c.
	maxRecord = 6*maxBody + added
)

// newRecord is what is stored for a body: {created, …body, correlationId}, in this order of precedence. A sender may say
// when its object was created, but the id of the request that stored it is always ours.
func newRecord(body []byte, now time.Time, correlationID string) ([]byte, error) {
	if !isObject(body) {
		return nil, errNotObject
	}
	record := make([]byte, 0, len(body)+added)
	if !has(body, "created") {
		record = appendMember(record, "created", now.UTC().Format(time.RFC3339Nano))
	}
	record = appendMembers(record, body, "correlationId")
	return append(appendMember(record, "correlationId", correlationID), '}'), nil
}

// withKey is a stored record as it is answered, in one line.
func withKey(record []byte, key string) ([]byte, error) {
	if !isObject(record) {
		return nil, errNotRecord
	}
	answer := appendMembers(make([]byte, 0, len(record)+added), record, "key")
	return append(appendMember(answer, "key", key), "}\n"...), nil
}

// isObject says whether a text is a JSON object, and nothing else.
func isObject(text []byte) bool {
	return json.Valid(text) && bytes.TrimLeft(text, space)[0] == '{'
}

func has(object []byte, name string) bool {
	for key := range members(object) {
		if isName(key, name) {
			return true
		}
	}
	return false
}

// appendMembers appends all members of an object but those of that name.
func appendMembers(to, object []byte, but string) []byte {
	for key, value := range members(object) {
		if isName(key, but) {
			continue
		}
		to = append(append(append(begin(to), key...), ':'), value...)
	}
	return to
}

func appendMember(to []byte, name, value string) []byte {
	return append(append(append(begin(to), quote(name)...), ':'), quote(value)...)
}

// begin appends what stands before a member: the first one begins the object.
func begin(to []byte) []byte {
	if len(to) == 0 {
		return append(to, '{')
	}
	return append(to, ',')
}

const space = " \t\r\n"

// members are the keys of an object and their values, as they are written. The object has to be valid JSON: nothing is
// checked, only found. https://www.rfc-editor.org/rfc/rfc8259
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		rest := bytes.TrimLeft(object, space)[1:]
		for {
			if rest = bytes.TrimLeft(rest, space+","); rest[0] == '}' {
				return
			}
			key := rest[:endOfString(rest)]
			rest = bytes.TrimLeft(rest[len(key):], space+":")
			value := rest[:endOfValue(rest)]
			rest = rest[len(value):]
			if !yield(key, bytes.TrimRight(value, space)) {
				return
			}
		}
	}
}

// endOfString is behind the quotation mark that ends the string which the text begins with.
func endOfString(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++ // an escaped character does not end the string
		case '"':
			return i + 1
		}
	}
}

// endOfValue is at the comma or the brace that stands behind the value which the text begins with.
func endOfValue(text []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			i += endOfString(text[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
}

// isName says whether a key is that name, however it is written.
func isName(key []byte, name string) bool {
	if !bytes.ContainsRune(key, '\\') {
		return string(key[1:len(key)-1]) == name
	}
	var read string
	return json.Unmarshal(key, &read) == nil && read == name
}

func quote(s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always can be encoded
	}
	return text
}
