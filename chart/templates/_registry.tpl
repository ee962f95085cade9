{{- /* The specification of the pod of the registry that the chart brings. */}}
{{- define "binder.registry.pod" -}}
{{- $own := .Values.registry.inCluster }}
{{- $container := include "binder.registry.container" . | fromYaml }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: {type: RuntimeDefault}
{{- with include "binder.pull-secrets" . }}
imagePullSecrets: {{ . }}
{{- end }}
{{- with $own.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
tolerations:
  - {key: hub.jupyter.org/dedicated, operator: Equal, value: core, effect: NoSchedule}
  - {key: hub.jupyter.org_dedicated, operator: Equal, value: core, effect: NoSchedule}
  {{- with $own.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
initContainers:
  # Deleting an image leaves its layers. They go here; a registry that cannot be cleaned up serves nonetheless.
  - name: remove-unused-layers
    {{- toYaml $container | nindent 4 }}
    command: [sh, -c]
    args: ["[ ! -d /var/lib/registry/docker/registry/v2/repositories ] || registry garbage-collect /etc/binder-registry/config.yml || echo nothing was removed"]
containers:
  - name: registry
    {{- toYaml $container | nindent 4 }}
    command: [registry, serve, /etc/binder-registry/config.yml]
    env:
      - name: REGISTRY_HTTP_SECRET
        valueFrom: {secretKeyRef: {name: binder-registry, key: password}}
    ports: [{name: http, containerPort: 5000}]
    readinessProbe:
      httpGet: {path: /, port: http}
      periodSeconds: 2
    livenessProbe:
      httpGet: {path: /, port: http}
      periodSeconds: 20
      timeoutSeconds: 10
      failureThreshold: 9
volumes:
  - name: images
    persistentVolumeClaim: {claimName: {{ $own.existingClaim | default "binder-image-registry" }}}
  - name: settings
    projected:
      sources:
        - configMap: {name: binder-image-registry}
        - secret: {name: binder-registry, items: [{key: htpasswd, path: htpasswd}]}
{{- end }}

{{- /* What the two containers of that pod have in common. */}}
{{- define "binder.registry.container" -}}
{{- $own := .Values.registry.inCluster }}
image: {{ $own.image.name }}:{{ $own.image.tag }}
{{- with $own.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
resources: {{- toYaml $own.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: images, mountPath: /var/lib/registry}
  - {name: settings, mountPath: /etc/binder-registry, readOnly: true}
{{- end }}
