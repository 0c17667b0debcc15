package chart

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// toggled is another value for one of values.yaml.
type toggled struct {
	// to is the value, as YAML.
	to string
	// shows is in what is rendered with it, and not in what is rendered without.
	shows string
	// hides is in what is rendered without it, and not in what is rendered with it.
	hides string
	// with are other values that it needs, as YAML.
	with string
}

const (
	digest     = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	monitored  = "metrics: {serviceMonitor: {enabled: true}}"
	monitoring = "metrics: {prometheusRule: {enabled: true}}"
	boarded    = "metrics: {dashboard: {enabled: true}}"
	walled     = "networkPolicy: {enabled: true}"
	following  = "secretChanges: {enabled: true}"
)

// everyValue has a case for each value of values.yaml.
var everyValue = map[string]toggled{
	"scope.namespaces":        {to: `[a]`, shows: "--namespaces=a"},
	"crds.enabled":            {to: `false`, hides: "kind: CustomResourceDefinition"},
	"crds.keep":               {to: `false`, hides: "helm.sh/resource-policy: keep"},
	"policies.author":         {to: `false`, hides: "name: bindery-binding-author"},
	"policies.inUse":          {to: `false`, hides: "name: bindery-service-in-use"},
	"userRoles.create":        {to: `false`, hides: "name: bindery-edit"},
	"image.registry":          {to: `r.example.com:5000`, shows: "image: r.example.com:5000/bindery-dev/operator:v0.1.0"},
	"image.repository":        {to: `mirror/operator`, shows: "image: ghcr.io/mirror/operator:v0.1.0"},
	"image.tag":               {to: `v9`, shows: "image: ghcr.io/bindery-dev/operator:v9"},
	"image.digest":            {to: digest, shows: "image: ghcr.io/bindery-dev/operator:v0.1.0@" + digest},
	"image.pullPolicy":        {to: `Always`, shows: "imagePullPolicy: Always"},
	"imagePullSecrets":        {to: `[{name: mirror}]`, shows: "imagePullSecrets:\n        - name: mirror"},
	"serviceImagePullSecrets": {to: `[mirror, other]`, shows: "--image-pull-secrets=mirror,other"},
	"probe.resources":         {to: `{limits: {cpu: 50m}}`, shows: `--probe-resources={\"limits\":{\"cpu\":\"50m\"}}`},
	"replicas":                {to: `2`, shows: "maxUnavailable: 1", hides: "type: Recreate"},
	"strategy":                {to: `{type: RollingUpdate}`, shows: "type: RollingUpdate", hides: "type: Recreate"},
	"resources":               {to: `{limits: {memory: 1Gi}}`, shows: "memory: 1Gi", hides: "memory: 512Mi"},
	"nodeSelector":            {to: `{disk: ssd}`, shows: "disk: ssd"},
	"tolerations":             {to: `[{key: infra, operator: Exists}]`, shows: "key: infra"},
	"affinity":                {to: `{nodeAffinity: {}}`, shows: "nodeAffinity: {}"},
	"priorityClassName":       {to: `system-cluster-critical`, shows: "priorityClassName: system-cluster-critical"},
	"podSecurityContext":      {to: `{runAsUser: 7}`, shows: "runAsUser: 7"},
	"securityContext":         {to: `{runAsGroup: 7}`, shows: "runAsGroup: 7"},
	"commonLabels":            {to: `{team: platform}`, shows: "team: platform"},
	"commonAnnotations":       {to: `{owner: platform}`, shows: "owner: platform"},
	"podLabels":               {to: `{team: platform}`, shows: "team: platform"},
	"podAnnotations":          {to: `{owner: platform}`, shows: "owner: platform"},
	"extraArgs":               {to: `[--kubeconfig=/x]`, shows: "- --kubeconfig=/x"},
	"extraEnv":                {to: `[{name: GODEBUG, value: x}]`, shows: "name: GODEBUG"},
	"logging.level":           {to: `2`, shows: "--zap-log-level=2"},
	"logging.format":          {to: `console`, shows: "--zap-encoder=console"},
	"burstWindow":             {to: `3s`, shows: "--burst-window=3s"},
	"pprof.enabled":           {to: `true`, shows: "--pprof-bind-address=127.0.0.1:6060"},
	"pprof.port":              {to: `7070`, shows: "--pprof-bind-address=127.0.0.1:7070", with: "pprof: {enabled: true}"},
	"metrics.enabled":         {to: `false`, shows: "--metrics-bind-address=0", hides: "name: bindery-operator-metrics"},
	"metrics.port":            {to: `9443`, shows: "--metrics-bind-address=:9443", hides: "8443"},
	"metrics.secure":          {to: `false`, shows: "--metrics-secure=false", hides: "name: bindery-metrics-auth"},
	"test.namespace":          {to: `play`, shows: "--namespace=play"},
	"test.timeout":            {to: `30s`, shows: "--timeout=30s"},

	"secretChanges.enabled":             {to: `true`, shows: "name: bindery-operator-secret-changes"},
	"secretChanges.maxParallelRollouts": {to: `3`, shows: "--max-parallel-rollouts=3", with: following},

	"policies.bornAttached":             {to: `true`, shows: "name: bindery-born-attached"},
	"userRoles.aggregate":               {to: `false`, hides: "aggregate-to-edit"},
	"job.image.registry":                {to: `r.example.com`, shows: "--probe-image=r.example.com/bindery-dev/job:v0.1.0"},
	"job.image.repository":              {to: `mirror/job`, shows: "--probe-image=ghcr.io/mirror/job:v0.1.0"},
	"job.image.tag":                     {to: `v9`, shows: "--probe-image=ghcr.io/bindery-dev/job:v9"},
	"job.image.digest":                  {to: digest, shows: "--probe-image=ghcr.io/bindery-dev/job:v0.1.0@" + digest},
	"tools.postgresql.image.registry":   {to: `r.example.com`, shows: "--postgresql-tools-image=r.example.com/library/postgres:18.1-alpine3.22"},
	"tools.postgresql.image.repository": {to: `t`, shows: "--postgresql-tools-image=docker.io/t:18.1-alpine3.22"},
	"tools.postgresql.image.tag":        {to: `v9`, shows: "--postgresql-tools-image=docker.io/library/postgres:v9"},
	"tools.postgresql.image.digest":     {to: digest, shows: "--postgresql-tools-image=docker.io/library/postgres:18.1-alpine3.22@" + digest},
	"tools.mysql.image.registry":        {to: `r.example.com`, shows: "--mysql-tools-image=r.example.com/library/mariadb:11.8.3"},
	"tools.mysql.image.repository":      {to: `t`, shows: "--mysql-tools-image=docker.io/t:11.8.3"},
	"tools.mysql.image.tag":             {to: `v9`, shows: "--mysql-tools-image=docker.io/library/mariadb:v9"},
	"tools.mysql.image.digest":          {to: digest, shows: "--mysql-tools-image=docker.io/library/mariadb:11.8.3@" + digest},
	"redis.image.registry":              {to: `r.example.com`, shows: "--redis-image=r.example.com/library/redis:7.4.6-alpine"},
	"redis.image.repository":            {to: `valkey`, shows: "--redis-image=docker.io/valkey:7.4.6-alpine"},
	"redis.image.tag":                   {to: `"8.0"`, shows: "--redis-image=docker.io/library/redis:8.0"},
	"redis.image.digest":                {to: digest, shows: "--redis-image=docker.io/library/redis:7.4.6-alpine@" + digest},
	"collector.image.registry":          {to: `""`, shows: "--collector-image=bindery-dev/collector:v0.1.0"},
	"collector.image.repository":        {to: `c`, shows: "--collector-image=ghcr.io/c:v0.1.0"},
	"collector.image.tag":               {to: `v9`, shows: "--collector-image=ghcr.io/bindery-dev/collector:v9"},
	"collector.image.digest":            {to: digest, shows: "--collector-image=ghcr.io/bindery-dev/collector:v0.1.0@" + digest},
	"topologySpreadConstraints":         {to: `[{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]`, shows: "topologyKey: zone"},
	"terminationGracePeriodSeconds":     {to: `60`, shows: "terminationGracePeriodSeconds: 60"},
	"podDisruptionBudget.enabled":       {to: `true`, shows: "minAvailable: 1", with: "replicas: 2"},
	"podDisruptionBudget.minAvailable": {
		to: `"50%"`, shows: "minAvailable: 50%", with: "{replicas: 2, podDisruptionBudget: {enabled: true}}",
	},
	"podDisruptionBudget.maxUnavailable": {
		to: `0`, shows: "maxUnavailable: 0", hides: "minAvailable", with: "{replicas: 2, podDisruptionBudget: {enabled: true}}",
	},
	"deploymentAnnotations":           {to: `{owner: platform}`, shows: "owner: platform"},
	"serviceAccount.annotations":      {to: `{owner: platform}`, shows: "owner: platform"},
	"metrics.certificate.secretName":  {to: `cert`, shows: "--metrics-cert-dir=/etc/bindery/metrics"},
	"metrics.readers":                 {to: `[{kind: User, name: jane}]`, shows: "name: jane"},
	"metrics.service.annotations":     {to: `{owner: platform}`, shows: "owner: platform"},
	"metrics.serviceMonitor.enabled":  {to: `true`, shows: "kind: ServiceMonitor"},
	"metrics.serviceMonitor.labels":   {to: `{release: prometheus}`, shows: "release: prometheus", with: monitored},
	"metrics.serviceMonitor.interval": {to: `15s`, shows: "interval: 15s", with: monitored},
	"metrics.serviceMonitor.scrapeTimeout": {
		to: `15s`, shows: "scrapeTimeout: 15s", with: monitored,
	},
	"metrics.serviceMonitor.tlsConfig": {
		to: `{serverName: x}`, shows: "serverName: x", hides: "insecureSkipVerify: true", with: monitored,
	},
	"metrics.serviceMonitor.metricRelabelings": {to: `[{action: labeldrop}]`, shows: "action: labeldrop", with: monitored},
	"metrics.prometheusRule.enabled":           {to: `true`, shows: "kind: PrometheusRule"},
	"metrics.prometheusRule.labels":            {to: `{release: prometheus}`, shows: "release: prometheus", with: monitoring},
	"metrics.dashboard.enabled":                {to: `true`, shows: "bindery.json: |"},
	"metrics.dashboard.namespace":              {to: `grafana`, shows: "namespace: grafana", with: boarded},
	"metrics.dashboard.labels":                 {to: `{find: me}`, shows: "find: me", with: boarded},
	"metrics.dashboard.annotations":            {to: `{folder: apps}`, shows: "folder: apps", with: boarded},
	"networkPolicy.enabled":                    {to: `true`, shows: "kind: NetworkPolicy"},
	"networkPolicy.apiServer.ports":            {to: `[7443]`, shows: "port: 7443", hides: "port: 6443", with: walled},
	"networkPolicy.apiServer.cidrs":            {to: `[10.0.0.1/32]`, shows: `cidr: "10.0.0.1/32"`, with: walled},
	"networkPolicy.metricsFrom":                {to: `[{podSelector: {}}]`, shows: "podSelector: {}", with: walled},
}

