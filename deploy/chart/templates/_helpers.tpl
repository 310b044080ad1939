{{- define "tidewaiter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "tidewaiter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "tidewaiter.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tidewaiter.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "tidewaiter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "tidewaiter.selector" . }}
{{- end }}

{{- define "tidewaiter.selector" -}}
app.kubernetes.io/name: {{ include "tidewaiter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tidewaiter.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "tidewaiter.secret" -}}
{{- if .Values.secrets.existingSecret -}}
{{ .Values.secrets.existingSecret }}
{{- else if .Values.secrets.values -}}
{{ include "tidewaiter.fullname" . }}
{{- else -}}
{{ fail "say where the settings that are secret are: secrets.existingSecret, with at least TIDEWAITER__QUEUE__URL and TIDEWAITER__STORE__URL" }}
{{- end }}
{{- end }}

{{- define "tidewaiter.tlsSecret" -}}
{{- if eq .Values.tls.source "existingSecret" -}}
{{ required "tls.existingSecret is missing: a Secret of the type kubernetes.io/tls" .Values.tls.existingSecret }}
{{- else -}}
{{ include "tidewaiter.fullname" . }}-tls
{{- end }}
{{- end }}

{{- define "tidewaiter.dnsNames" -}}
{{- $name := include "tidewaiter.fullname" . -}}
{{- list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) | toJson }}
{{- end }}

{{- define "tidewaiter.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "tidewaiter.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- /* By which way requests of both roles leave. */ -}}
{{- define "tidewaiter.egress" -}}
{{- if .Values.egress.proxy }}
- { name: TIDEWAITER__EGRESS__PROXY, value: {{ .Values.egress.proxy | quote }} }
{{- with .Values.egress.noProxy }}
- { name: TIDEWAITER__EGRESS__NO_PROXY, value: {{ join "," . | quote }} }
{{- end }}
{{- else if .Values.egress.noProxy }}
{{- fail "egress.noProxy says what does not go through a proxy, and there is none: set egress.proxy" }}
{{- end }}
{{- end }}

{{- /* What pods of both roles have in common: changed settings that are read at the start restart them. */ -}}
{{- define "tidewaiter.podAnnotations" -}}
checksum/config: {{ .Values.config | sha256sum }}
{{- if and .Values.secrets.values (not .Values.secrets.existingSecret) }}
checksum/secrets: {{ toJson .Values.secrets.values | sha256sum }}
{{- end }}
{{- end }}
