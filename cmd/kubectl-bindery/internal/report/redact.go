// Package report makes the files of a bug report. Everything that may hold a credential is taken out: a Redactor keeps what it
// knows to be harmless, rather than to look for what is not. What it has taken out of one place, it takes out of all others as
// well, logs and messages among them.
package report

import (
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
)

// redacted stands where something was taken out.
const redacted = "REDACTED"

// Redactor redacts the objects and the texts of one report.
type Redactor struct {
	// secrets are what was taken out, and is taken out wherever else it stands.
	secrets map[string]bool
	// names of objects and containers, which are no secrets even where somebody's variable has one as its value.
	names map[string]bool
}

// NewRedactor returns a Redactor that has seen nothing.
func NewRedactor() *Redactor {
	r := &Redactor{secrets: map[string]bool{}, names: map[string]bool{}}
	for _, word := range []string{"amqps", "mongodb", "mysql", "postgres", "postgresql", "rabbitmq", "rediss"} {
		r.names[word] = true // the scheme of a handle
	}
	return r
}

// shortest is how long a value has to be to be looked for in other places: 3000 and true stand everywhere.
const shortest = 6

// take takes a value out.
func (r *Redactor) take(value string) string {
	if value == "" {
		return ""
	}
	r.hide(value)
	// The parts of a URL or of a list stand alone elsewhere.
	for _, word := range regexp.MustCompile(`[^A-Za-z0-9_.+-]+`).Split(value, -1) {
		r.hide(word)
	}
	return redacted
}

func (r *Redactor) hide(value string) {
	if value = strings.TrimSpace(value); len(value) >= shortest && value != redacted {
		r.secrets[value] = true
	}
}

// Service redacts a BackingService.
func (r *Redactor) Service(s v1alpha1.BackingService) v1alpha1.BackingService {
	s = *s.DeepCopy()
	s.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BackingService"}
	r.meta(&s.ObjectMeta)
	if e := s.Spec.External; e != nil {
		e.URL = r.url(e.URL)
		if e.SecretRef != nil {
			e.SecretRef.Compose = r.compose(e.SecretRef.Compose)
		}
	}
	if s.Spec.Probe != nil {
		s.Spec.Probe.Endpoint = r.url(s.Spec.Probe.Endpoint)
	}
	if s.Status.Handle != nil {
		s.Status.Handle.Compose = r.compose(s.Status.Handle.Compose)
	}
	return s
}

// Binding redacts a Binding.
func (r *Redactor) Binding(b v1alpha1.Binding) v1alpha1.Binding {
	b = *b.DeepCopy()
	b.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Binding"}
	r.meta(&b.ObjectMeta)
	if b.Status.Injection != nil {
		for i := range b.Status.Injection.Env {
			b.Status.Injection.Env[i].Value = r.compose(b.Status.Injection.Env[i].Value)
		}
	}
	return b
}

// Deployment redacts a Deployment.
func (r *Redactor) Deployment(d appsv1.Deployment) appsv1.Deployment {
	d = *d.DeepCopy()
	d.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}
	r.meta(&d.ObjectMeta)
	d.Spec.Template = r.template(d.Spec.Template)
	d.Spec.Selector = nil
	return d
}

// StatefulSet redacts a StatefulSet.
func (r *Redactor) StatefulSet(s appsv1.StatefulSet) appsv1.StatefulSet {
	s = *s.DeepCopy()
	s.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}
	r.meta(&s.ObjectMeta)
	s.Spec.Template = r.template(s.Spec.Template)
	s.Spec.Selector, s.Spec.VolumeClaimTemplates = nil, nil
	return s
}

// DaemonSet redacts a DaemonSet.
func (r *Redactor) DaemonSet(d appsv1.DaemonSet) appsv1.DaemonSet {
	d = *d.DeepCopy()
	d.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}
	r.meta(&d.ObjectMeta)
	d.Spec.Template = r.template(d.Spec.Template)
	d.Spec.Selector = nil
	return d
}

// meta keeps of the labels and annotations those that are Bindery's or Kubernetes' own.
func (r *Redactor) meta(m *metav1.ObjectMeta) {
	r.names[m.Name], r.names[m.Namespace] = true, true
	m.ManagedFields = nil
	m.Labels = r.marks(m.Labels)
	m.Annotations = r.marks(m.Annotations)
}

