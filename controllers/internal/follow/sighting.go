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
		own, ok := contentIn(entry)
		if !ok || entry.Time == nil {
			continue
		}
		if entry.Time.After(newest) {
			newest = entry.Time.Time
		}
		for _, key := range own {
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

// contentIn are the keys of the content that an entry of managedFields owns; false if it owns nothing of the content.
func contentIn(entry metav1.ManagedFieldsEntry) (keys []string, ok bool) {
	if entry.FieldsV1 == nil || entry.Subresource != "" {
		return nil, false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(entry.FieldsV1.Raw, &fields) != nil {
		return nil, false
	}
	for _, content := range []string{"f:data", "f:stringData"} {
		raw, owns := fields[content]
		if !owns {
			continue
		}
		ok = true
		var own map[string]json.RawMessage
		if json.Unmarshal(raw, &own) != nil {
			continue
		}
		for key := range own {
			if name, is := strings.CutPrefix(key, "f:"); is {
				keys = append(keys, name)
			}
		}
	}
	return keys, ok
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
