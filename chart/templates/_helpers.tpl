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

{{- /* Labels of the pods that lie on the nodes which images are pulled to ahead. */}}
{{- define "binder.nodes.match" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
component: binder-nodes
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
{{- .Values.registry.existingSecret | default (ternary "binder-registry" "" (or .Values.registry.inCluster.enabled (ne .Values.registry.username ""))) -}}
{{- end }}
{{- define "binder.database.secret" -}}
{{- .Values.database.existingSecret | default (ternary "binder-database" "" (ne .Values.database.url "")) -}}
{{- end }}

{{- /* What comes before every image's name, as nodes reach the registry; and where pods reach it, if that is elsewhere. */}}
{{- define "binder.registry.prefix" -}}
{{- $own := .Values.registry.inCluster -}}
{{- .Values.registry.prefix | default (ternary (printf "127.0.0.1:%v/binder" $own.nodePort) "" $own.enabled) -}}
{{- end }}
{{- define "binder.registry.endpoint" -}}
{{- if .Values.registry.inCluster.enabled -}}http://binder-image-registry.{{ .Release.Namespace }}.svc:5000{{- end -}}
{{- end }}

{{- /* Labels of the registry's pod that the chart brings. */}}
{{- define "binder.registry.match" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
component: binder-image-registry
{{- end }}

{{- /* The registry's address as Docker's configuration names it. */}}
{{- define "binder.registry.address" -}}
{{- $host := include "binder.registry.prefix" . | splitList "/" | first -}}
{{- if or (eq $host "docker.io") (eq $host "index.docker.io") -}}https://index.docker.io/v1/{{- else -}}{{ $host }}{{- end -}}
{{- end }}

{{- define "binder.base-url" -}}{{ .Values.jupyterhub.hub.baseUrl | default "/" | trimSuffix "/" }}/{{- end }}

{{- /* What spawner/kubernetes/chart.py reads; no secret but those in `config` and `gitCredentials`. */}}
{{- define "binder.values" -}}
{{- $values := pick .Values "config" "builder" "urlGuard" "public" "servers" -}}
{{- $_ := set $values "release" .Release.Name -}}
{{- $_ := set $values "namespace" .Release.Namespace -}}
{{- $_ := set $values "buildNamespace" (include "binder.builds.namespace" .) -}}
{{- $_ := set $values "baseUrl" (include "binder.base-url" .) -}}
{{- $registry := dict "prefix" (include "binder.registry.prefix" .) "endpoint" (include "binder.registry.endpoint" .) -}}
{{- $_ := set $values "registry" (merge $registry (pick .Values.registry "imagePrefix" "plainHttp")) -}}
{{- $_ := set $values "pullSecret" (include "binder.registry.secret" .) -}}
{{- $_ := set $values "own" .Values.service.own -}}
{{- $_ := set $values "volume" (pick .Values.service.state "storage" "persistent") -}}
{{- $_ := set $values "hasExtraConfig" (not (empty .Values.service.extraConfig)) -}}
{{- toJson $values -}}
{{- end }}

{{- /* What the hub's process reads of the chart's own values: all, where the service runs in its pod. */}}
{{- define "binder.hub.read" -}}
{{- $values := include "binder.values" . | fromJson -}}
{{- if .Values.service.own -}}
{{- toJson (omit $values "config" "builder" "urlGuard" "volume" "hasExtraConfig") -}}{{- .Values.service.apiToken -}}
{{- else -}}
{{- toJson $values -}}{{- toJson .Values.service.extraConfig -}}{{- .Values.service.apiToken -}}{{- .Values.database.url -}}
{{- end -}}
{{- end }}

{{- /* What the hub's image is pulled with, in all forms in which zero-to-jupyterhub takes it; a list as JSON, empty if there is none. */}}
{{- define "binder.pull-secrets" -}}
{{- $hub := .Values.jupyterhub -}}
{{- $names := list -}}
{{- if ($hub.imagePullSecret | default dict).create -}}{{- $names = append $names (dict "name" (printf "%simage-pull-secret" (include "jupyterhub.fullname.dash" .))) -}}{{- end -}}
{{- range concat ($hub.imagePullSecrets | default list) ($hub.hub.image.pullSecrets | default list) -}}
{{- $names = append $names (ternary . (dict "name" .) (kindIs "map" .)) -}}
{{- end -}}
{{- with $names }}{{ toJson . }}{{ end -}}
{{- end }}
