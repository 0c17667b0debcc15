package gitops

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

const (
	healthy     = "Healthy"
	progressing = "Progressing"
	suspended   = "Suspended"
	degraded    = "Degraded"
)

const (
	bindingScript = "binding.lua"
	serviceScript = "backingservice.lua"
)

// generation of every object here.
const generation = 7

// says is what a condition says.
type says struct {
	status metav1.ConditionStatus
	reason string
}

func yes(reason string) says { return says{metav1.ConditionTrue, reason} }
func no(reason string) says  { return says{metav1.ConditionFalse, reason} }

type testCase struct {
	// conditions by their type; Stalled is written as the operator writes it, with the reason of what needs the person.
	conditions map[string]says
	want       health
}

// of a Binding: Ready repeats the reason of the part that is not true.
func bindingStates() map[string]testCase {
	cases := map[string]testCase{
		"ready": {conditions: map[string]says{
			v1alpha1.ConditionReady: yes(v1alpha1.ReasonReady), v1alpha1.ConditionServiceReady: yes(v1alpha1.ReasonServiceReady),
			v1alpha1.ConditionInjected: yes(v1alpha1.ReasonInjected), v1alpha1.ConditionRolledOut: yes(v1alpha1.ReasonRolledOut),
		}, want: health{healthy, "Ready says Ready"}},
		"ready without Pods": {conditions: map[string]says{
			v1alpha1.ConditionReady: yes(v1alpha1.ReasonNoPods), v1alpha1.ConditionRolledOut: yes(v1alpha1.ReasonNoPods),
		}, want: health{healthy, "Ready says NoPods"}},
		"ready, on a service that is away": {conditions: map[string]says{
			v1alpha1.ConditionReady: yes(v1alpha1.ReasonReady), v1alpha1.ConditionServiceReady: no(v1alpha1.ReasonServiceNotReady),
		}, want: health{healthy, "Ready says Ready"}},
		"nobody has looked at it": {want: health{progressing, "Bindery has not looked at this generation yet"}},
		"the service cannot be verified without a person": {conditions: map[string]says{
			v1alpha1.ConditionReady: no(v1alpha1.ReasonServiceNotVerified), v1alpha1.ConditionStalled: yes(v1alpha1.ReasonServiceNotVerified),
		}, want: health{degraded, "ServiceNotVerified: Stalled says ServiceNotVerified"}},
	}
	for reason, status := range map[string]string{
		// The end of it is awaited.
		v1alpha1.ReasonWorkloadNotFound: progressing, v1alpha1.ReasonServiceNotFound: progressing,
		v1alpha1.ReasonServiceNotReady: progressing, v1alpha1.ReasonServiceNotVerified: progressing,
		v1alpha1.ReasonNotInjected: progressing, v1alpha1.ReasonRollingOut: progressing,
		v1alpha1.ReasonSettling: progressing, v1alpha1.ReasonDraining: progressing, v1alpha1.ReasonDataMoving: progressing,
		// The owner of the app holds it.
		v1alpha1.ReasonRolloutPaused: suspended, v1alpha1.ReasonRolloutPartitioned: suspended, v1alpha1.ReasonRolloutOnDelete: suspended,
	} {
		cases["not ready: "+reason] = testCase{
			conditions: map[string]says{v1alpha1.ConditionReady: no(reason)},
			want:       health{status, reason + ": Ready says " + reason},
		}
	}
	for _, reason := range []string{
		v1alpha1.ReasonConflict, v1alpha1.ReasonContainerNotFound, v1alpha1.ReasonKeyNotFound, v1alpha1.ReasonEnvRequired,
		v1alpha1.ReasonTypeMismatch, v1alpha1.ReasonEnvFrom, v1alpha1.ReasonTimeoutTooShort, v1alpha1.ReasonPatchRefused,
		v1alpha1.ReasonRolloutQuotaExceeded, v1alpha1.ReasonProgressDeadlineExceeded, v1alpha1.ReasonAvailabilityLost,
		v1alpha1.ReasonRolledBack, v1alpha1.ReasonContested, v1alpha1.ReasonMaintenanceRefused, v1alpha1.ReasonScaledUp,
	} {
		cases["a person is needed: "+reason] = stalled(reason)
	}
	return cases
}

