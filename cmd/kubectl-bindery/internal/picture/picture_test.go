package picture

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/inventory"
	"github.com/bindery-dev/bindery/controllers/planner"
)

func TestLinksAndStateOfABinding(t *testing.T) {
	type change = func(*v1alpha1.Binding)
	tests := map[string]struct {
		variable string
		changes  []change
		want     string
	}{
		"settled: only what it has": {"REDIS_URL", nil, "current=new | ok attached | since 2026-11-21"},
		"a first attachment rolls out": {"REDIS_URL", []change{rollingFrom("", v1alpha1.AttachmentRollingOut), ready("False", "RollingOut", "")},
			"coming=new | changing rolling out | rolling out"},
		"a first attachment waits for its service": {"", []change{ready("False", "ServiceNotReady", "")},
			"coming=new | waiting ServiceNotReady | waits: ServiceNotReady"},
		"a first attachment was rolled back": {"", []change{ready("False", "RolledBack", "")},
			"refused=new | failed RolledBack | RolledBack"},
		"Bindery has not looked at it": {"", nil, "coming=new | waiting not looked at yet | waits: not looked at yet"},
		"a swap waits: the app stays on what it has": {"REDIS_URL", []change{stillOn("old"), ready("False", "ServiceNotVerified", "")},
			"current=old coming=new | waiting ServiceNotVerified | swap to new: ServiceNotVerified"},
		"a swap was edited a moment ago": {"REDIS_URL", []change{stillOn("old"), func(b *v1alpha1.Binding) { b.Generation = 2 }},
			"current=old coming=new | waiting not looked at yet | swap to new: not looked at yet"},
		"a swap rolls out: Pods of both are there": {"REDIS_URL", []change{rollingFrom("old", v1alpha1.AttachmentRollingOut), ready("False", "RollingOut", "")},
			"leaving=old coming=new | changing rolling out | swap to new: rolling out"},
		"a swap drains": {"REDIS_URL", []change{rollingFrom("old", v1alpha1.AttachmentDraining), ready("False", "Draining", "")},
			"leaving=old coming=new | changing draining | swap to new: draining"},
		"a swap waits for its data": {"REDIS_URL", []change{rollingFrom("old", v1alpha1.AttachmentRollingOut), ready("False", "DataMoving", "")},
			"leaving=old coming=new | changing data is moving | swap to new: data is moving"},
		"a swap was rolled back": {"REDIS_URL", []change{stillOn("old"), ready("False", "RolledBack", "")},
			"current=old refused=new | failed RolledBack | stays, not to new: RolledBack"},
		"a swap failed, and was not rolled back": {"REDIS_URL", []change{rollingFrom("old", v1alpha1.AttachmentFailed), ready("False", "ProgressDeadlineExceeded", "")},
			"leaving=old refused=new | failed ProgressDeadlineExceeded | swap to new: ProgressDeadlineExceeded"},
		"another handle of the same service": {"REDIS_URL", []change{rollingFrom("new", v1alpha1.AttachmentSettling), ready("False", "Settling", "")},
			"current=new | changing settling | another handle: settling"},
		"stalled": {"", []change{stalled("Conflict", "the workload sets it itself")},
			"refused=new | failed Conflict | Conflict"},
		"the app is stopped for a copy": {"REDIS_URL", []change{stillOn("old"), ready("False", "DataMoving", ""), func(b *v1alpha1.Binding) {
			b.Status.Stopped = &v1alpha1.Stop{Move: "m", Replicas: 3}
		}}, "current=old coming=new | changing stopped while data is copied | swap to new: stopped while data is copied"},
		"no Pods run": {"REDIS_URL", []change{rollingFrom("", v1alpha1.AttachmentHeld), ready("True", "NoPods", "")},
			"current=new | ok attached, no Pods run | attached, no Pods run"},
		"attached within the last day": {"REDIS_URL", []change{func(b *v1alpha1.Binding) { b.Status.Current.Since = ago(time.Hour) }},
			"current=new | ok attached | since 2026-11-28 13:06 UTC"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.binding(planner.KindDeployment, "app", "new", test.variable, test.changes...)
			a := Of(&s.Inventory, now).Namespaces[0].Apps[0].Attachments[0]
			var links []string
			for _, link := range a.Links {
				links = append(links, string(link.Role)+"="+link.Service)
			}
			got := strings.Join(links, " ") + " | " + string(a.State.Level) + " " + a.State.Word + " | " + a.stateLine(now)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStateOfAService(t *testing.T) {
	type change = func(*v1alpha1.BackingService)
	tests := map[string]struct {
		changes []change
		want    string
	}{
		"ready and verified":                {nil, "ok ready"},
		"not looked at":                     {[]change{func(b *v1alpha1.BackingService) { b.Status.Conditions = nil }}, "waiting not looked at yet"},
		"edited a moment ago":               {[]change{func(b *v1alpha1.BackingService) { b.Generation = 2 }}, "waiting not looked at yet"},
		"being provisioned":                 {[]change{says("Ready", "False", "Provisioning", "")}, "changing being provisioned"},
		"its Secret is missing":             {[]change{says("Ready", "False", "SecretNotFound", "")}, "waiting SecretNotFound"},
		"being verified":                    {[]change{says("Verified", "False", "Verifying", "")}, "changing being verified"},
		"not verified on purpose":           {[]change{says("Verified", "False", "VerifyOff", "")}, "ok ready, not verified"},
		"its password is refused":           {[]change{says("Verified", "False", "CredentialsRefused", "")}, "waiting CredentialsRefused"},
		"stalled":                           {[]change{says("Stalled", "True", "NameConflict", "")}, "failed NameConflict"},
		"its data cannot be fetched yet":    {[]change{says("Seeded", "False", "SourceNotReady", "")}, "waiting SourceNotReady"},
		"its data is on its way: a move":    {[]change{moving("old", v1alpha1.MoveSeeding, 10), says("Seeded", "False", "Seeding", "")}, "ok ready"},
		"the move of its data was given up": {[]change{moving("old", v1alpha1.MoveGivenUp, 10), says("Seeded", "False", "DataDiffers", "")}, "failed DataDiffers"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.service("new", v1alpha1.TypeRedis, append([]change{provisioned}, test.changes...)...)
			state := Of(&s.Inventory, now).Namespaces[0].Services[0].State
			if got := string(state.Level) + " " + state.Word; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhoUsesAService(t *testing.T) {
	have := demo()
	shop := Of(have, now).Namespaces[0]
	var unused []string
	for _, s := range shop.Services {
		if s.Unused {
			unused = append(unused, s.Name)
		}
		if s.Name == "logs" && (len(s.Attachments) != 1 || s.Workload != "Deployment/logs") {
			t.Errorf("the collector has the attachments %v of %q, want one of Deployment/logs", s.Attachments, s.Workload)
		}
	}
	if diff := cmp.Diff([]string{"visits-old"}, unused); diff != "" {
		t.Errorf("unused: %s", diff)
	}
	if len(shop.Apps) != 1 {
		t.Errorf("%d apps: the Deployment that Bindery runs for the collector is none", len(shop.Apps))
	}

	t.Run("a Deployment of the collector's name that is not Bindery's is an app", func(t *testing.T) {
		s := newScene()
		s.service("logs", v1alpha1.TypeCollector, provisioned)
		s.workload(planner.KindDeployment, "logs", 2, 2, "")
		s.binding(planner.KindDeployment, "logs", "store", "REDIS_URL")
		if apps := Of(&s.Inventory, now).Namespaces[0].Apps; len(apps) != 1 || apps[0].Name != "logs" {
			t.Errorf("the apps are %v", apps)
		}
	})
	t.Run("where Deployments cannot be read, nothing is said of them", func(t *testing.T) {
		have := demo()
		have.Workloads, have.Unread = nil, map[string]error{planner.KindDeployment: errors.New("forbidden")}
		if app := Of(have, now).Namespaces[0].Apps[0]; app.Missing || app.Pods != nil {
			t.Errorf("it is said of the app that it is missing (%v), or what Pods it has (%v)", app.Missing, app.Pods)
		}
	})
	t.Run("data that moves is a use", func(t *testing.T) {
		s := newScene()
		s.service("old", v1alpha1.TypeRedis, provisioned)
		s.service("new", v1alpha1.TypeRedis, provisioned, moving("old", v1alpha1.MoveSeeding, 10))
		for _, service := range Of(&s.Inventory, now).Namespaces[0].Services {
			if service.Unused {
				t.Errorf("%s is said to be unused", service.Name)
			}
		}
	})
}

func TestOnlyOneWorkload(t *testing.T) {
	p := Of(demo(), now)
	if only := p.Only(planner.Key{Namespace: "shop", Kind: planner.KindStatefulSet, Name: "pinger"}); len(only.Namespaces) != 0 {
		t.Errorf("another workload of the name has %v", only.Namespaces)
	}
	only := p.Only(planner.Key{Namespace: "shop", Kind: planner.KindDeployment, Name: "pinger"})
	if len(only.Namespaces) != 1 || len(only.Namespaces[0].Apps) != 1 {
		t.Fatalf("got %v", only)
	}
	for _, s := range only.Namespaces[0].Services {
		if s.Unused {
			t.Errorf("%s has nothing to do with it", s.Name)
		}
	}
}

func TestShorten(t *testing.T) {
	width := func(text string) int { return len([]rune(text)) }
	for _, test := range []struct {
		text string
		room int
		want string
	}{
		{"visits", 6, "visits"}, {"visits-of-the-shop", 9, "visi…shop"}, {"visits", 5, "vi…ts"}, {"visits", 1, "…"}, {"ünïcödé", 5, "ün…dé"},
	} {
		if got := shorten(test.text, test.room, width); got != test.want {
			t.Errorf("%q in %d: got %q, want %q", test.text, test.room, got, test.want)
		}
	}
	if got, want := shortenList([]string{"PGHOST", "PGPORT", "PGUSER"}, 17, width), "PGHOST, PGPORT +1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNoCredentialAndNoSecretIsNamed(t *testing.T) {
	s := newScene()
	s.service("mail", v1alpha1.TypeSMTP, func(b *v1alpha1.BackingService) {
		b.Spec.External = &v1alpha1.ExternalSource{SecretRef: &v1alpha1.SecretKeyReference{Name: "the-secret", Key: "url"}}
		b.Status.Handle = &v1alpha1.Handle{SecretName: "the-secret", Key: "url", Revision: 1}
	})
	s.binding(planner.KindDeployment, "app", "mail", "SMTP_URL", func(b *v1alpha1.Binding) { b.Status.Current.SecretName = "the-secret" })
	for name, text := range allOf(&s.Inventory) {
		if strings.Contains(text, "the-secret") {
			t.Errorf("%s names the Secret", name)
		}
	}
}

// allOf are all renderings of an inventory.
func allOf(have *inventory.Inventory) map[string]string {
	p := Of(have, now)
	return map[string]string{
		"text": Text(p, wide), "narrow": Text(p, narrow), "tree": Tree(p, wide), "svg": SVG(p), "mermaid": Mermaid(p), "dot": Dot(p), "json": JSON(p),
	}
}