// Every value of values.yaml changes what is installed. A new one needs a case.
func TestEveryValueCounts(t *testing.T) {
	t.Parallel()
	var values map[string]any
	must(t, yaml.Unmarshal(read(t, "values.yaml"), &values))
	names := leaves(values, schemaOf(t), "")
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(everyValue))); diff != "" {
		t.Errorf("cases (-values.yaml +everyValue):\n%s", diff)
	}
	for name, tt := range everyValue {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := withValues(t, tt.with)
			before, err := template(t, base...)
			must(t, err)
			after, err := template(t, append(base, withValues(t, nested(name, tt.to))...)...)
			must(t, err)
			if tt.shows == "" && tt.hides == "" {
				t.Fatal("the case says nothing")
			}
			if tt.shows != "" && (strings.Contains(before, tt.shows) || !strings.Contains(after, tt.shows)) {
				t.Errorf("%s: %s has to show %q, and only this value:\n%s", name, tt.to, tt.shows, cmp.Diff(before, after))
			}
			if tt.hides != "" && (!strings.Contains(before, tt.hides) || strings.Contains(after, tt.hides)) {
				t.Errorf("%s: %s has to hide %q, and only this value:\n%s", name, tt.to, tt.hides, cmp.Diff(before, after))
			}
		})
	}
}