func serviceStates() map[string]testCase {
	cases := map[string]testCase{
		"ready and not tried, because no Binding asks for it": {conditions: map[string]says{
			v1alpha1.ConditionReady:    yes(v1alpha1.ReasonReady),
			v1alpha1.ConditionVerified: {metav1.ConditionUnknown, v1alpha1.ReasonVerifyOff},
		}, want: health{healthy, "Ready says Ready"}},
		"ready, and no condition about its handle yet": {
			conditions: map[string]says{v1alpha1.ConditionReady: yes(v1alpha1.ReasonReady)},
			want:       health{progressing, "Verifying: the handle was not tried yet"},
		},
		"provisioned": {conditions: map[string]says{
			v1alpha1.ConditionReady:       yes(v1alpha1.ReasonReady),
			v1alpha1.ConditionProvisioned: yes(v1alpha1.ReasonProvisioned),
			v1alpha1.ConditionVerified:    yes(v1alpha1.ReasonVerified),
		}, want: health{healthy, "Ready says Ready"}},
		"its data has come from another service": {conditions: map[string]says{
			v1alpha1.ConditionReady:    yes(v1alpha1.ReasonReady),
			v1alpha1.ConditionSeeded:   yes(v1alpha1.ReasonSeeded),
			v1alpha1.ConditionVerified: yes(v1alpha1.ReasonVerified),
		}, want: health{healthy, "Ready says Ready"}},
		"nobody has looked at it": {want: health{progressing, "Bindery has not looked at this generation yet"}},
		"its Job is held for too long": {conditions: map[string]says{
			v1alpha1.ConditionReady: yes(v1alpha1.ReasonReady), v1alpha1.ConditionVerified: no(v1alpha1.ReasonProbeHeld),
			v1alpha1.ConditionStalled: yes(v1alpha1.ReasonProbeHeld),
		}, want: health{degraded, "ProbeHeld: Stalled says ProbeHeld"}},
	}
	for _, reason := range []string{
		v1alpha1.ReasonProvisioning, v1alpha1.ReasonStoreNotAttached, v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretUnknown,
		v1alpha1.ReasonResourceNotFound, v1alpha1.ReasonResourceNotBindable, v1alpha1.ReasonSeeding, v1alpha1.ReasonSourceNotReady,
		v1alpha1.ReasonSourceUnreachable, v1alpha1.ReasonTargetUnreachable, v1alpha1.ReasonWaitingForOthers, v1alpha1.ReasonWaitingForClients,
		v1alpha1.ReasonCopying,
	} {
		cases["not ready: "+reason] = testCase{
			conditions: map[string]says{
				v1alpha1.ConditionReady: no(reason), v1alpha1.ConditionVerified: no(v1alpha1.ReasonServiceNotServing),
			},
			want: health{progressing, reason + ": Ready says " + reason},
		}
	}
	for _, reason := range []string{
		v1alpha1.ReasonNameConflict, v1alpha1.ReasonRefused, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonResourceKindNotFound,
		v1alpha1.ReasonResourceForbidden, v1alpha1.ReasonContested, v1alpha1.ReasonNotServing, v1alpha1.ReasonSourceInUse,
		v1alpha1.ReasonSourceRefuses, v1alpha1.ReasonSourceTooOld, v1alpha1.ReasonSourceReadOnly, v1alpha1.ReasonTargetInUse,
		v1alpha1.ReasonTargetNotEmpty, v1alpha1.ReasonTargetTooSmall, v1alpha1.ReasonTargetTooOld, v1alpha1.ReasonTargetRefuses,
		v1alpha1.ReasonSeedTimeout, v1alpha1.ReasonTargetReadOnly, v1alpha1.ReasonToolFailed, v1alpha1.ReasonDataDiffers,
		v1alpha1.ReasonAppsNotStopped,
	} {
		cases["a person is needed: "+reason] = stalled(reason)
	}
	for _, reason := range []string{
		v1alpha1.ReasonVerified, v1alpha1.ReasonReachable, v1alpha1.ReasonNotProbed, v1alpha1.ReasonHandleUntrimmed,
		v1alpha1.ReasonVendorUnavailable,
	} {
		cases["verified: "+reason] = testCase{
			conditions: map[string]says{v1alpha1.ConditionReady: yes(v1alpha1.ReasonReady), v1alpha1.ConditionVerified: yes(reason)},
			want:       health{healthy, "Ready says Ready"},
		}
	}
	for _, reason := range []string{
		v1alpha1.ReasonVerifying, v1alpha1.ReasonUnreachable, v1alpha1.ReasonNameNotFound, v1alpha1.ReasonHandleMissing,
		v1alpha1.ReasonProbeHeld, v1alpha1.ReasonProbeFailed,
	} {
		cases["not verified yet: "+reason] = testCase{
			conditions: map[string]says{v1alpha1.ConditionReady: yes(v1alpha1.ReasonReady), v1alpha1.ConditionVerified: no(reason)},
			want:       health{progressing, reason + ": Verified says " + reason},
		}
	}
	for _, reason := range []string{
		v1alpha1.ReasonTLSRefused, v1alpha1.ReasonCredentialsRefused, v1alpha1.ReasonWrongProtocol, v1alpha1.ReasonReadOnly,
		v1alpha1.ReasonOutOfMemory, v1alpha1.ReasonInvalidHandle, v1alpha1.ReasonHandleEmpty, v1alpha1.ReasonHandleNotURL,
		v1alpha1.ReasonSchemeMismatch, v1alpha1.ReasonHostMissing, v1alpha1.ReasonHostInvalid, v1alpha1.ReasonPortInvalid,
		v1alpha1.ReasonHandleNotEncoded, v1alpha1.ReasonDatabaseNotFound, v1alpha1.ReasonTLSRequired, v1alpha1.ReasonNotPermitted,
		v1alpha1.ReasonCertificateUntrusted, v1alpha1.ReasonCertificateNameMismatch, v1alpha1.ReasonTokenMalformed,
	} {
		c := stalled(reason)
		c.conditions[v1alpha1.ConditionReady], c.conditions[v1alpha1.ConditionVerified] = yes(v1alpha1.ReasonReady), no(reason)
		cases["the handle is wrong: "+reason] = c
	}
	return cases
}

