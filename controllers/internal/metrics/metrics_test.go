package metrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// shelf is a cache with these objects.
type shelf struct {
	client.Reader
	bindings []v1alpha1.Binding
	services []v1alpha1.BackingService
	err      error
}

func (s *shelf) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *v1alpha1.BindingList:
		l.Items = s.bindings
	case *v1alpha1.BackingServiceList:
		l.Items = s.services
	default:
		return fmt.Errorf("a list of %T", list)
	}
	return s.err
}

// run shows metrics in a registry until the test ends, or until stop is called.
func run(t *testing.T, objects client.Reader) (m *Metrics, registry *prometheus.Registry, stop func()) {
	t.Helper()
	registry = prometheus.NewRegistry()
	m = New(objects, registry)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	for deadline := time.Now().Add(10 * time.Second); len(gather(t, registry)) < 5; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the metrics do not appear")
		}
	}
	return m, registry, stop
}

func gather(t *testing.T, registry prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// values are the series that are not 0, as name{label=value, …}. A histogram is its number of observations.
func values(families []*dto.MetricFamily) map[string]float64 {
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			if value != 0 {
				found[strings.TrimPrefix(f.GetName(), "bindery_")+"{"+strings.Join(labels, ",")+"}"] = value
			}
		}
	}
	return found
}

func conditions(says ...string) []metav1.Condition {
	var all []metav1.Condition
	for i, s := range says {
		part := strings.Split(s, "/")
		all = append(all, metav1.Condition{
			Type: part[0], Status: metav1.ConditionStatus(part[1]), Reason: part[2], LastTransitionTime: metav1.NewTime(noon.Add(time.Duration(i) * time.Minute)),
		})
	}
	return all
}

func bindingOf(workload string, says ...string) v1alpha1.Binding {
	b := v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "b", CreationTimestamp: metav1.NewTime(noon)}}
	b.Spec.WorkloadRef = v1alpha1.WorkloadReference{Kind: "Deployment", Name: workload}
	b.Status.Conditions = conditions(says...)
	return b
}

func serviceOf(spec v1alpha1.BackingServiceSpec, attached int32, says ...string) v1alpha1.BackingService {
	return v1alpha1.BackingService{Spec: spec, Status: v1alpha1.BackingServiceStatus{AttachmentCount: attached, Conditions: conditions(says...)}}
}

