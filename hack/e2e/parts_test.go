//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/bindery-dev/bindery/api/v1alpha1"
	"github.com/bindery-dev/bindery/hack/testserver"
)

// A handle is composed of the keys of a Secret by the real kubelet, for an app and for the Job that tries it.
func TestParts(t *testing.T) {
	t.Parallel()
	const template = "redis://$(username):$(password)@$(host):$(port)/2"
	suite.Test(t, features.New("a handle of several keys").
		Setup(in(func(s *scene) {
			s.apply("pinger.yaml", "visits.yaml", "pinger-visits.yaml")
			s.awaitBinding("pinger-visits")
		})).
		Assess("is swapped to in one rollout, and the app has it whole", in(func(s *scene) {
			s.composed("parts", s.secretOf("visits"), template)
			since := s.rollouts("pinger")
			s.swap("pinger-visits", "parts")
			s.awaitBinding("pinger-visits")
			s.requireRollouts(since, 1)
			s.visits("bindery-visits."+s.namespace+".svc:6379", 3)
		})).
		Assess("that needs encoding is refused before the app is touched", in(func(s *scene) {
			s.parts("raw", "p@ss/w%rd")
			s.parts("lines", s.password("visits")+"\n")
			since := s.rollouts("pinger")
			for _, name := range []string{"raw", "lines"} {
				s.composed(name, name, template)
				s.swap("pinger-visits", name)
				s.awaitUnverified(name, v1alpha1.ReasonHandleNotEncoded)
				s.awaitReason("pinger-visits", v1alpha1.ReasonServiceNotVerified)
			}
			s.composed("incomplete", "raw", "redis://$(username):$(secret)@$(host):$(port)/2")
			s.awaitUnverified("incomplete", v1alpha1.ReasonHandleMissing)
			s.swap("pinger-visits", "parts")
			s.awaitBinding("pinger-visits")
			s.requireRolloutsOf(since, 0, 0)
		})).
		Assess("is swapped from in one rollout, and leaves nothing behind", in(func(s *scene) {
			since := s.rollouts("pinger")
			s.swap("pinger-visits", "visits")
			s.awaitBinding("pinger-visits")
			s.requireReturn(since)
			s.visits("bindery-visits."+s.namespace+".svc:6379", 3)
			for name := range s.variables("pinger", "pinger") {
				if strings.HasPrefix(name, "BINDERY_") {
					s.Errorf("variable %s is left behind", name)
				}
			}
		})).
		Assess("can stay with the Job, and the app gets the keys", in(func(s *scene) {
			edit(s, "parts", func(b *v1alpha1.BackingService) { b.Spec.External.SecretRef.ComposeFor = v1alpha1.ComposeForProbe })
			s.awaitVerified("parts")
			edit(s, "pinger-visits", func(b *v1alpha1.Binding) {
				b.Spec.ServiceRef.Name, b.Spec.EnvPreset = "parts", v1alpha1.EnvPresetSplit
			})
			s.awaitBinding("pinger-visits")
			got := s.variables("pinger", "pinger")
			if ref := got["REDIS_PASSWORD"]; len(got) != 4 || ref.Name != s.secretOf("visits") || ref.Key != "password" {
				s.Errorf("the app has %v", got)
			}
		})).
		Feature())
}

