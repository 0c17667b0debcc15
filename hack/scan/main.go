// Scan looks for weak points in what the chart installs: it renders the chart in both scopes, and with everything switched on
// that is off by default, and asks
//
//   - kube-score, about workloads and what goes with them;
//   - the policy of Kubernetes' own Pod Security admission, about every Pod, at the level restricted;
//   - ruleChecks, about roles and whom they are given to.
//
// What is accepted on purpose is in waivers.go, with the reason, and is printed. Any other finding fails, and so does a waiver
// that nothing needs any more. It asks nothing on the network.
//
//	usage: scan [-bin DIR] [-chart DIR]
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// rendering is the chart with some values.
type rendering struct {
	name string
	args []string
}

var renderings = []rendering{
	{name: "in the whole cluster"},
	{name: "in two namespaces", args: []string{"--set", "scope.namespaces={shop,sales}"}},
	{name: "with everything switched on", args: []string{
		"--set", "replicas=2,podDisruptionBudget.enabled=true,networkPolicy.enabled=true," +
			"pprof.enabled=true,metrics.serviceMonitor.enabled=true",
		"--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
	}},
}

// finding is one weak point of one object.
type finding struct {
	check  string // who says so, and what: kube-score/…, pod-security/…, rights/…
	object string // Kind/name
	detail string
}

func (f finding) String() string { return fmt.Sprintf("%s: %s: %s", f.object, f.check, f.detail) }

func main() {
	bin := flag.String("bin", "../../bin", "where helm and kube-score are")
	chart := flag.String("chart", "../../charts/bindery", "the chart")
	flag.Parse()
	if err := run(*bin, *chart, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scan:", err)
		os.Exit(1)
	}
}

func run(bin, chart string, out io.Writer) error {
	var all []finding
	for _, r := range renderings {
		manifest, err := render(filepath.Join(bin, "helm"), chart, r)
		if err != nil {
			return err
		}
		found, err := findings(filepath.Join(bin, "kube-score"), manifest)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Fprintf(out, "%s: %d findings\n", r.name, len(found))
		all = append(all, found...)
	}
	for _, w := range waivers {
		if objects := objectsOf(all, w.check); len(objects) > 0 {
			fmt.Fprintf(out, "accepted: %s (%s): %s\n", w.check, strings.Join(objects, ", "), w.reason)
		}
	}
	return judge(all)
}

// objectsOf are the objects that a check complains about, each once.
func objectsOf(all []finding, check string) []string {
	var objects []string
	for _, f := range all {
		if f.check == check {
			objects = append(objects, f.object)
		}
	}
	slices.Sort(objects)
	return slices.Compact(objects)
}

// findings are all that is found in a manifest, each once.
func findings(scorer string, manifest []byte) ([]finding, error) {
	objects, err := read(manifest)
	if err != nil {
		return nil, err
	}
	found, err := kubeScore(scorer, manifest)
	if err != nil {
		return nil, err
	}
	insecure, err := podSecurity(objects)
	if err != nil {
		return nil, err
	}
	powerful, err := rights(objects)
	if err != nil {
		return nil, err
	}
	found = slices.Concat(found, insecure, powerful)
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(found), nil
}

// judge returns an error that names the findings without a waiver, and the waivers without a finding.
func judge(all []finding) error {
	var wrong []error
	used := map[string]bool{}
	for _, f := range all {
		if w := waiverOf(f); w != nil {
			used[w.check] = true
			continue
		}
		wrong = append(wrong, errors.New(f.String()))
	}
	for _, w := range waivers {
		if !used[w.check] {
			wrong = append(wrong, fmt.Errorf("the waiver of %s is needed by nothing: remove it", w.check))
		}
	}
	return errors.Join(wrong...)
}

func render(helm, chart string, r rendering) ([]byte, error) {
	command := exec.Command(helm, append([]string{"template", "bindery", chart, "--namespace", "bindery-system"}, r.args...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	manifest, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("render the chart %s: %w: %s", r.name, err, stderr.String())
	}
	return manifest, nil
}