// nested is YAML that sets one value by its path.
func nested(path, value string) string {
	parts := strings.Split(path, ".")
	return strings.Join(parts, ": {") + ": " + value + strings.Repeat("}", len(parts)-1)
}

// leaves are the paths of the values that somebody sets: where the schema does not name what is inside.
func leaves(values map[string]any, schema *valueSchema, prefix string) []string {
	var names []string
	for name, value := range values {
		inner, closed := schema.Properties[name]
		if below, ok := value.(map[string]any); ok && closed && len(inner.Properties) > 0 {
			names = append(names, leaves(below, inner, prefix+name+".")...)
			continue
		}
		names = append(names, prefix+name)
	}
	slices.Sort(names)
	return names
}

// valueSchema is the part of a JSON Schema that is looked at.
type valueSchema struct {
	Type                 any                     `json:"type"`
	Properties           map[string]*valueSchema `json:"properties"`
	AdditionalProperties any                     `json:"additionalProperties"`
}

func schemaOf(t *testing.T) *valueSchema {
	t.Helper()
	s := &valueSchema{}
	must(t, json.Unmarshal(read(t, "values.schema.json"), s))
	return s
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(folder + "/" + name)
	must(t, err)
	return text
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, err)
	return string(text)
}

// The schema knows each value of values.yaml and nothing else, and refuses what it does not know.
func TestTheSchemaIsClosed(t *testing.T) {
	t.Parallel()
	var values map[string]any
	must(t, yaml.Unmarshal(read(t, "values.yaml"), &values))
	s := schemaOf(t)
	delete(s.Properties, "global") // of Helm
	var check func(path string, values map[string]any, s *valueSchema)
	check = func(path string, values map[string]any, s *valueSchema) {
		if s.AdditionalProperties != false {
			t.Errorf("%s takes what it does not know", path)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(values)), slices.Sorted(maps.Keys(s.Properties))); diff != "" {
			t.Errorf("%s (-values.yaml +values.schema.json):\n%s", path, diff)
		}
		for name, inner := range s.Properties {
			if len(inner.Properties) > 0 {
				check(path+"."+name, values[name].(map[string]any), inner)
			}
		}
	}
	check("values", values, s)
}

// The README explains each value.
func TestEveryValueIsExplained(t *testing.T) {
	t.Parallel()
	readme := string(read(t, "README.md"))
	for name := range everyValue {
		row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(name) + ` \| [a-z ]+ \| .* \| [A-Z].+ \|$`)
		if !row.MatchString(readme) {
			t.Errorf("README.md does not explain %s: it needs a comment in values.yaml that begins with `# --`", name)
		}
	}
}