// harmless are the labels and annotations that are kept, because Bindery, Helm or Kubernetes has written them.
var harmless = []string{
	v1alpha1.WaitForBindingsAnnotation, v1alpha1.RenderedAnnotation, v1alpha1.HandleAnnotation, v1alpha1.DeleteInUseAnnotation,
	v1alpha1.ServiceLabel, v1alpha1.SecretRevisionAnnotation, v1alpha1.StoppedAnnotation, v1alpha1.SeededFromAnnotation,
	"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/component",
	"app.kubernetes.io/part-of", "app.kubernetes.io/managed-by", "deployment.kubernetes.io/revision", "helm.sh/chart",
}

func (r *Redactor) marks(of map[string]string) map[string]string {
	kept := map[string]string{}
	for key, value := range of {
		switch {
		case slices.Contains(harmless, key):
			kept[key] = value
		case key == v1alpha1.AttachmentsAnnotation:
			kept[key] = r.ledger(value)
		case key == corev1.LastAppliedConfigAnnotation:
			kept[key] = redacted // it is the manifest, each part of which is redacted where it stands
		default:
			kept[key] = r.take(value)
		}
	}
	return kept
}

// known are the fields of the ledger on a workload.
var known = []string{
	"workload", "binding", "bindingUID", "definitionUID", "since", "template", "service", "serviceUID", "type", "secret", "content", "mark",
	"container", "name", "key", "configMap",
}

// ledger keeps the fields that Bindery writes into the annotation of a workload. Everybody who may edit the workload can write
// something else into it.
func (r *Redactor) ledger(text string) string {
	var content any
	if json.Unmarshal([]byte(text), &content) != nil {
		return r.take(text)
	}
	kept, err := json.Marshal(each("", content, func(field, text string) string {
		switch {
		case field == "value" || field == "message":
			return r.compose(text)
		case slices.Contains(known, field):
			return text
		default:
			return r.take(text)
		}
	}))
	if err != nil {
		return redacted
	}
	return string(kept)
}

// each replaces each text in a value of JSON. It is told the field that the text is in, also where that is a list.
func each(field string, content any, replace func(field, text string) string) any {
	switch c := content.(type) {
	case string:
		return replace(field, c)
	case []any:
		for i := range c {
			c[i] = each(field, c[i], replace)
		}
	case map[string]any:
		for name := range c {
			c[name] = each(name, c[name], replace)
		}
	}
	return content
}

// template keeps what Bindery and its planner look at.
func (r *Redactor) template(t corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: r.marks(t.Labels), Annotations: r.marks(t.Annotations)},
		Spec: corev1.PodSpec{
			InitContainers: r.containers(t.Spec.InitContainers), Containers: r.containers(t.Spec.Containers),
			RestartPolicy: t.Spec.RestartPolicy, EnableServiceLinks: t.Spec.EnableServiceLinks,
			TerminationGracePeriodSeconds: t.Spec.TerminationGracePeriodSeconds, ServiceAccountName: t.Spec.ServiceAccountName,
		},
	}
}

func (r *Redactor) containers(of []corev1.Container) []corev1.Container {
	var kept []corev1.Container
	for _, c := range of {
		r.names[c.Name] = true
		k := corev1.Container{
			Name: c.Name, Image: c.Image, Ports: c.Ports, Resources: c.Resources, RestartPolicy: c.RestartPolicy, EnvFrom: c.EnvFrom,
			Command: r.flags(c.Command), Args: r.flags(c.Args),
		}
		for _, e := range c.Env {
			e.Value = r.value(e.Value)
			k.Env = append(k.Env, e)
		}
		r.probes(c)
		kept = append(kept, k)
	}
	return kept
}

// value is that of a variable: only what refers to other variables is kept of it.
func (r *Redactor) value(text string) string {
	if strings.Contains(text, "$(") {
		return r.compose(text)
	}
	return r.take(text)
}

// flags are those of a command: only the names of flags are kept, and the values of those of the operator.
func (r *Redactor) flags(of []string) []string {
	var kept []string
	for _, word := range of {
		flag, value, hasValue := strings.Cut(word, "=")
		switch {
		case slices.Contains(operatorFlags, flag):
			kept = append(kept, word)
		case hasValue && strings.HasPrefix(flag, "--"):
			kept = append(kept, flag+"="+cmp.Or(r.take(value), redacted))
		default:
			kept = append(kept, r.take(word))
		}
	}
	return kept
}

