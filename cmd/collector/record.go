package main

import (
	"encoding/json"
	"errors"
	"time"
)

// object is a JSON object whose values are kept as they came: a large number stays the number it was.
type object map[string]json.RawMessage

var (
	errNotObject = errors.New("want a JSON object, such as {\"logs\":[]}")
	errNotRecord = errors.New("what is stored under this key is no JSON object")
)

// newRecord is what is stored for a body: {created, …body, correlationId}, in this order of precedence. A sender that knows
// better may say when its object was created; which request stored it is for us to say.
func newRecord(body []byte, now time.Time, correlationID string) ([]byte, error) {
	var fields object
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil { // nil: the body was null
		return nil, errNotObject
	}
	if _, ok := fields["created"]; !ok {
		fields["created"] = quote(now.UTC().Format(time.RFC3339Nano))
	}
	fields["correlationId"] = quote(correlationID)
	return json.Marshal(fields)
}

// withKey is a stored record as it is answered.
func withKey(record []byte, key string) (object, error) {
	var fields object
	if err := json.Unmarshal(record, &fields); err != nil || fields == nil {
		return nil, errNotRecord
	}
	fields["key"] = quote(key)
	return fields, nil
}

func quote(s string) json.RawMessage {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always can be encoded
	}
	return text
}
