{{- /* One section: what the type is, where it is used, the rules on all of it, its fields or its values. */ -}}
{{- define "type" -}}
{{- if markdownShouldRenderType . }}
### {{ .Name }}

{{ trim .Doc }}
{{ if and .IsAlias (not .EnumValues) }}
A {{ markdownRenderType .UnderlyingType }}{{ with without .Validation "Required: {}" "Optional: {}" }} ({{ template "cell" (join ", " .) }}){{ end }}.
{{ end }}
{{- if .References }}
Used by: {{ range $i, $t := .SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $t }}{{ end }}.
{{ end }}
{{- with index .Markers "kubebuilder:validation:XValidation" }}
Rules:
{{ range . }}
- {{ .Message }}{{ end }}
{{ end }}
{{- if .Members }}
| Field | Type | Description |
|---|---|---|
{{ if .GVK -}}
| `apiVersion` | string | `{{ .GVK.Group }}/{{ .GVK.Version }}` |
| `kind` | string | `{{ .GVK.Kind }}` |
{{ end -}}
{{ range .Members -}}
| `{{ .Name }}` | {{ markdownRenderType .Type }} | {{ template "field" . }} |
{{ end }}
{{- end }}
{{- if .EnumValues }}{{ template "values" . }}{{ end }}
{{- end }}
{{- end -}}

{{- /* The values of an enumeration: a table if they are explained, a line if not. */ -}}
{{- define "values" -}}
{{- $explained := false -}}
{{- range .EnumValues }}{{ if trim .Doc }}{{ $explained = true }}{{ end }}{{ end -}}
{{- if $explained }}
| Value | Meaning |
|---|---|
{{ range .EnumValues -}}
| `{{ .Name }}` | {{ template "cell" .Doc }} |
{{ end }}
{{- else }}
One of {{ range $i, $v := .EnumValues }}{{ if $i }}, {{ end }}`{{ $v.Name }}`{{ end }}.
{{ end }}
{{- end -}}

{{- /*
The last column: the comment, whether the field is required, its default where the comment does not give it, its limits,
and its own rules. Rules of the field's type stand in the section of that type.
*/ -}}
{{- define "field" -}}
{{- $field := . -}}
{{- if eq .Name "metadata" -}}
The usual metadata of a Kubernetes object.
{{- else -}}
{{ template "cell" .Doc }}
{{- if has "Required: {}" .Validation }} **Required.**{{ end }}
{{- if and .Default (not (contains "Default:" .Doc)) }} Default: `{{ .Default }}`.{{ end }}
{{- $limits := list -}}
{{- range without .Validation "Required: {}" "Optional: {}" -}}
  {{- if not (and $field.Type.EnumValues (hasPrefix "Enum:" .)) }}{{ $limits = append $limits . }}{{ end -}}
{{- end -}}
{{- if $limits }}<br>_{{ template "cell" (join ", " $limits) }}_{{ end }}
{{- $rules := index .Markers "kubebuilder:validation:XValidation" -}}
{{- if not (deepEqual $rules (index .Type.Markers "kubebuilder:validation:XValidation")) -}}
  {{- range $rules }}<br>Rule: {{ template "cell" .Message }}.{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Text that can stand in a table. */ -}}
{{- define "cell" -}}
{{ trim . | replace "|" "\\|" | replace "\n\n" "<br>" | replace "\n" " " }}
{{- end -}}
