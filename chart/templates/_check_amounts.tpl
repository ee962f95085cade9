{{- /* Returns an amount as Kubernetes writes it, e.g. 250m or 4Gi, as a number. */}}
{{- define "binder.amount" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+(e[+][0-9]+)?" $text -}}
{{- $units := dict "m" 0.001 "k" 1e3 "K" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- mulf (float64 $number) (get $units (trimPrefix $number $text) | default 1) -}}
{{- end }}

{{- /* Refuses what the cluster would refuse for each pod, e.g. a limit that was lowered below the default request. */}}
{{- define "binder.check.amounts" -}}
{{- range $key, $of := dict "builder" .Values.builder "service" .Values.service "registry.inCluster" .Values.registry.inCluster -}}
{{- $requests := $of.resources.requests | default dict -}}
{{- $limits := $of.resources.limits | default dict -}}
{{- range $name, $limit := $limits -}}
{{- $most := include "binder.amount" $limit | float64 -}}
{{- $least := include "binder.amount" (get $requests $name | default 0) | float64 -}}
{{- if and (gt $least $most) (or (gt $most 0.0) (ne $key "builder")) -}}
{{- fail (printf "%s.resources: the request of %s, %v, is more than its limit, %v." $key $name (get $requests $name) $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $memory := .Values.builder.resources.limits | default dict | dig "memory" "" -}}
{{- if and $memory (lt (include "binder.amount" $memory | float64) 67108864.0) -}}
{{- fail (printf "builder.resources.limits.memory: no build fits in %v; 4Gi is usual." $memory) -}}
{{- end -}}
{{- end }}