func TestWhatIsThereIsCounted(t *testing.T) {
	const at = float64(1777896000) // noon
	rolling := bindingOf("a", "Ready/False/RollingOut", "Injected/True/Injected")
	rolling.Status.Current = &v1alpha1.Attachment{Rollout: &v1alpha1.Rollout{Since: metav1.NewTime(noon.Add(-time.Hour))}}
	later := bindingOf("b", "Ready/False/RollingOut", "Injected/True/Injected")
	later.Status.Current = &v1alpha1.Attachment{Rollout: &v1alpha1.Rollout{Since: metav1.NewTime(noon)}}
	draining := bindingOf("a", "Ready/False/Draining", "Injected/True/Injected")
	draining.Status.Current = &v1alpha1.Attachment{SettledAt: new(metav1.NewTime(noon.Add(-time.Minute)))}
	redis := v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}}
	external := v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeMySQL, External: &v1alpha1.ExternalSource{}}
	for name, test := range map[string]struct {
		bindings []v1alpha1.Binding
		services []v1alpha1.BackingService
		want     map[string]float64
	}{
		"nothing": {want: map[string]float64{}},
		"Bindings by each of their conditions": {
			bindings: []v1alpha1.Binding{
				bindingOf("a", "Ready/True/Ready", "ServiceReady/True/ServiceReady"), bindingOf("b", "Ready/True/Ready", "ServiceReady/False/ServiceNotReady"),
				bindingOf("c", "Ready/True/NoPods"),
			},
			want: map[string]float64{
				"binding_conditions{condition=Ready,reason=Ready,status=True}":                   2,
				"binding_conditions{condition=Ready,reason=NoPods,status=True}":                  1,
				"binding_conditions{condition=ServiceReady,reason=ServiceReady,status=True}":     1,
				"binding_conditions{condition=ServiceReady,reason=ServiceNotReady,status=False}": 1,
			},
		},
		"a Binding that nobody has looked at": {
			bindings: []v1alpha1.Binding{bindingOf("a")},
			want: map[string]float64{
				"binding_conditions{condition=Ready,reason=Unobserved,status=Unknown}": 1,
				"binding_oldest_not_ready_timestamp_seconds{reason=Unobserved}":        at,
			},
		},
		"the rollout that began first": {
			bindings: []v1alpha1.Binding{later, rolling, later},
			want: map[string]float64{
				"binding_conditions{condition=Ready,reason=RollingOut,status=False}": 3,
				"binding_conditions{condition=Injected,reason=Injected,status=True}": 3,
				"binding_oldest_not_ready_timestamp_seconds{reason=RollingOut}":      at - 3600,
			},
		},
		"older Pods that end since the swap has settled": {
			bindings: []v1alpha1.Binding{draining},
			want: map[string]float64{
				"binding_conditions{condition=Ready,reason=Draining,status=False}":   1,
				"binding_conditions{condition=Injected,reason=Injected,status=True}": 1,
				"binding_oldest_not_ready_timestamp_seconds{reason=Draining}":        at - 60,
			},
		},
		"a Binding that waits for its service since Injected is False": {
			bindings: []v1alpha1.Binding{bindingOf("a", "Ready/False/ServiceNotReady", "Injected/False/ServiceNotReady")},
			want: map[string]float64{
				"binding_conditions{condition=Ready,reason=ServiceNotReady,status=False}":    1,
				"binding_conditions{condition=Injected,reason=ServiceNotReady,status=False}": 1,
				"binding_oldest_not_ready_timestamp_seconds{reason=ServiceNotReady}":         at + 60,
			},
		},
		"a workload with two Bindings in conflict once, and another one that is contested": {
			bindings: []v1alpha1.Binding{
				bindingOf("a", "Ready/False/Conflict"), bindingOf("a", "Ready/False/Conflict"), bindingOf("b", "Ready/False/Contested"),
			},
			want: map[string]float64{
				"binding_conditions{condition=Ready,reason=Conflict,status=False}":  2,
				"binding_conditions{condition=Ready,reason=Contested,status=False}": 1,
				"binding_oldest_not_ready_timestamp_seconds{reason=Conflict}":       at,
				"binding_oldest_not_ready_timestamp_seconds{reason=Contested}":      at,
				"contested_workloads{reason=Conflict}":                              1,
				"contested_workloads{reason=Contested}":                             1,
			},
		},
		"services by type, source, readiness and use": {
			services: []v1alpha1.BackingService{
				serviceOf(redis, 2, "Ready/True/Ready", "Verified/False/CredentialsRefused"), serviceOf(redis, 0, "Ready/False/Provisioning"),
				serviceOf(external, 1, "Ready/True/Ready"), serviceOf(external, 0),
			},
			want: map[string]float64{
				"backing_services{ready=True,source=redis,type=redis}":                                              1,
				"backing_services{ready=False,source=redis,type=redis}":                                             1,
				"backing_services{ready=True,source=external,type=mysql}":                                           1,
				"backing_services{ready=Unknown,source=external,type=mysql}":                                        1,
				"backing_service_conditions{condition=Ready,in_use=true,reason=Ready,status=True}":                  2,
				"backing_service_conditions{condition=Ready,in_use=false,reason=Provisioning,status=False}":         1,
				"backing_service_conditions{condition=Ready,in_use=false,reason=Unobserved,status=Unknown}":         1,
				"backing_service_conditions{condition=Verified,in_use=true,reason=CredentialsRefused,status=False}": 1,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, registry, _ := run(t, &shelf{bindings: test.bindings, services: test.services})
			if diff := cmp.Diff(test.want, values(gather(t, registry))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatHappensIsCounted(t *testing.T) {
	m, registry, _ := run(t, &shelf{})
	m.Swapped(v1alpha1.SwapSucceeded, 20*time.Second)
	m.Swapped(v1alpha1.SwapSucceeded, 40*time.Second)
	m.Swapped(v1alpha1.SwapFailed, time.Minute)
	m.RolledBack(v1alpha1.ReasonAvailabilityLost)
	m.Verified(v1alpha1.ReasonCredentialsRefused)
	want := map[string]float64{
		"swaps_total{outcome=Succeeded}": 2, "swaps_total{outcome=Failed}": 1,
		"swap_duration_seconds{outcome=Succeeded}": 2, "swap_duration_seconds{outcome=Failed}": 1,
		"swap_rollbacks_total{reason=AvailabilityLost}": 1, "verifications_total{reason=CredentialsRefused}": 1,
	}
	families := gather(t, registry)
	if diff := cmp.Diff(want, values(families)); diff != "" {
		t.Error(diff)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h.GetSampleCount() == 2 && h.GetSampleSum() != 60 {
				t.Errorf("%s took %g s", f.GetName(), h.GetSampleSum())
			}
		}
	}
}

// A counter that is not there has no rate: its first event would be seen by nobody.
func TestACounterIsThereBeforeItsFirstEvent(t *testing.T) {
	_, registry, _ := run(t, &shelf{})
	got := map[string]int{}
	for _, f := range gather(t, registry) {
		got[f.GetName()] = len(f.GetMetric())
	}
	want := map[string]int{
		"bindery_swaps_total": 4, "bindery_swap_duration_seconds": 4, "bindery_swap_rollbacks_total": 2,
		"bindery_verifications_total": len(findings), "bindery_contested_workloads": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyAnOperatorThatLeadsShowsMetrics(t *testing.T) {
	m, registry, stop := run(t, everything())
	if !m.NeedLeaderElection() {
		t.Error("a manager starts it without the lease")
	}
	if len(gather(t, registry)) == 0 {
		t.Fatal("one that leads shows none")
	}
	stop()
	if left := gather(t, registry); len(left) > 0 {
		t.Errorf("one that has given up the lease shows %d", len(left))
	}
	if left := gather(t, func() prometheus.Gatherer {
		registry := prometheus.NewRegistry()
		New(everything(), registry)
		return registry
	}()); len(left) > 0 {
		t.Errorf("one that waits for the lease shows %d", len(left))
	}
}

func TestACacheThatDoesNotAnswerFailsTheScrape(t *testing.T) {
	objects := &shelf{}
	_, registry, _ := run(t, objects)
	objects.err = errors.New("the cache is stopped")
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), "listing Bindings: the cache is stopped") {
		t.Errorf("the scrape says %v", err)
	}
}

func TestTwoOperatorsDoNotShareARegistry(t *testing.T) {
	_, registry, _ := run(t, &shelf{})
	if err := New(&shelf{}, registry).Start(t.Context()); err == nil {
		t.Error("the metrics of two operators are in one registry")
	}
}

// everything has an object for each metric.
func everything() *shelf {
	return &shelf{
		bindings: []v1alpha1.Binding{bindingOf("a", "Ready/False/Conflict", "Injected/False/Conflict")},
		services: []v1alpha1.BackingService{serviceOf(v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}}, 1)},
	}
}

func TestNamesFollowTheConventionsOfPrometheus(t *testing.T) {
	_, registry, _ := run(t, everything())
	families := gather(t, registry)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "bindery_") || !strings.HasSuffix(f.GetHelp(), ".") {
			t.Errorf("%s: %s", f.GetName(), f.GetHelp())
		}
		if strings.HasSuffix(f.GetName(), "_seconds") && !strings.Contains(f.GetHelp(), "seconds") {
			t.Errorf("%s does not say its unit: %s", f.GetName(), f.GetHelp())
		}
	}
}

