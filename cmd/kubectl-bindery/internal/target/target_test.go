package target_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/target"
	"github.com/bindery-dev/bindery/controllers/planner"
)

func TestParse(t *testing.T) {
	for arg, want := range map[string]target.Name{
		"pinger":                            {Name: "pinger"},
		"deploy/pinger":                     {Kind: "Deployment", Name: "pinger"},
		"deployment/pinger":                 {Kind: "Deployment", Name: "pinger"},
		"Deployment/pinger":                 {Kind: "Deployment", Name: "pinger"},
		"deployments.apps/pinger":           {Kind: "Deployment", Name: "pinger"},
		"sts/ledger":                        {Kind: "StatefulSet", Name: "ledger"},
		"ds/agent":                          {Kind: "DaemonSet", Name: "agent"},
		"bsvc/visits":                       {Kind: "BackingService", Name: "visits"},
		"backingservice.bindery.dev/visits": {Kind: "BackingService", Name: "visits"},
		"bnd/pinger-visits":                 {Kind: "Binding", Name: "pinger-visits"},
	} {
		got, err := target.Parse(arg)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", arg, got, err)
		}
	}
}

func TestParseRefusesWhatNamesNothing(t *testing.T) {
	for arg, want := range map[string]string{
		"":                "\"\" is no name: write it as NAME or KIND/NAME, for example deploy/pinger",
		"deploy/":         "\"deploy/\" is no name: write it as NAME or KIND/NAME, for example deploy/pinger",
		"/pinger":         "\"/pinger\" is no name: write it as NAME or KIND/NAME, for example deploy/pinger",
		"deploy/a/b":      "\"deploy/a/b\" is no name: write it as NAME or KIND/NAME, for example deploy/pinger",
		"pod/pinger":      "pod/pinger: \"pod\" is none of the kinds deploy, sts, ds, bsvc and bnd",
		"deploy.x/pinger": "deploy.x/pinger: \"deploy.x\" is none of the kinds deploy, sts, ds, bsvc and bnd",
	} {
		if got, err := target.Parse(arg); err == nil || err.Error() != want {
			t.Errorf("%q: %+v, %v", arg, got, err)
		}
	}
}

// shop has a Binding with the name of its service, and one of a workload that nobody could read.
func shop(namespace string) *inventory.Inventory {
	binding := func(name, kind, workload, service string) v1alpha1.Binding {
		return v1alpha1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: v1alpha1.BindingSpec{
			WorkloadRef: v1alpha1.WorkloadReference{Kind: kind, Name: workload}, ServiceRef: v1alpha1.LocalReference{Name: service},
		}}
	}
	service := func(namespace, name string) v1alpha1.BackingService {
		return v1alpha1.BackingService{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	in := &inventory.Inventory{
		Namespace: namespace,
		Services:  []v1alpha1.BackingService{service("shop", "visits"), service("shop", "visits2"), service("shop", "ledger")},
		Bindings: []v1alpha1.Binding{
			binding("visits", "Deployment", "pinger", "visits"), binding("ledger-visits", "StatefulSet", "ledger", "visits"),
		},
		Workloads: map[planner.Key]*planner.Workload{
			{Namespace: "shop", Kind: "Deployment", Name: "pinger"}: {},
			{Namespace: "shop", Kind: "Deployment", Name: "free"}:   {},
		},
	}
	in.Bindings[0].Status.Current = &v1alpha1.Attachment{Service: "visits2"}
	if namespace == "" {
		in.Services = append(in.Services, service("test", "visits2"))
	}
	return in
}

func TestFind(t *testing.T) {
	for sentence, c := range map[string]struct {
		arg   string
		all   bool
		kinds []string
		want  target.Match
		err   string
	}{
		"a bare name that one workload has":              {arg: "pinger", want: target.Match{"shop", "Deployment", "pinger"}},
		"a workload that has no Binding":                 {arg: "free", want: target.Match{"shop", "Deployment", "free"}},
		"a workload that only a Binding knows":           {arg: "sts/ledger", want: target.Match{"shop", "StatefulSet", "ledger"}},
		"two things, of which the command takes one":     {arg: "ledger", kinds: target.Workloads, want: target.Match{"shop", "StatefulSet", "ledger"}},
		"two things, and a kind that tells which":        {arg: "bnd/visits", want: target.Match{"shop", "Binding", "visits"}},
		"a service that one namespace of several has":    {arg: "visits", all: true, kinds: []string{"BackingService"}, want: target.Match{"shop", "BackingService", "visits"}},
		"two things of one name":                         {arg: "ledger", err: "ledger can mean sts/ledger or bsvc/ledger: name the one that you mean"},
		"two namespaces":                                 {arg: "visits2", all: true, err: "visits2 can mean bsvc/visits2 -n shop or bsvc/visits2 -n test: name the one that you mean"},
		"a kind that the command does not take":          {arg: "bsvc/visits", kinds: target.Workloads, err: "bsvc/visits is a BackingService: name a workload"},
		"a name that nothing has":                        {arg: "nobody", err: "there is no workload, BackingService or Binding nobody that Bindery knows in namespace shop: `kubectl bindery status` lists what there is, and -n names another namespace"},
		"a service that is not there, of all namespaces": {arg: "bsvc/nobody", all: true, err: "there is no BackingService nobody in any namespace: `kubectl bindery status` lists what there is, and -n names another namespace"},
	} {
		t.Run(sentence, func(t *testing.T) {
			in := shop("shop")
			if c.all {
				in = shop("")
			}
			name, err := target.Parse(c.arg)
			if err != nil {
				t.Fatal(err)
			}
			got, err := name.Find(in, c.kinds...)
			said := ""
			if err != nil {
				said = err.Error()
			}
			if got != c.want || said != c.err {
				t.Errorf("found %+v, %v", got, err)
			}
		})
	}
}

func TestNotFoundIsToldFromOtherErrors(t *testing.T) {
	_, err := target.Name{Name: "nobody"}.Find(shop("shop"))
	if _, ok := errors.AsType[*target.NotFoundError](err); !ok {
		t.Errorf("%v is none", err)
	}
}

func TestBindingsOfWhatWasFound(t *testing.T) {
	for sentence, c := range map[string]struct {
		match target.Match
		want  []string
	}{
		"of a workload":                           {target.Match{"shop", "Deployment", "pinger"}, []string{"visits"}},
		"of a service that Bindings name":         {target.Match{"shop", "BackingService", "visits"}, []string{"ledger-visits", "visits"}},
		"of a service that a workload still has":  {target.Match{"shop", "BackingService", "visits2"}, []string{"visits"}},
		"of a service of another namespace":       {target.Match{"test", "BackingService", "visits2"}, nil},
		"the Binding itself":                      {target.Match{"shop", "Binding", "visits"}, []string{"visits"}},
		"none of a workload that has no Bindings": {target.Match{"shop", "Deployment", "free"}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			var got []string
			for _, b := range c.match.Bindings(shop("")) {
				got = append(got, b.Name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAllIsOrderedAndHasNothingTwice(t *testing.T) {
	var got []string
	for _, m := range target.All(shop("")) {
		got = append(got, m.Namespace+" "+m.Form())
	}
	want := []string{
		"shop deploy/free", "shop deploy/pinger", "shop sts/ledger", "shop bsvc/ledger", "shop bsvc/visits", "shop bsvc/visits2",
		"shop bnd/ledger-visits", "shop bnd/visits", "test bsvc/visits2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if services := target.All(shop("shop"), target.KindService); len(services) != 3 {
		t.Errorf("services: %v", services)
	}
}
