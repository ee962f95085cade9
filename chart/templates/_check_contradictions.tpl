{{- /* Refuses values that say two things at once, of which one would be passed over. */}}
{{- define "binder.check.contradictions" -}}
{{- include "binder.check.two-registries" . -}}
{{- include "binder.check.volume" . -}}
{{- $given := .Values.config -}}
{{- range $setting, $value := dict "BinderService.database_url" "database.url" "KubernetesMode.git_credentials" "builder.gitCredentials" -}}
{{- $own := splitList "." $setting -}}
{{- $theirs := splitList "." $value -}}
{{- if and (dig (first $own) (last $own) "" $given) (index $.Values (first $theirs) (last $theirs)) -}}
{{- fail (printf "Set %s or config.%s, not both." $value $setting) -}}
{{- end -}}
{{- end -}}
{{- if and (dig "BinderService" "database_url" "" $given) .Values.database.existingSecret -}}
{{- fail "Set database.existingSecret or config.BinderService.database_url, not both." -}}
{{- end -}}
{{- if and .Values.builder.createNamespace (eq .Values.builder.podSecurity "baseline") (not (dig "KubernetesMode" "seccomp_profile" "" $given)) -}}
{{- fail "builder.podSecurity: baseline admits no build without a seccomp profile of the nodes' own: name it in config.KubernetesMode.seccomp_profile, or set privileged." -}}
{{- end -}}
{{- range $name, $_ := .Values.service.extraEnv -}}
{{- if hasPrefix "JUPYTERHUB_" $name -}}
{{- fail (printf "service.extraEnv.%s is the chart's to set." $name) -}}
{{- end -}}
{{- end -}}
{{- if hasKey (.Values.jupyterhub.hub.services | default dict) "binder" -}}
{{- fail "jupyterhub.hub.services.binder is the chart's own service: call yours otherwise." -}}
{{- end -}}
{{- range $name, $file := .Values.service.extraFiles -}}
{{- if or (hasPrefix "/etc/binder/" $file.mountPath) (has $file.mountPath (list "/etc/binder" "/srv/binder")) -}}
{{- fail (printf "service.extraFiles.%s.mountPath: %s is where the chart has something; choose another path." $name $file.mountPath) -}}
{{- end -}}
{{- end -}}
{{- $seen := dict -}}
{{- range .Values.builder.baseImageLogins -}}
{{- if hasKey $seen .registry -}}
{{- fail (printf "builder.baseImageLogins has two logins of %s." .registry) -}}
{{- end -}}
{{- $_ := set $seen .registry true -}}
{{- end -}}
{{- end }}

{{- define "binder.check.two-registries" -}}
{{- $registry := .Values.registry -}}
{{- $own := $registry.inCluster -}}
{{- $host := splitList "/" $registry.prefix | first -}}
{{- $public := regexMatch "^((index[.])?docker[.]io|(ghcr|quay|gcr|.+[.]gcr)[.]io|registry[.]gitlab[.]com|.+[.](pkg[.]dev|amazonaws[.]com|azurecr[.]io))$" $host -}}
{{- if and $own.enabled $public -}}
{{- fail (printf "registry.prefix names %s and registry.inCluster.enabled another registry: set one of them." $host) -}}
{{- end -}}
{{- if and (regexMatch "^(localhost|127[.].*)(:[0-9]+)?$" $host) (not $own.enabled) (not (dig "KubernetesMode" "registry_endpoint" "" .Values.config)) -}}
{{- fail (printf "registry.prefix: %s is another machine for each pod and node; name the registry as all of them reach it." $host) -}}
{{- end -}}
{{- if and $registry.plainHttp $public -}}
{{- fail (printf "registry.plainHttp is for a registry without TLS, and %s has TLS." $host) -}}
{{- end -}}
{{- range $name := tuple "htpasswd" "existingClaim" -}}
{{- if and (index $own $name) (not $own.enabled) -}}
{{- fail (printf "registry.inCluster.%s is set, and registry.inCluster.enabled is false." $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* The volume of the service, and how much of it its settings take. */}}
{{- define "binder.check.volume" -}}
{{- $state := .Values.service.state -}}
{{- if and (not .Values.service.own) (not $state.persistent) (contains "\"claimName\":\"binder-state\"" (toJson .Values.jupyterhub.hub.extraVolumes)) -}}
{{- fail "service.state.persistent is false, and jupyterhub.hub.extraVolumes names the claim binder-state, which there is not then: put an emptyDir in its place." -}}
{{- end -}}
{{- range $setting := tuple "Limits.free_bytes" "Cleaning.log_bytes" -}}
{{- $parts := splitList "." $setting -}}
{{- $bytes := dig (first $parts) (last $parts) 0 $.Values.config | default 0 | float64 -}}
{{- if and $state.persistent (ge $bytes (include "binder.amount" $state.storage | float64)) -}}
{{- fail (printf "config.%s is more than the service's volume has, %s: service.state.storage." $setting $state.storage) -}}
{{- end -}}
{{- end -}}
{{- end }}