// labelNames of all metrics; the values of each are in labels.go.
func labelNames(families []*dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				names[l.GetName()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Whatever a status says, and whatever its object is called, the labels are words of Bindery.
func TestNothingThatSomebodyWroteBecomesALabel(t *testing.T) {
	const word = "canary-9f2c71"
	b := bindingOf(word, "Ready/"+word+"/"+word, word+"/False/"+word, "Injected/False/"+word)
	b.Namespace, b.Name, b.Spec.ServiceRef.Name = word, word, word
	b.Status.Current = &v1alpha1.Attachment{Service: word, SecretName: word, State: word}
	b.Status.History = []v1alpha1.Swap{{To: word, SecretName: word, Outcome: word}}
	s := serviceOf(v1alpha1.BackingServiceSpec{Type: word}, 1, "Ready/False/"+word, word+"/"+word+"/"+word)
	s.Namespace, s.Name, s.Status.Endpoint = word, word, word
	m, registry, _ := run(t, &shelf{bindings: []v1alpha1.Binding{b}, services: []v1alpha1.BackingService{s}})
	m.Swapped(word, time.Second)
	m.RolledBack(word)
	m.Verified(word)
	families := gather(t, registry)
	for series := range values(families) {
		if strings.Contains(series, word) {
			t.Error(series)
		}
	}
	for _, series := range []string{
		"binding_conditions{condition=Ready,reason=Other,status=Other}", "binding_conditions{condition=Other,reason=Other,status=False}",
		"backing_services{ready=False,source=Other,type=Other}", "swaps_total{outcome=Other}", "swap_rollbacks_total{reason=Other}",
		"verifications_total{reason=Other}",
	} {
		if values(families)[series] != 1 {
			t.Errorf("there is no %s", series)
		}
	}
	if got, want := labelNames(families), []string{"condition", "in_use", "outcome", "ready", "reason", "source", "status", "type"}; !slices.Equal(got, want) {
		t.Errorf("labels %q, want %q: no label is a name", got, want)
	}
}

// The most series that there can be: what a status can say is limited, and so is this.
func TestTheNumberOfSeriesDoesNotGrowWithTheNumberOfObjects(t *testing.T) {
	var objects shelf
	for i := range 3000 {
		b := bindingOf(fmt.Sprintf("app-%d", i), "Ready/False/"+bindingReasons[i%len(bindingReasons)])
		b.Name = fmt.Sprintf("b-%d", i)
		objects.bindings = append(objects.bindings, b)
		s := serviceOf(v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}}, int32(i%2), "Ready/False/"+serviceReasons[i%len(serviceReasons)])
		objects.services = append(objects.services, s)
	}
	_, registry, _ := run(t, &objects)
	series := 0
	for _, f := range gather(t, registry) {
		series += len(f.GetMetric())
	}
	t.Logf("%d series of 6,000 objects with every reason", series)
	if limit := 2*len(bindingReasons) + 2*len(serviceReasons) + len(findings) + 20; series > limit {
		t.Errorf("%d series, want at most %d", series, limit)
	}
}

// BenchmarkScrape is what a scrape of an operator with 5,000 Bindings and 500 services costs, apart from the list that the
// cache makes.
func BenchmarkScrape(b *testing.B) {
	var objects shelf
	for i := range 5000 {
		objects.bindings = append(objects.bindings, bindingOf(fmt.Sprintf("app-%d", i),
			"Ready/True/Ready", "ServiceReady/True/ServiceReady", "Injected/True/Injected", "RolledOut/True/RolledOut"))
	}
	for range 500 {
		objects.services = append(objects.services, serviceOf(
			v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, Redis: &v1alpha1.RedisSource{}}, 1,
			"Ready/True/Ready", "Provisioned/True/Provisioned", "Verified/True/Verified"))
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(census{b.Context(), &objects})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
