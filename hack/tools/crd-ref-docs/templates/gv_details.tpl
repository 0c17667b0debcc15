{{- /* The kinds first, then the types that they are made of. */ -}}
{{- define "gvDetails" }}
## `{{ .GroupVersionString }}`

{{ trim .Doc }}
{{ $gv := . }}
{{- range .SortedKinds }}{{ template "type" $gv.TypeForKind . }}{{ end }}
{{- range .SortedTypes }}{{ if not .GVK }}{{ template "type" . }}{{ end }}{{ end }}
{{- end -}}
