{{- define "gvList" -}}
<!-- Written by `make generate` from the comments in api/v1alpha1. Do not edit. -->
# API reference
{{ range . }}{{ template "gvDetails" . }}{{ end }}
{{- end -}}