// operatorFlags are those that the chart sets.
var operatorFlags = []string{
	"--leader-elect", "--namespaces", "--probe-image", "--postgresql-tools-image", "--mysql-tools-image", "--redis-image",
	"--collector-image", "--follow-secrets", "--max-parallel-rollouts", "--burst-window", "--metrics-bind-address",
	"--metrics-secure", "--metrics-cert-dir", "--health-probe-bind-address", "--zap-log-level", "--zap-encoder",
}

// probes takes out what is in the probes and hooks of a container, which are left out, so that it is found elsewhere.
func (r *Redactor) probes(c corev1.Container) {
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if p != nil {
			r.handler(p.Exec, p.HTTPGet)
		}
	}
	if c.Lifecycle == nil {
		return
	}
	for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
		if h != nil {
			r.handler(h.Exec, h.HTTPGet)
		}
	}
}

func (r *Redactor) handler(exec *corev1.ExecAction, get *corev1.HTTPGetAction) {
	if exec != nil {
		for _, word := range exec.Command {
			r.take(word)
		}
	}
	if get != nil {
		r.take(get.Path)
		for _, header := range get.HTTPHeaders {
			r.take(header.Value)
		}
	}
}

// url keeps the scheme, the host and the port: a path can be the secret address of a webhook.
func (r *Redactor) url(text string) string {
	u, err := url.Parse(text)
	if err != nil || text == "" || u.Host == "" {
		return r.take(text)
	}
	kept := u.Scheme + "://"
	if u.User != nil {
		r.take(u.User.Username())
		if password, ok := u.User.Password(); ok {
			r.take(password)
		}
		kept += redacted + "@"
	}
	kept += u.Host
	r.names[u.Hostname()] = true
	for _, part := range []string{u.Path, u.RawQuery, u.Fragment} {
		for _, word := range strings.FieldsFunc(part, func(c rune) bool { return strings.ContainsRune("/=&?#;", c) }) {
			r.hide(word)
		}
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		kept += "/" + redacted
	}
	return kept
}

var (
	reference = regexp.MustCompile(`\$\([^)]*\)`)
	scheme    = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.:-]*://`)
	literal   = regexp.MustCompile(`[^:/@?&=,]+`)
)

// compose keeps of a handle of several keys the scheme, the references and what separates them.
func (r *Redactor) compose(text string) string {
	begins := scheme.FindString(text)
	kept, rest := begins, strings.TrimPrefix(text, begins)
	at := 0
	between := func(part string) {
		kept += literal.ReplaceAllStringFunc(part, func(word string) string { return r.take(word) })
	}
	for _, span := range reference.FindAllStringIndex(rest, -1) {
		between(rest[at:span[0]])
		kept += rest[span[0]:span[1]]
		at = span[1]
	}
	between(rest[at:])
	return kept
}

// words that name a credential.
const words = `password|passwd|pwd|client[_-]?secret|secret[_-]?(?:access[_-]?)?key|token|api[_-]?key|access[_-]?key|credential|authorization`

// The forms in which a credential is known by what stands around it.
var forms = []struct{ pattern, with string }{
	{`([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/"'<>]*@`, "${1}" + redacted + "@"},
	{`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'?#<>]*)[?#][^\s"'<>]*`, "${1}?" + redacted},
	{`(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,}`, "${1} " + redacted},
	{`(?i)([a-z0-9_-]*(?:` + words + `)[a-z0-9_-]*\\?["']?[ \t]*[=:][ \t]*\\?["']?)[^\s"',;&}\\]+`, "${1}" + redacted},
	{`(?i)(\bsecret[ \t]*=[ \t]*["']?)[^\s"',;&}]+`, "${1}" + redacted}, // "secret": is the name of one
	{`[^\s:@/"']+:[^\s:@/"']+@(tcp|unix)\(`, redacted + "@${1}("},
}

var compiled = func() (all []*regexp.Regexp) {
	for _, f := range forms {
		all = append(all, regexp.MustCompile(f.pattern))
	}
	return all
}()

// Text redacts a text: what was taken out of objects, and what looks like a credential.
func (r *Redactor) Text(text string) string {
	// The longest first: one may be a part of another.
	secrets := make([]string, 0, len(r.secrets))
	for secret := range r.secrets {
		if !r.names[secret] {
			secrets = append(secrets, secret)
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, redacted)
	}
	for i, pattern := range compiled {
		text = pattern.ReplaceAllString(text, forms[i].with)
	}
	return text
}
