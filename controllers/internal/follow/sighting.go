// Package follow sees that the content of a Secret was changed, without asking for the content.
//
// The API server is only ever asked for the metadata of Secrets with the label bindery.dev/follow (secrets.go). The
// metadata has no digest of the content, and metadata.resourceVersion also changes with every label. But
// metadata.managedFields says, for each field manager, when it last wrote, and which fields are its own. So the newest
// time among the managers that own a part of the content, with the names of its keys, shows a change of the content
// (sighting.go).
//
// What this cannot show, because the API server does not say it:
//
//   - Whether a manager that owns a part of the content has written that part, or only a label or an annotation. It counts
//     as a change. Another manager's labels and annotations do not.
//   - Whether the content is another one than before: who writes the same again has not changed it, and the API server
//     notes no time; who writes something else and then the first content again has changed it twice.
//   - Two changes of one second by the same manager. So a change counts only when its second is over.
//   - A change of a Secret whose managedFields somebody has removed: the API server writes down no more of them until
//     something applies the Secret server-side.
package follow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Sighting is what the metadata of a Secret says about its content.
type Sighting struct {
	// Digest of the UID of the Secret, the time of Written and the names of the keys. "" = the metadata does not say.
	Digest string
	// Written is the second in which the content was last written, according to the API server.
	Written time.Time
}

// Of reads the metadata of a Secret.
func Of(uid types.UID, fields []metav1.ManagedFieldsEntry) Sighting {
	var newest time.Time
	keys := map[string]bool{}
	for _, entry := range fields {
		own := contentOf(entry)
		if own == nil || entry.Time == nil { // who applies what is there already gets no time
			continue
		}
		if entry.Time.After(newest) {
			newest = entry.Time.Time
		}
		for _, key := range keysIn(own) {
			keys[key] = true
		}
	}
	if newest.IsZero() {
		return Sighting{}
	}
	return Sighting{
		Digest:  Digest(append([]string{string(uid), newest.UTC().Format(time.RFC3339)}, slices.Sorted(maps.Keys(keys))...)...),
		Written: newest,
	}
}

// content are the fields of a Secret that hold what is followed. The API server turns stringData into data.
var content = []string{"f:data", "f:stringData"}

// contentOf is the part of an entry of managedFields that is about the content; nil if there is none.
func contentOf(entry metav1.ManagedFieldsEntry) *metav1.FieldsV1 {
	if entry.FieldsV1 == nil || entry.Subresource != "" {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return nil
	}
	maps.DeleteFunc(fields, func(name string, _ json.RawMessage) bool { return !slices.Contains(content, name) })
	if len(fields) == 0 {
		return nil
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		panic(err) // it was JSON before
	}
	return metav1.NewFieldsV1(string(raw))
}

// keysIn are the keys of the content that fields name.
func keysIn(fields *metav1.FieldsV1) []string {
	var own map[string]map[string]json.RawMessage
	if json.Unmarshal(fields.GetRawBytes(), &own) != nil {
		return nil // the whole content, and no keys
	}
	var keys []string
	for _, of := range own {
		for name := range of {
			if key, is := strings.CutPrefix(name, "f:"); is {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// digestLength is how many hexadecimal digits a digest has: 64 bits.
const digestLength = 16

// Digest of some texts. Other texts, or the same texts divided in another way, have another digest.
func Digest(texts ...string) string {
	sum := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(sum, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(sum.Sum(nil))[:digestLength]
}
