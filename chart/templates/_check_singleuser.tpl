{{- /* Values of servers with which none would start, or all would share one home. */}}
{{- define "binder.check.singleuser" -}}
{{- $servers := .Values.jupyterhub.singleuser -}}
{{- include "binder.check.server-amounts" (dict "path" "jupyterhub.singleuser" "of" (dict "memory.limit" $servers.memory.limit "memory.guarantee" $servers.memory.guarantee "cpu.limit" $servers.cpu.limit "cpu.guarantee" $servers.cpu.guarantee)) -}}
{{- range $number, $profile := $servers.profileList -}}
{{- $own := get $profile "kubespawner_override" | default dict -}}
{{- $path := printf "jupyterhub.singleuser.profileList[%d].kubespawner_override" $number -}}
{{- include "binder.check.server-amounts" (dict "path" $path "of" (dict "mem_limit" $own.mem_limit "mem_guarantee" (hasKey $own "mem_guarantee" | ternary $own.mem_guarantee $servers.memory.guarantee) "cpu_limit" $own.cpu_limit "cpu_guarantee" (hasKey $own "cpu_guarantee" | ternary $own.cpu_guarantee $servers.cpu.guarantee))) -}}
{{- end -}}
{{- if eq (toString $servers.uid) "0" -}}
{{- fail "jupyterhub.singleuser.uid is 0, and Jupyter does not start as root." -}}
{{- end -}}
{{- $storage := $servers.storage -}}
{{- $capacity := toString $storage.capacity -}}
{{- if not (regexMatch "^[0-9.]+(e[+][0-9]+|[kMGTPE]|[KMGTPE]i)?$" $capacity) -}}
{{- fail (printf "jupyterhub.singleuser.storage.capacity: %s is no amount as Kubernetes has them, e.g. 10Gi." $capacity) -}}
{{- end -}}
{{- if not (hasPrefix "/" $storage.homeMountPath) -}}
{{- fail (printf "jupyterhub.singleuser.storage.homeMountPath has to begin with a slash: /%s" $storage.homeMountPath) -}}
{{- end -}}
{{- if and (eq $storage.type "dynamic") (not (contains "{" ($storage.dynamic.pvcNameTemplate | default "{"))) -}}
{{- fail (printf "jupyterhub.singleuser.storage.dynamic.pvcNameTemplate, %s, is one home for all people: it needs {username}." $storage.dynamic.pvcNameTemplate) -}}
{{- end -}}
{{- if and (eq $storage.type "static") (not (dig "static" "pvcName" "" $storage)) -}}
{{- fail "jupyterhub.singleuser.storage.type is static: name the claim in jupyterhub.singleuser.storage.static.pvcName." -}}
{{- end -}}
{{- end }}

{{- /* `.of` has a limit and a guarantee of memory and of processors, by their names below `.path`; those that are not set are null or empty. */}}
{{- define "binder.check.server-amounts" -}}
{{- range $name, $amount := .of -}}
{{- if and (hasPrefix "mem" $name) $amount (kindIs "string" $amount) (not (regexMatch "^[0-9]+([.][0-9]+)?[KMGT]?$" $amount)) -}}
{{- fail (printf "%s.%s: %s is no amount as the hub has them, e.g. 512M or 2G." $.path $name $amount) -}}
{{- end -}}
{{- $guarantee := replace "limit" "guarantee" $name -}}
{{- $least := get $.of $guarantee -}}
{{- if and $amount $least (ne $name $guarantee) (gt (include "binder.amount" $least | float64) (include "binder.amount" $amount | float64)) -}}
{{- fail (printf "%s.%s, %v, is more than its limit, %v: no server would start." $.path $guarantee $least $amount) -}}
{{- end -}}
{{- end -}}
{{- end }}
