package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// read reads the objects of a manifest.
func read(manifest []byte) ([]unstructured.Unstructured, error) {
	var objects []unstructured.Unstructured
	for reader := kyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifest))); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		var object map[string]any
		if err := yaml.Unmarshal(document, &object); err != nil {
			return nil, fmt.Errorf("a document of the manifest: %w", err)
		}
		if len(object) > 0 { // else it is only comments
			objects = append(objects, unstructured.Unstructured{Object: object})
		}
	}
}

func nameOf(o unstructured.Unstructured) string { return o.GetKind() + "/" + o.GetName() }

// podOf is the Pod, or the template of Pods, of an object; nil where it has none.
func podOf(o unstructured.Unstructured) (*corev1.PodTemplateSpec, error) {
	switch o.GetKind() {
	case "Pod":
		pod, err := typed[corev1.Pod](o)
		return &corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}, err
	case "Deployment":
		d, err := typed[appsv1.Deployment](o)
		return &d.Spec.Template, err
	case "StatefulSet":
		s, err := typed[appsv1.StatefulSet](o)
		return &s.Spec.Template, err
	case "DaemonSet":
		d, err := typed[appsv1.DaemonSet](o)
		return &d.Spec.Template, err
	case "Job":
		j, err := typed[batchv1.Job](o)
		return &j.Spec.Template, err
	case "CronJob":
		c, err := typed[batchv1.CronJob](o)
		return &c.Spec.JobTemplate.Spec.Template, err
	}
	return nil, nil
}

// rulesOf are the rules of a role; none where it is another object.
func rulesOf(o unstructured.Unstructured) ([]rbacv1.PolicyRule, error) {
	if o.GetKind() != "Role" && o.GetKind() != "ClusterRole" {
		return nil, nil
	}
	role, err := typed[rbacv1.ClusterRole](o)
	return role.Rules, err
}

// typed returns an object as a type. A field that the type does not have is an error.
func typed[T any](o unstructured.Unstructured) (T, error) {
	var object T
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &object, true)
	if err != nil {
		err = fmt.Errorf("%s: %w", nameOf(o), err)
	}
	return object, err
}
