{{- /* Rules for names, and for the outside without what must stay closed. */}}
{{- define "binder.egress" -}}
{{- if .Values.registry.inCluster.enabled -}}
- ports: [{protocol: TCP, port: 5000}]
  to:
    - podSelector: {matchLabels: {{ include "binder.registry.match" . | fromYaml | toJson }}}
      namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Release.Namespace }}}}
{{ end -}}
{{- with .Values.networkPolicy.dns -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
  to: {{- toYaml . | nindent 4 }}
{{ end -}}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: {{- toYaml .Values.networkPolicy.closedRanges | nindent 10 }}
    - ipBlock:
        cidr: ::/0
        except: {{- toYaml .Values.networkPolicy.closedRangesIPv6 | nindent 10 }}
{{- end }}

{{- /* Rules for who reaches the service beside hub and proxy, wherever it runs. */}}
{{- define "binder.service.ingress" -}}
{{- with .Values.monitoring.serviceMonitor -}}
{{- if .enabled -}}
- ports: [{protocol: TCP, port: 8585}]
  from: {{- toYaml .from | nindent 4 }}
{{ end -}}
{{- end -}}
{{- with .Values.networkPolicy.serviceIngress -}}
{{- toYaml . -}}
{{- end -}}
{{- end }}
