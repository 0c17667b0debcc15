package report_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/cmd/kubectl-bindery/internal/report"
	"github.com/bindery-dev/bindery/hack/testgolden"
)

var at = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// meta has a canary wherever an object's owner may write what they like.
func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "shop", Name: name,
		Labels: map[string]string{"team": "canary-label", "app.kubernetes.io/name": name},
		Annotations: map[string]string{
			corev1.LastAppliedConfigAnnotation: `{"spec":{"env":[{"value":"canary-applied"}]}}`,
			"note":                             "canary-note",
			v1alpha1.AttachmentsAnnotation: `{"workload":"shop/Deployment/pinger","password":"canary-ledger","attachments":[{"binding":"pinger-visits",` +
				`"env":[{"container":"pinger","name":"REDIS_URL","value":"redis://:$(BINDERY_REDIS_URL_1)canary-literal@$(BINDERY_REDIS_URL_2)/0"}]}]}`,
		},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "canary-manager", FieldsV1: metav1.NewFieldsV1(`{"f:canary-field":{}}`)}},
	}
}

func template() corev1.PodTemplateSpec {
	exec := &corev1.ExecAction{Command: []string{"redis-cli", "-a", "canary-exec"}}
	get := &corev1.HTTPGetAction{Path: "/health?key=canary-path", HTTPHeaders: []corev1.HTTPHeader{{Name: "Authorization", Value: "canary-header"}}}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{"app": "canary-pod-label"}, Annotations: map[string]string{"vault": "canary-pod-annotation"},
		},
		Spec: corev1.PodSpec{
			HostAliases:  []corev1.HostAlias{{IP: "10.0.0.1", Hostnames: []string{"canary-alias"}}},
			NodeSelector: map[string]string{"pool": "canary-pool"},
			Volumes: []corev1.Volume{{Name: "files", VolumeSource: corev1.VolumeSource{
				CSI: &corev1.CSIVolumeSource{Driver: "d", VolumeAttributes: map[string]string{"password": "canary-volume"}},
			}}},
			InitContainers: []corev1.Container{{Name: "migrate", Image: "migrate:1", Command: []string{"migrate", "canary-init"}}},
			Containers: []corev1.Container{{
				Name: "pinger", Image: "pinger:1", Command: []string{"sh", "-c", "PASSWORD=canary-command pinger"},
				Args: []string{"--password=canary-flag", "--verbose", "canary-arg"},
				Env: []corev1.EnvVar{
					{Name: "API_KEY", Value: "canary-env"},
					{Name: "DATABASE_URL", Value: "postgres://me:canary-password@db.example.com/shop"},
					{Name: "COMPOSED", Value: "redis://me:canary-composed@$(HOST):6379/0"},
					{Name: "REDIS_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
						LocalObjectReference: corev1.LocalObjectReference{Name: "visits-abcd"}, Key: "uri",
					}}},
				},
				LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: exec}}, ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get}},
				Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: exec}},
			}},
		},
	}
}

// messages is what an operator, a kubelet or a tool may have said of any of these.
const messages = `the container says: cannot log in with canary-env, canary-exec, canary-header, canary-arg
dial postgres://me:canary-never-seen@db.example.com/shop?sslmode=canary-query
GET https://hooks.example.com/x?token=canary-token
Authorization: Bearer canary-bearer-0123456789
{"level":"info","password":"canary-json","secret":"visits-abcd"}
{"quoted":"{\"api_key\":\"canary-quoted\"}"}
client_secret = canary-client, secret=canary-secret
me:canary-dsn@tcp(db:3306)/shop
`