// stalled is an object that is not Ready and waits for a person.
func stalled(reason string) testCase {
	return testCase{
		conditions: map[string]says{v1alpha1.ConditionReady: no(reason), v1alpha1.ConditionStalled: yes(reason)},
		want:       health{degraded, reason + ": Stalled says " + reason},
	}
}

func TestHealthOfEveryState(t *testing.T) {
	for script, states := range map[string]map[string]testCase{bindingScript: bindingStates(), serviceScript: serviceStates()} {
		for name, c := range states {
			t.Run(script+"/"+name, func(t *testing.T) {
				if diff := cmp.Diff(c.want, assess(t, script, objectOf(t, script, c.conditions, generation))); diff != "" {
					t.Errorf("health (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// What was said about another generation is not about what was synced, good or bad.
func TestHealthOfAnEarlierGenerationDoesNotCount(t *testing.T) {
	for script, states := range map[string]map[string]testCase{bindingScript: bindingStates(), serviceScript: serviceStates()} {
		for name, c := range states {
			got := assess(t, script, objectOf(t, script, c.conditions, generation-1))
			if diff := cmp.Diff(health{progressing, "Bindery has not looked at this generation yet"}, got); diff != "" {
				t.Errorf("%s/%s: health (-want +got):\n%s", script, name, diff)
			}
		}
	}
}

// What Flux waits for. It reads Ready and Stalled by rules of its own: it knows neither that the owner holds a rollout, nor
// that a service which is Ready is not verified yet.
func TestFluxSeesTheSame(t *testing.T) {
	for script, states := range map[string]map[string]testCase{bindingScript: bindingStates(), serviceScript: serviceStates()} {
		for name, c := range states {
			want := status.InProgressStatus
			switch {
			case c.want.Status == degraded:
				want = status.FailedStatus
			case c.conditions[v1alpha1.ConditionReady].status == metav1.ConditionTrue:
				want = status.CurrentStatus
			}
			for about, want := range map[int64]status.Status{generation: want, generation - 1: status.InProgressStatus} {
				got, err := status.Compute(&unstructured.Unstructured{Object: objectOf(t, script, c.conditions, about)})
				if err != nil {
					t.Fatal(err)
				}
				if got.Status != want {
					t.Errorf("%s/%s, about generation %d: it is %s (%s), want %s", script, name, about, got.Status, got.Message, want)
				}
			}
		}
	}
}

// A new reason has no health until somebody thinks about it.
func TestEveryReasonOfTheAPIHasAState(t *testing.T) {
	had := map[string]bool{}
	for _, states := range []map[string]testCase{bindingStates(), serviceStates()} {
		for _, c := range states {
			for _, said := range c.conditions {
				had[said.reason] = true
			}
		}
	}
	for name, reason := range reasons(t) {
		if !had[reason] {
			t.Errorf("%s: no state here has this reason: is it in the hands of Bindery, of the app's owner, or of a person?", name)
		}
	}
}

// The objects of testdata were copied from a cluster.
func TestHealthOfObjectsOfACluster(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata: %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var object map[string]any
			if err := yaml.Unmarshal(text, &object); err != nil {
				t.Fatal(err)
			}
			script := strings.ToLower(object["kind"].(string)) + ".lua"
			// NAME.STATUS.yaml
			_, rest, _ := strings.Cut(filepath.Base(file), ".")
			want := strings.TrimSuffix(rest, ".yaml")
			if got := assess(t, script, object); got.Status != want {
				t.Errorf("it is %s: %s", got.Status, got.Message)
			}
		})
	}
}

func assess(t *testing.T, script string, object map[string]any) health {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../config/argocd", script))
	if err != nil {
		t.Fatal(err)
	}
	found, err := run(string(text), object)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// objectOf is an object with these conditions, which are about a generation.
func objectOf(t *testing.T, script string, conditions map[string]says, about int64) map[string]any {
	t.Helper()
	var all []metav1.Condition
	for _, conditionType := range slices.Sorted(maps.Keys(conditions)) {
		c := conditions[conditionType]
		all = append(all, metav1.Condition{
			Type: conditionType, Status: c.status, Reason: c.reason, Message: conditionType + " says " + c.reason, ObservedGeneration: about,
		})
	}
	observed := about
	if len(all) == 0 {
		observed = -1 // the default of the definition
	}
	meta := metav1.ObjectMeta{Name: "a", Generation: generation}
	var typed any = &v1alpha1.Binding{ObjectMeta: meta, Status: v1alpha1.BindingStatus{ObservedGeneration: observed, Conditions: all}}
	if script == serviceScript {
		typed = &v1alpha1.BackingService{
			ObjectMeta: meta, Status: v1alpha1.BackingServiceStatus{ObservedGeneration: observed, Conditions: all},
		}
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		t.Fatal(err)
	}
	object["apiVersion"], object["kind"] = v1alpha1.GroupVersion.String(), "Binding"
	if script == serviceScript {
		object["kind"] = "BackingService"
	}
	return object
}

// reasons are the values of the constants Reason… of the API, by their names.
func reasons(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../api/v1alpha1/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, name := range spec.Names {
				if !strings.HasPrefix(name.Name, "Reason") || i >= len(spec.Values) {
					continue
				}
				literal, ok := spec.Values[i].(*ast.BasicLit)
				if !ok {
					t.Fatalf("%s is no literal", name.Name)
				}
				if found[name.Name], err = strconv.Unquote(literal.Value); err != nil {
					t.Fatal(err)
				}
			}
			return true
		})
	}
	if len(found) == 0 {
		t.Fatal("the API has no reasons")
	}
	return found
}
