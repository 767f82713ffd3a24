{{- define "apps-gateway.labels" -}}
{{ include "apps-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "apps-gateway.selector" -}}
app.kubernetes.io/name: apps-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
