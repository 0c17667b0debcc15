//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// request is what the API server's audit log says about a request.
type request struct {
	ID    string `json:"auditID"`
	Verb  string `json:"verb"`
	URI   string `json:"requestURI"`
	Stage string `json:"stage"`
	User  struct {
		Username string              `json:"username"`
		Extra    map[string][]string `json:"extra"`
	} `json:"user"`
	Object struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Group       string `json:"apiGroup"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Status struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Time time.Time `json:"requestReceivedTimestamp"`
}

// writes are the verbs that change something.
var writes = []string{"create", "update", "patch", "delete", "deletecollection"}

func (r request) isWrite() bool { return slices.Contains(writes, r.Verb) && !r.isReview() }

// isReview says whether a request asks about a right: it is a `create` that creates nothing.
func (r request) isReview() bool {
	return r.Verb == "create" && (r.Object.Group == "authorization.k8s.io" || r.Object.Group == "authentication.k8s.io")
}

// isLeadership says whether a request is about who leads, the only thing that an operator has to say without pause.
func (r request) isLeadership() bool {
	return r.Object.Resource == "leases" && r.Object.Group == "coordination.k8s.io" && r.Object.Namespace == operatorNamespace
}

// readsSecrets says whether a request may be answered with a Secret that is there: it does not create or delete one.
func (r request) readsSecrets() bool {
	return r.Object.Resource == "secrets" && r.Verb != "create" && r.Verb != "delete"
}

// what is verb and resource.
func (r request) what() string {
	name := r.Object.Resource
	if r.Object.Subresource != "" {
		name += "/" + r.Object.Subresource
	}
	if r.Object.Group != "" {
		name += "." + r.Object.Group
	}
	if r.Object.Resource == "" {
		name, _, _ = strings.Cut(r.URI, "?")
	}
	return r.Verb + " " + name
}

func (r request) String() string {
	return fmt.Sprintf("%s %s/%s (%d)", r.what(), r.Object.Namespace, r.Object.Name, r.Status.Code)
}

// auditLog reads the API server's log from where it ended when the reading began.
type auditLog struct {
	file   *os.File
	reader *bufio.Reader
	// partial is a line whose end has not been written yet.
	partial string
	// pod is the UID of the Pod whose requests are read.
	pod string
	// requests by their ID: a request that takes long is in the log more than once.
	requests map[string]request
}

// openAudit begins to read what the API server writes down about an operator's Pod: everything since it has started.
func (s *scene) openAudit(pod corev1.Pod, offset int64) *auditLog {
	s.Helper()
	file, err := os.Open(cluster.facts["AUDIT_LOG"])
	s.no(err)
	s.Cleanup(func() { s.no(file.Close()) })
	_, err = file.Seek(offset, io.SeekStart)
	s.no(err)
	return &auditLog{file: file, reader: bufio.NewReader(file), pod: string(pod.UID), requests: map[string]request{}}
}

// auditEnd is where the API server's log ends now.
func (s *scene) auditEnd() int64 {
	s.Helper()
	info, err := os.Stat(cluster.facts["AUDIT_LOG"])
	s.no(err)
	return info.Size()
}

// read takes in what has been written since the last time.
func (a *auditLog) read(s *scene) {
	s.Helper()
	for {
		line, err := a.reader.ReadString('\n')
		a.partial += line
		if err == io.EOF {
			return
		}
		s.no(err)
		var r request
		s.no(json.Unmarshal([]byte(a.partial), &r))
		a.partial = ""
		if r.User.Username == operatorUser && slices.Contains(r.User.Extra["authentication.kubernetes.io/pod-uid"], a.pod) {
			if _, known := a.requests[r.ID]; !known {
				a.requests[r.ID] = r
			}
		}
	}
}

// choose returns the requests that pass, in the order of their time.
func (a *auditLog) choose(pass func(request) bool) []request {
	chosen := slices.Collect(maps.Values(a.requests))
	chosen = slices.DeleteFunc(chosen, func(r request) bool { return !pass(r) })
	slices.SortFunc(chosen, func(x, y request) int { return x.Time.Compare(y.Time) })
	return chosen
}

// tally counts requests by what they are.
func tally(requests []request) string {
	counts := map[string]int{}
	for _, r := range requests {
		counts[r.what()]++
	}
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%5d %s", counts[what], what))
	}
	return strings.Join(lines, "\n")
}
