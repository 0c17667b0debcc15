//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// copied is a type whose data is copied while its app is stopped.
type copied struct {
	kind v1alpha1.ServiceType
	app  string
	// settings of its servers.
	settings map[string]string
	// fill puts data into a server that takes a moment to be copied: statements. digest identifies it.
	fill   []string
	digest string
	// counts asks a server how many requests of the app it has seen.
	counts string
	// ask runs a statement in the Pod of a server.
	ask func(s *scene, of server, statement string) string
}

var copiedTypes = []copied{
	{
		kind: v1alpha1.TypeMySQL, app: "storefront", settings: map[string]string{"OPTIONS": ""},
		fill: []string{
			"CREATE TABLE filling (id INT PRIMARY KEY, text VARCHAR(2000))",
			"INSERT INTO filling SELECT seq, REPEAT(MD5(seq), 30) FROM seq_1_to_40000",
		},
		digest: "SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM(CRC32(CONCAT(id, text))), 0)) FROM filling",
		counts: "SELECT COUNT(*) FROM orders",
		ask: func(s *scene, of server, statement string) string {
			return strings.TrimSpace(s.kubectl("exec", "deployment/"+of.name, "--",
				"mariadb", "--no-defaults", "--socket=/data/socket", "--user=root", "--skip-column-names", "--batch", "--execute="+statement, "shop"))
		},
	},
	{
		kind: v1alpha1.TypeRedis, app: "pinger", settings: map[string]string{"OPTIONS": "appendonly yes\n    appendfsync always"},
		fill:   fillsOfRedis(),
		digest: "EVAL|local h = '' for i = 1, 40000 do h = redis.sha1hex(h .. (redis.call('GET', 'fill:' .. i) or '')) end return h|0",
		counts: "GET|pinger:visits",
		ask: func(s *scene, of server, statement string) string {
			return strings.TrimSpace(s.kubectlReads(of.values["PASSWORD"]+"\n", append([]string{"exec", "-i", "deployment/" + of.name, "--",
				"sh", "-c", `read -r REDISCLI_AUTH; export REDISCLI_AUTH; exec redis-cli --no-auth-warning --user app -n 1 "$@"`, "sh"},
				strings.Split(statement, "|")...)...))
		},
	},
}

// fillsOfRedis write each with one command. Where the user "default" is off, Redis 7.0 does not read transactions from its
// append-only file when it is started again.
func fillsOfRedis() []string {
	const most = 2500
	var statements []string
	for from := 1; from < 40000; from += most {
		statements = append(statements, fmt.Sprintf("EVAL|local all = {} for i = %d, %d do all[#all+1] = 'fill:' .. i "+
			"all[#all+1] = string.rep(redis.sha1hex(i), 25) end redis.call('MSET', unpack(all))|0", from, from+most-1))
	}
	return statements
}

// copySteps are the steps of a copy.
var copySteps = []v1alpha1.MoveStep{v1alpha1.MoveChecking, v1alpha1.MoveStopping, v1alpha1.MoveCopying, v1alpha1.MoveDone}

// copyFaults are what happens in the middle of a copy. Servers have their data on a disk that outlives their process.
var copyFaults = []struct {
	what   string
	strike func(s *scene, m *faultyCopy)
}{
	{"the source is killed", func(s *scene, m *faultyCopy) { s.killServer(m.from) }},
	{"the target is killed", func(s *scene, m *faultyCopy) { s.killServer(m.to) }},
	{"the Pod of the step's Job is deleted", func(s *scene, m *faultyCopy) {
		if m.job != "" {
			s.deletePod(m.job)
		}
	}},
	{"the Pod of the operator is deleted", func(s *scene, _ *faultyCopy) {
		pod := s.awaitOperator()
		s.no(cluster.client.Delete(s.ctx, &pod))
	}},
	{"the API server is away for " + outage.String(), func(s *scene, _ *faultyCopy) { s.stopAPIServer(outage) }},
}

// Whatever ends in the middle of a copy, and in whichever of its steps: the app comes back with all its data and as many Pods as
// it had, after one stop, and none of its Pods runs while the data is copied. There are as many copies as faults, with
// another fault in each step: together, each fault in each step.
func TestCopyFaults(t *testing.T) {
	needTime(t)
	for _, of := range copiedTypes {
		t.Run(string(of.kind), func(t *testing.T) { of.playFaults(t, seeded(t)) })
	}
}

func (c copied) playFaults(t *testing.T, random *rand.Rand) {
	t.Helper()
	var from server
	story := features.New("a copy").Setup(in(func(s *scene) {
		s.runKiller()
		from = c.serve(s, 0)
		s.external("data-0", c.kind, from.handle, "")
		for _, statement := range c.fill {
			c.ask(s, from, statement)
		}
		s.apply(map[string]string{"storefront": "catalog/storefront.yaml", "pinger": "pinger.yaml"}[c.app])
		s.bind("the-data", c.app, "data-0")
		s.awaitBinding("the-data")
		s.runLoadOn(c.app)
		s.awaitAnswers(writesBetween)
	}))
	for i := range copyFaults {
		story.Assess(fmt.Sprintf("data-%d to data-%d", i, i+1), in(func(s *scene) {
			m := &faultyCopy{copied: c, from: from, to: c.serve(s, i+1), nth: i, random: random}
			m.play(s)
			if s.Failed() {
				s.FailNow()
			}
			from = m.to
		}))
	}
	suite.Test(t, story.Feature())
}

