{{- /* The name of the operator's objects. It is fixed: a cluster has one installation. */ -}}
{{- define "bindery.name" -}}bindery-operator{{- end -}}

{{- /* The labels by which the operator's Pods are found. A Deployment's selector cannot be changed: neither can these. */ -}}
{{- define "bindery.selectorLabels" -}}
app.kubernetes.io/name: {{ include "bindery.name" . }}
{{- end -}}

{{- /* Labels of an object. Arguments: the root, and labels of its own. */ -}}
{{- define "bindery.labels" -}}
{{- $root := index . 0 -}}
{{- $ours := dict
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/name" (include "bindery.name" $root)
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/part-of" "bindery"
  "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- mergeOverwrite (dict) $root.Values.commonLabels (index . 1) $ours | toYaml -}}
{{- end -}}

{{- /* Annotations of an object, with their key, or nothing. Arguments: the root, annotations of its own, and the indent. */ -}}
{{- define "bindery.annotations" -}}
{{- $indent := index . 2 -}}
{{- with mergeOverwrite (dict) (index . 0).Values.commonAnnotations (index . 1) -}}
{{- dict "annotations" . | toYaml | nindent $indent -}}
{{- end -}}
{{- end -}}

{{- /*
The objects of a file that is a copy of one in config/, as documents: [OBJECT, …]. The namespace of config/default becomes
that of the release. Arguments: the root, and the path.
*/ -}}
{{- define "bindery.documents" -}}
{{- $root := index . 0 -}}
{{- $path := index . 1 -}}
{{- $text := include "bindery.text" . | replace "bindery-system" $root.Release.Namespace -}}
{{- $documents := list -}}
{{- range regexSplit "(?m)^---\\s*$" $text -1 -}}
  {{- with fromYaml . -}}
    {{- if not .kind }}{{ fail (printf "%s is no file of objects: %v" $path .) }}{{ end -}}
    {{- $documents = append $documents . -}}
  {{- end -}}
{{- end -}}
{{- dict "documents" $documents | toYaml -}}
{{- end -}}

{{- /* Prints an object of a file, with what the chart adds. Arguments: the root, the object, and annotations of its own. */ -}}
{{- define "bindery.object" -}}
{{- $root := index . 0 -}}
{{- $object := deepCopy (index . 1) -}}
{{- $metadata := $object.metadata -}}
{{- $_ := set $metadata "labels" (include "bindery.labels" (list $root (default dict $metadata.labels)) | fromYaml) -}}
{{- with mergeOverwrite (dict) $root.Values.commonAnnotations (default dict $metadata.annotations) (index . 2) -}}
  {{- $_ := set $metadata "annotations" . -}}
{{- end -}}
{{- /* The files say no namespace, as those of kustomize do. These kinds have none. */ -}}
{{- if not (regexMatch "^(Cluster|CustomResourceDefinition$|(Validating|Mutating)AdmissionPolicy)" $object.kind) -}}
  {{- $_ := set $metadata "namespace" $root.Release.Namespace -}}
{{- end }}
---
{{ toYaml $object }}
{{- end -}}

{{- /* Prints the objects of a file. Arguments: the root, and the path. */ -}}
{{- define "bindery.file" -}}
{{- $root := index . 0 -}}
{{- range (include "bindery.documents" . | fromYaml).documents }}
{{- include "bindery.object" (list $root . dict) }}
{{- end -}}
{{- end -}}

{{- /* The reference of an image. Arguments: the root, and the value with its parts. */ -}}
{{- define "bindery.image" -}}
{{- $root := index . 0 -}}
{{- with index . 1 -}}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}:{{ .tag | default (printf "v%s" $root.Chart.AppVersion) }}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* Whether there is a cluster to ask: `helm template`, `helm lint` and a dry run by the client have none. */ -}}
{{- define "bindery.hasCluster" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" }}true{{ end -}}
{{- end -}}

{{- /* Whether the policies of workloads that are born attached are installed. */ -}}
{{- define "bindery.bornAttached" -}}
{{- $auto := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{- if eq (toString .Values.policies.bornAttached) "auto" }}{{ if $auto }}true{{ end }}
{{- else if .Values.policies.bornAttached }}true{{ end -}}
{{- end -}}

{{- /* The namespace that `helm test` runs in. */ -}}
{{- define "bindery.testNamespace" -}}
{{- .Values.test.namespace | default (first (.Values.scope.namespaces | default (list .Release.Namespace))) -}}
{{- end -}}

{{- /* Whether the certificate of the metrics comes from a Secret. */ -}}
{{- define "bindery.metricsCertificate" -}}
{{- with .Values.metrics }}{{ if and .enabled .secure .certificate.secretName }}true{{ end }}{{ end -}}
{{- end -}}

{{- /* The text of a file, which has to be there. Arguments: the root, and the path. */ -}}
{{- define "bindery.text" -}}
{{- with (index . 0).Files.Get (index . 1) | trim }}{{ . }}{{ else }}{{ fail (printf "the chart is incomplete: it has no %s" (index . 1)) }}{{ end -}}
{{- end -}}
