{{- define "binder.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Labels of the service's own pod. */}}
{{- define "binder.service.match" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
component: binder-service
{{- end }}

{{- define "binder.builds.namespace" -}}{{ .Values.builder.namespace | default .Release.Namespace }}{{- end }}

{{- /* The labels that the service gives the pods that it builds in. */}}
{{- define "binder.builds.match" -}}
component: binderhub-build
binder.instance: {{ .Release.Name }}
{{- end }}

{{- define "binder.hub.service-account" -}}
{{- $account := .Values.jupyterhub.hub.serviceAccount | default dict -}}
{{- $account.name | default (ternary (include "jupyterhub.hub.fullname" .) "default" $account.create) -}}
{{- end }}

{{- define "binder.service.service-account" -}}
{{- .Values.service.serviceAccount.name | default (ternary "binder-service" "default" .Values.service.serviceAccount.create) -}}
{{- end }}

{{- /* Where the service's API token comes from: the values, what is there already, or chance. */}}
{{- define "binder.service.token" -}}
{{- $there := lookup "v1" "Secret" .Release.Namespace "binder-config" -}}
{{- if .Values.service.apiToken -}}
{{- .Values.service.apiToken -}}
{{- else if and $there $there.data (index $there.data "service-token") -}}
{{- index $there.data "service-token" | b64dec -}}
{{- else -}}
{{- randAlphaNum 64 -}}
{{- end -}}
{{- end }}

{{- /* The Secrets with logins of the registry and with the database's URL; empty if there is none. */}}
{{- define "binder.registry.secret" -}}
{{- .Values.registry.existingSecret | default (ternary "binder-registry" "" (ne .Values.registry.username "")) -}}
{{- end }}
{{- define "binder.database.secret" -}}
{{- .Values.database.existingSecret | default (ternary "binder-database" "" (ne .Values.database.url "")) -}}
{{- end }}

{{- /* The registry's address as Docker's configuration names it. */}}
{{- define "binder.registry.address" -}}
{{- $host := .Values.registry.prefix | splitList "/" | first -}}
{{- if or (eq $host "docker.io") (eq $host "index.docker.io") -}}https://index.docker.io/v1/{{- else -}}{{ $host }}{{- end -}}
{{- end }}

{{- define "binder.base-url" -}}{{ .Values.jupyterhub.hub.baseUrl | default "/" | trimSuffix "/" }}/{{- end }}

{{- /* What spawner/kubernetes/chart.py reads; no secret but those in `config` and `gitCredentials`. */}}
{{- define "binder.values" -}}
{{- $values := pick .Values "config" "builder" "urlGuard" "public" -}}
{{- $_ := set $values "release" .Release.Name -}}
{{- $_ := set $values "namespace" .Release.Namespace -}}
{{- $_ := set $values "buildNamespace" (include "binder.builds.namespace" .) -}}
{{- $_ := set $values "baseUrl" (include "binder.base-url" .) -}}
{{- $_ := set $values "registry" (pick .Values.registry "prefix" "imagePrefix" "plainHttp") -}}
{{- $_ := set $values "pullSecret" (include "binder.registry.secret" .) -}}
{{- $_ := set $values "own" .Values.service.own -}}
{{- toJson $values -}}
{{- end }}

{{- /* Refuses what would come up and not work. */}}
{{- define "binder.check" -}}
{{- if not .Values.jupyterhub.enabled -}}
{{- fail "jupyterhub.enabled must be true: this chart is a JupyterHub." -}}
{{- end -}}
{{- if and .Values.registry.existingSecret .Values.registry.username -}}
{{- fail "Set registry.username and registry.password, or registry.existingSecret, not both." -}}
{{- end -}}
{{- if and .Values.registry.username (not .Values.registry.prefix) -}}
{{- fail "registry.username needs registry.prefix, which says whose login it is." -}}
{{- end -}}
{{- if and .Values.database.existingSecret .Values.database.url -}}
{{- fail "Set database.url or database.existingSecret, not both." -}}
{{- end -}}
{{- if not .Values.service.own -}}
{{- $mounted := toJson .Values.jupyterhub.hub.extraVolumes -}}
{{- range $key, $name := dict "registry.existingSecret" .Values.registry.existingSecret "database.existingSecret" .Values.database.existingSecret -}}
{{- if and $name (not (contains (quote $name) $mounted)) -}}
{{- fail (printf "%s: the hub's pod mounts no Secret %s; call it binder-%s, or name it in jupyterhub.hub.extraVolumes." $key $name ($key | splitList "." | first)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
