{{- /* The specification of the service's own pod. */}}
{{- define "binder.service.pod" -}}
{{- $service := .Values.service }}
{{- $path := printf "%sservices/binder/" (include "binder.base-url" .) }}
{{- $image := ternary $service.image .Values.jupyterhub.hub.image (ne $service.image.name "") }}
serviceAccountName: {{ include "binder.service.service-account" . }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  fsGroup: 1000
  seccompProfile: {type: RuntimeDefault}
{{- with include "binder.pull-secrets" . }}
imagePullSecrets: {{ . }}
{{- end }}
{{- with $service.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with pick $service "nodeSelector" "affinity" }}
{{- toYaml . | nindent 0 }}
{{- end }}
tolerations:
  - {key: hub.jupyter.org/dedicated, operator: Equal, value: core, effect: NoSchedule}
  - {key: hub.jupyter.org_dedicated, operator: Equal, value: core, effect: NoSchedule}
  {{- with $service.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
containers:
  - name: service
    image: {{ $image.name }}:{{ $image.tag }}
    {{- with $image.pullPolicy }}
    imagePullPolicy: {{ . }}
    {{- end }}
    command: [python3, -m, spawner.kubernetes.chart]
    securityContext:
      runAsUser: 1000
      runAsGroup: 1000
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
    resources: {{- toYaml $service.resources | nindent 6 }}
    env:
      - {name: PYTHONUNBUFFERED, value: "1"}
      - {name: DOCKER_CONFIG, value: /etc/binder/registry}
      - name: JUPYTERHUB_API_TOKEN
        valueFrom: {secretKeyRef: {name: binder-config, key: service-token}}
      - {name: JUPYTERHUB_API_URL, value: "http://{{ include "jupyterhub.hub.fullname" . }}:8081{{ include "binder.base-url" . }}hub/api"}
      - {name: JUPYTERHUB_BASE_URL, value: {{ include "binder.base-url" . | quote }}}
      - {name: JUPYTERHUB_CLIENT_ID, value: service-binder}
      - {name: JUPYTERHUB_SERVICE_NAME, value: binder}
      - {name: JUPYTERHUB_SERVICE_PREFIX, value: {{ $path | quote }}}
      - {name: JUPYTERHUB_SERVICE_URL, value: "http://:8585"}  # IPv4 and IPv6
      - {name: JUPYTERHUB_OAUTH_ACCESS_SCOPES, value: '["access:services!service=binder"]'}
      {{- range $name, $value := $service.extraEnv }}
      - name: {{ $name }}
        {{- if kindIs "map" $value }}
        {{- toYaml $value | nindent 8 }}
        {{- else }}
        value: {{ $value | quote }}
        {{- end }}
      {{- end }}
    ports: [{name: http, containerPort: 8585}]
    {{- range $name := tuple "startupProbe" "livenessProbe" "readinessProbe" }}
    {{- $probe := index $service $name }}
    {{- if $probe.enabled }}
    {{ $name }}:
      # `versions` is answered by whatever runs; `metrics` as soon as the settings are right and the database is there.
      httpGet: {path: {{ $path }}{{ ternary "metrics" "versions" (eq $name "readinessProbe") }}, port: http}
      {{- omit $probe "enabled" | toYaml | nindent 6 }}
    {{- end }}
    {{- end }}
    volumeMounts:
      - {name: binder, mountPath: /etc/binder, readOnly: true}
      - {name: state, mountPath: /srv/binder}
      {{- range $key, $file := $service.extraFiles }}
      - {name: files, mountPath: {{ $file.mountPath }}, subPath: {{ $key }}, readOnly: true}
      {{- end }}
      {{- with $service.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: binder
    projected:
      sources:
        - secret: {name: binder-config}
        {{- with include "binder.registry.secret" . }}
        - secret: {name: {{ . }}, items: [{key: .dockerconfigjson, path: registry/config.json}]}
        {{- end }}
        {{- with include "binder.database.secret" . }}
        - secret: {name: {{ . }}, items: [{key: url, path: database/url}]}
        {{- end }}
  - name: state
    {{- if $service.state.persistent }}
    persistentVolumeClaim: {claimName: {{ $service.state.existingClaim | default "binder-state" }}}
    {{- else }}
    emptyDir: {sizeLimit: {{ $service.state.storage }}}
    {{- end }}
  {{- with $service.extraFiles }}
  - name: files
    secret:
      secretName: binder-files
      items:
        {{- range $key, $file := . }}
        - {key: {{ $key }}, path: {{ $key }}{{ with $file.mode }}, mode: {{ . }}{{ end }}}
        {{- end }}
  {{- end }}
  {{- with $service.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