func facts() report.Facts {
	service := v1alpha1.BackingService{
		ObjectMeta: meta("visits"),
		Spec: v1alpha1.BackingServiceSpec{
			Type: v1alpha1.TypeHTTP, Probe: &v1alpha1.ProbeSpec{Endpoint: "https://canary-user:canary-pass@probe.example.com/canary-endpoint"},
			External: &v1alpha1.ExternalSource{
				URL:       "https://me:canary-userinfo@hooks.example.com:8443/services/canary-webhook?key=canary-parameter#canary-fragment",
				SecretRef: &v1alpha1.SecretKeyReference{Name: "parts", Compose: "mysql://root:canary-compose@$(host):$(port)/shop?x=canary-option"},
			},
		},
		Status: v1alpha1.BackingServiceStatus{
			Handle:     &v1alpha1.Handle{SecretName: "parts", Revision: 1, Compose: "mysql://root:canary-compose@$(host)/canary-db"},
			Conditions: []metav1.Condition{{Type: "Ready", Message: messages}},
		},
	}
	binding := v1alpha1.Binding{
		ObjectMeta: meta("pinger-visits"),
		Spec:       v1alpha1.BindingSpec{WorkloadRef: v1alpha1.WorkloadReference{Kind: "Deployment", Name: "pinger"}, ServiceRef: v1alpha1.LocalReference{Name: "visits"}},
		Status: v1alpha1.BindingStatus{
			Conditions: []metav1.Condition{{Type: "Ready", Reason: "RolledBack", Message: messages}},
			Injection:  &v1alpha1.Injection{SecretName: "parts", Env: []v1alpha1.InjectedVar{{Name: "MYSQL_URL", Value: "mysql://root:canary-injected@$(BINDERY_MYSQL_URL_1)/"}}},
		},
	}
	deployment := appsv1.Deployment{
		ObjectMeta: meta("pinger"),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(3)), Template: template(),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "canary-pod-label"}},
		},
		Status: appsv1.DeploymentStatus{Conditions: []appsv1.DeploymentCondition{{Type: "Progressing", Message: messages}}},
	}
	stateful := appsv1.StatefulSet{ObjectMeta: meta("cart"), Spec: appsv1.StatefulSetSpec{
		Template: template(), VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: meta("canary-claim")}},
	}}
	operator := *deployment.DeepCopy()
	operator.Name, operator.Namespace = "bindery-operator", "bindery-system"
	operator.Spec.Template.Spec.Containers[0].Args = []string{"--leader-elect", "--namespaces=shop", "--extra=canary-extra"}
	return report.Facts{
		Versions: []string{"plugin: v0.1.0"}, Services: []v1alpha1.BackingService{service}, Bindings: []v1alpha1.Binding{binding},
		Deployments: []appsv1.Deployment{deployment}, StatefulSets: []appsv1.StatefulSet{stateful},
		DaemonSets: []appsv1.DaemonSet{{ObjectMeta: meta("agent"), Spec: appsv1.DaemonSetSpec{Template: template()}}},
		Operators:  []appsv1.Deployment{operator},
		Events: []corev1.Event{
			{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Type: "Warning", Reason: "Failed", Message: messages,
				InvolvedObject: corev1.ObjectReference{Kind: "Deployment", Name: "pinger"}, LastTimestamp: metav1.NewTime(at)},
			{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Type: "Normal", Reason: "Attached", Message: "REDIS_URL of Deployment/pinger is BackingService visits now",
				InvolvedObject: corev1.ObjectReference{Kind: "Binding", Name: "pinger-visits"}, EventTime: metav1.NewMicroTime(at.Add(-time.Hour))},
		},
		Logs:   map[string]string{"bindery-operator-1": messages},
		Doctor: messages, Status: messages, Unread: []string{"Events: " + messages},
	}
}

func files(t *testing.T) []report.File {
	t.Helper()
	made, err := report.Files(facts())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestNoCanaryIsInAReport(t *testing.T) {
	for _, f := range files(t) {
		for line := range strings.Lines(string(f.Content)) {
			if strings.Contains(strings.ToLower(line), "canary") {
				t.Errorf("%s: %s", f.Name, line)
			}
		}
	}
}

// What a bug needs to be found is still there.
func TestFilesOfAReport(t *testing.T) {
	var all strings.Builder
	for _, f := range files(t) {
		all.WriteString("===== " + f.Name + "\n" + string(f.Content))
	}
	testgolden.Compare(t, filepath.Join("testdata", "report.txt"), all.String())
}

func TestNothingOfTheFactsIsChanged(t *testing.T) {
	f := facts()
	if _, err := report.Files(f); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(facts(), f); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsTakenOutIsTakenOutElsewhereToo(t *testing.T) {
	r := report.NewRedactor()
	r.Deployment(appsv1.Deployment{Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "database", Env: []corev1.EnvVar{{Name: "A", Value: "hunter22"}, {Name: "B", Value: "3000"}, {Name: "C", Value: "database"}},
	}}}}}})
	if got, want := r.Text("hunter22 on port 3000 of database"), "REDACTED on port 3000 of database"; got != want {
		t.Errorf("%q", got)
	}
}

func TestPackAndWriteHaveTheSameFiles(t *testing.T) {
	made := files(t)
	folder := t.TempDir()
	if err := report.Write(folder, made); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := report.Pack(&packed, "bindery-report", made, at); err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(header.Name, "bindery-report/")
		written, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !bytes.Equal(written, content) {
			t.Errorf("%s: %v", name, err)
		}
		names = append(names, name)
	}
	want := []string{
		"README.txt", "backingservices.yaml", "bindings.yaml", "doctor.txt", "events.txt", "logs/bindery-operator-1.txt", "operator.yaml", "status.txt",
		"unread.txt", "versions.txt", "workloads.yaml",
	}
	if diff := cmp.Diff(want, names); diff != "" || !slices.IsSorted(names) {
		t.Error(diff)
	}
}
