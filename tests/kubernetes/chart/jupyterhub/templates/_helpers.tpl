{{- /* The names that zero-to-jupyterhub lets a parent chart ask for. */}}
{{- define "jupyterhub.fullname.dash" -}}
{{- $values := ternary .Values (.Values.jupyterhub | default dict) (eq .Chart.Name "jupyterhub") -}}
{{- with $values.fullnameOverride }}{{ . }}-{{ end -}}
{{- end }}
{{- define "jupyterhub.hub.fullname" -}}{{ include "jupyterhub.fullname.dash" . }}hub{{- end }}
{{- define "jupyterhub.proxy.fullname" -}}{{ include "jupyterhub.fullname.dash" . }}proxy{{- end }}
{{- define "jupyterhub.proxy-api.fullname" -}}{{ include "jupyterhub.proxy.fullname" . }}-api{{- end }}
{{- define "jupyterhub.proxy-public.fullname" -}}{{ include "jupyterhub.proxy.fullname" . }}-public{{- end }}
{{- define "jupyterhub.hub-serviceaccount.fullname" -}}
{{- .Values.hub.serviceAccount.name | default (include "jupyterhub.hub.fullname" .) -}}
{{- end }}

{{- define "stand-in.match" -}}
app: {{ .root.Values.nameOverride | default "jupyterhub" }}
release: {{ .root.Release.Name }}
component: {{ .component }}
{{- end }}

{{- define "stand-in.token" -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace (include "jupyterhub.hub.fullname" .) -}}
{{- if .Values.proxy.secretToken -}}
{{- .Values.proxy.secretToken -}}
{{- else if and $secret $secret.data -}}
{{- index $secret.data "hub.config.ConfigurableHTTPProxy.auth_token" | b64dec -}}
{{- else -}}
{{- randAlphaNum 64 -}}
{{- end -}}
{{- end }}