// serve runs the nth server.
func (c copied) serve(s *scene, n int) server {
	s.Helper()
	r := plainServers[c.kind]
	r.settings = c.settings
	return s.serve(fmt.Sprintf("%s-%d", c.kind, n), r)
}

// faultyCopy is a copy with a fault in each step.
type faultyCopy struct {
	copied
	from, to server
	nth      int
	random   *rand.Rand
	// job is the Pod of the Job that makes the step; "" = none.
	job string
}

// play copies the data.
func (m *faultyCopy) play(s *scene) {
	s.Helper()
	name := fmt.Sprintf("data-%d", m.nth+1)
	replicas, digest := *get[appsv1.Deployment](s, m.app).Spec.Replicas, m.ask(s, m.from, m.digest)
	s.external(name, m.kind, m.to.handle, "", copiedFrom(fmt.Sprintf("data-%d", m.nth)))
	m.job = s.awaitStepPod(name, "check")
	m.strike(s, v1alpha1.MoveChecking)
	s.awaitSeeded(name, metav1.ConditionFalse, v1alpha1.ReasonWaitingForOthers)
	s.awaitAnswers(s.load(http.MethodGet, "/stats").Sent + writesBetween)
	before, generation := s.load(http.MethodGet, "/stats"), get[appsv1.Deployment](s, m.app).Generation

	rests := s.watchRest(m.app, name)
	s.swap("the-data", name)
	s.awaitStep(name, v1alpha1.MoveStopping)
	m.strike(s, v1alpha1.MoveStopping)
	m.job = s.awaitStepPod(name, "copy")
	s.letPass(time.Duration(m.random.Int64N(int64(cutting))))
	m.strike(s, v1alpha1.MoveCopying)
	s.awaitSeeded(name, metav1.ConditionTrue, v1alpha1.ReasonSeeded)
	m.strike(s, v1alpha1.MoveDone)
	s.awaitOperator()
	s.awaitBinding("the-data")
	rests(s)

	after := get[appsv1.Deployment](s, m.app)
	if *after.Spec.Replicas != replicas || after.Annotations[v1alpha1.StoppedAnnotation] != "" || after.Generation != generation+2 {
		s.Errorf("%s has %d replicas, and had %d; annotation %q; it was changed %d times, want 2", m.app, *after.Spec.Replicas, replicas,
			after.Annotations[v1alpha1.StoppedAnnotation], after.Generation-generation)
	}
	m.requireKept(s, before, digest)
}

// strike makes the fault of a step happen.
func (m *faultyCopy) strike(s *scene, step v1alpha1.MoveStep) {
	s.Helper()
	for j, each := range copySteps {
		if each == step {
			f := copyFaults[(m.nth+j)%len(copyFaults)]
			f.strike(s, m)
			s.Logf("%s: %s", step, f.what)
		}
	}
	m.job = ""
}

// requireKept requires that the target has what the source had, and each request that was answered before the app was stopped.
func (m *faultyCopy) requireKept(s *scene, before load, digest string) {
	s.Helper()
	if has := m.ask(s, m.to, m.digest); has != digest {
		s.Errorf("%s has %q, want %q", m.to.name, has, digest)
	}
	l := s.load(http.MethodGet, "/stats")
	answered := l.Sent - l.Failed - l.InFlight
	if m.app == "pinger" { // it answers without its Redis, too
		answered -= l.WithoutVisits
	}
	count, err := strconv.Atoi(m.ask(s, m.to, m.counts))
	s.no(err)
	sent := s.load(http.MethodGet, "/stats").Sent
	s.Logf("%s counts %d requests, of %d that were answered and %d that were sent; %d failed meanwhile", m.to.name, count, answered, sent,
		l.Failed-before.Failed)
	if count < answered || count > sent {
		s.Errorf("%s counts %d requests: %d were answered, and %d sent", m.to.name, count, answered, sent)
	}
}

// killServer kills the process of a server. Its Pod, and what is on its disk, stay.
func (s *scene) killServer(of server) {
	s.Helper()
	for _, pod := range s.pods(map[string]string{"server": of.name}) {
		s.armKillerOf(&pod)()
	}
}

// awaitStep waits until a move is in a step.
func (s *scene) awaitStep(service string, step v1alpha1.MoveStep) {
	s.Helper()
	s.await(service+" is "+string(step), patience, func() string {
		if move := get[v1alpha1.BackingService](s, service).Status.Move; move == nil || move.Step != step {
			return "it is not"
		}
		return ""
	})
}

// watchRest looks, until the function that it returns is called, whether an app has Pods while its data is copied. That function
// fails the test if it had, or if that was never seen.
func (s *scene) watchRest(app, service string) (require func(*scene)) {
	s.Helper()
	ctx, end := context.WithCancel(s.ctx)
	var (
		looking     sync.WaitGroup
		looks, with int
	)
	copies := func() bool {
		b, err := find[v1alpha1.BackingService](s, service)
		return err == nil && b.Status.Move != nil && b.Status.Move.Step == v1alpha1.MoveCopying
	}
	looking.Go(func() {
		wait.UntilWithContext(ctx, func(context.Context) {
			if !copies() {
				return
			}
			d, err := find[appsv1.Deployment](s, app)
			if err != nil || !copies() {
				return
			}
			looks++
			if d.Status.Replicas > 0 {
				with++
			}
		}, nextLook)
	})
	return func(s *scene) {
		s.Helper()
		end()
		looking.Wait()
		s.Logf("%s had no Pod in %d of %d looks at the copy", app, looks-with, looks)
		if with > 0 || looks == 0 {
			s.Errorf("%s had Pods in %d of %d looks while its data was copied", app, with, looks)
		}
	}
}