// A service with a certificate of a private authority is verified with that authority, and with no other.
func TestAuthority(t *testing.T) {
	t.Parallel()
	suite.Test(t, features.New("a private authority").
		Setup(in(func(s *scene) {
			s.runSecureRedis("c4n4ry")
			s.foreign("secure", "rediss://:c4n4ry@secure-redis:6379")
		})).
		Assess("is not trusted by itself", in(func(s *scene) {
			s.awaitUnverified("secure", v1alpha1.ReasonCertificateUntrusted)
		})).
		Assess("that is named is", in(func(s *scene) {
			s.authority("secure", v1alpha1.AuthorityConfigMap, "authority")
			s.awaitVerified("secure")
			s.authority("secure", v1alpha1.AuthoritySecret, "authority")
			s.awaitVerified("secure")
		})).
		Assess("that is another one, or is not there, is not", in(func(s *scene) {
			s.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "another"}, Data: map[string]string{
				"ca.pem": string(testserver.NewAuthority(s.T).PEM()),
			}})
			s.authority("secure", v1alpha1.AuthorityConfigMap, "another")
			s.awaitUnverified("secure", v1alpha1.ReasonCertificateUntrusted)
			s.authority("secure", v1alpha1.AuthorityConfigMap, "nobody")
			s.awaitUnverified("secure", v1alpha1.ReasonHandleMissing)
			s.authority("secure", v1alpha1.AuthoritySecret, "nobody")
			s.awaitUnverified("secure", v1alpha1.ReasonHandleMissing)
		})).
		Assess("goes into an app that asks for it", in(func(s *scene) {
			s.authority("secure", v1alpha1.AuthorityConfigMap, "authority")
			s.awaitVerified("secure")
			s.apply("pinger.yaml")
			b := bindingOf("pinger-authority", "pinger", "secure")
			b.Spec.Env = []v1alpha1.EnvVar{{Name: "REDIS_CA", Key: v1alpha1.KeyAuthority}}
			s.create(b)
			s.awaitBinding("pinger-authority")
			for _, pod := range s.pods(map[string]string{"app.kubernetes.io/name": "pinger"}) {
				for _, e := range pod.Spec.Containers[0].Env {
					if e.Name == "REDIS_CA" && (e.ValueFrom == nil || e.ValueFrom.ConfigMapKeyRef == nil || e.ValueFrom.ConfigMapKeyRef.Name != "authority") {
						s.Errorf("Pod %s has %+v", pod.Name, e)
					}
				}
			}
		})).
		Feature())
}

// composed makes a BackingService whose handle is composed of the keys of a Secret.
func (s *scene) composed(name, secret, template string) {
	s.Helper()
	s.provision(name, v1alpha1.BackingServiceSpec{Type: v1alpha1.TypeRedis, External: &v1alpha1.ExternalSource{
		SecretRef: &v1alpha1.SecretKeyReference{Name: secret, Compose: template},
	}})
}

// parts makes a Secret with the parts of a handle.
func (s *scene) parts(name, password string) {
	s.Helper()
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{
		"username": "default", "password": password, "host": "bindery-visits", "port": "6379",
	}})
}

// authority names the authority of a service.
func (s *scene) authority(service string, kind v1alpha1.AuthorityKind, name string) {
	s.Helper()
	edit(s, service, func(b *v1alpha1.BackingService) {
		b.Spec.External.CARef = &v1alpha1.AuthorityReference{Kind: kind, Name: name, Key: "ca.pem"}
	})
}

// runSecureRedis runs a Redis that speaks TLS, with a certificate of an authority that is in the ConfigMap and in the
// Secret authority.
func (s *scene) runSecureRedis(password string) {
	s.Helper()
	files := map[string]string{}
	certificate, key, authority := testserver.NewAuthority(s.T).Files("secure-redis")
	for name, path := range map[string]string{"tls.crt": certificate, "tls.key": key, "ca.pem": authority} {
		text, err := os.ReadFile(path)
		s.no(err)
		files[name] = string(text)
	}
	s.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "authority"}, Data: map[string]string{"ca.pem": files["ca.pem"]}})
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "authority"}, StringData: map[string]string{"ca.pem": files["ca.pem"]}})
	settings := fmt.Sprintf("requirepass %s\n", password) +
		"port 0\ntls-port 6379\ntls-auth-clients no\ntls-cert-file /etc/redis-conf/tls.crt\ntls-key-file /etc/redis-conf/tls.key\ntls-ca-cert-file /etc/redis-conf/ca.pem\n"
	indented := func(text string) string { return strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") }
	manifest := s.sample("somebody-elses-redis.yaml", "somebody-elses-redis", "secure-redis",
		"requirepass a-password-for-the-demo", indented(settings),
		"  redis.conf: |", "  tls.crt: |\n    "+indented(files["tls.crt"])+"\n  tls.key: |\n    "+indented(files["tls.key"])+
			"\n  ca.pem: |\n    "+indented(files["ca.pem"])+"\n  redis.conf: |")
	s.kubectlReads(manifest, "apply", "-f", "-")
	s.awaitDeployment("secure-redis")
}
