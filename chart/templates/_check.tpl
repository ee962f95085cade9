{{- /* Returns which of `.names` has most pairs of letters in common with `.name`, whatever their case; empty if it is not half of them. */}}
{{- define "binder.nearest" -}}
{{- $name := lower .name -}}
{{- $pairs := int (max 1 (sub (len $name) 1)) -}}
{{- $best := "" -}}
{{- $most := div $pairs 2 -}}
{{- range $candidate := .names -}}
{{- $common := 0 -}}
{{- range $i := until $pairs -}}
{{- if contains (substr $i (int (add $i 2)) $name) (lower $candidate) -}}{{- $common = add $common 1 -}}{{- end -}}
{{- end -}}
{{- $longer := int (sub (len $candidate) (len $name)) -}}
{{- $common = sub $common (div (ternary $longer (mul -1 $longer) (gt $longer 0)) 4) -}}
{{- if gt $common $most -}}{{- $most = $common -}}{{- $best = $candidate -}}{{- end -}}
{{- end -}}
{{- with $best }} Did you mean {{ . }}?{{ end -}}
{{- end }}

{{- /* Refuses names in `config` that are no settings; their types are checked by the schema. */}}
{{- define "binder.check.config" -}}
{{- $known := .Files.Get "files/settings.json" | fromJson -}}
{{- range $class, $settings := .Values.config -}}
{{- if not (hasKey $known $class) -}}
{{- $hint := include "binder.nearest" (dict "name" $class "names" (keys $known | sortAlpha)) -}}
{{- if has $class (list "BinderHub" "BuildExecutor" "KubernetesBuildExecutor" "KubernetesCleaner" "DockerRegistry" "Launcher") -}}
{{- $hint = " It is BinderHub's: docs/binderhub.md says what takes its place." -}}
{{- else if or (regexMatch "(Authenticator|Spawner)$" $class) (has $class (list "JupyterHub" "ConfigurableHTTPProxy")) -}}
{{- $hint = printf " It is the hub's: set jupyterhub.hub.config.%s." $class -}}
{{- end -}}
{{- fail (printf "config: there is no class %s with settings.%s" $class $hint) -}}
{{- end -}}
{{- $names := index $known $class -}}
{{- range $setting, $_ := $settings -}}
{{- if and $names (not (has $setting $names)) -}}
{{- fail (printf "config: %s has no setting %s.%s" $class $setting (include "binder.nearest" (dict "name" $setting "names" $names))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "binder.check.registry" -}}
{{- $registry := .Values.registry -}}
{{- $own := $registry.inCluster -}}
{{- $prefix := include "binder.registry.prefix" . -}}
{{- if not $prefix -}}
{{- fail "registry.prefix is not set: name where images are pushed to, e.g. ghcr.io/example; or set registry.inCluster.enabled." -}}
{{- end -}}
{{- $host := splitList "/" $prefix | first -}}
{{- if not (or (contains "." $host) (contains ":" $host)) -}}
{{- fail (printf "registry.prefix has to begin with the registry's host: %s is none. For Docker Hub write docker.io/%s." $host $registry.prefix) -}}
{{- end -}}
{{- if and (not (contains "/" $prefix)) (regexMatch "^((index[.])?docker[.]io|(ghcr|quay|gcr)[.]io|registry[.]gitlab[.]com|.+[.]pkg[.]dev)$" $host) -}}
{{- fail (printf "registry.prefix names the registry alone, where nobody may push to: write %s/NAME with your account or project." $host) -}}
{{- end -}}
{{- if eq $host "hub.docker.com" -}}
{{- fail "registry.prefix: hub.docker.com has web pages, no images: write docker.io/NAME." -}}
{{- end -}}
{{- if and $own.enabled (gt (len $registry.password) 72) -}}
{{- fail "registry.password is longer than 72 characters, which the registry of registry.inCluster does not take." -}}
{{- end -}}
{{- if and $registry.existingSecret $registry.username -}}
{{- fail "Set registry.username and registry.password, or registry.existingSecret, not both." -}}
{{- end -}}
{{- if and $own.enabled $registry.existingSecret -}}
{{- fail "registry.inCluster has a login of its own: set registry.username and registry.password, or neither, and no registry.existingSecret." -}}
{{- end -}}
{{- if and $own.htpasswd (not $registry.password) -}}
{{- fail "registry.inCluster.htpasswd is of a password: set registry.password to it as well." -}}
{{- end -}}
{{- if and $own.htpasswd (ne (splitList ":" $own.htpasswd | first) ($registry.username | default "binder")) -}}
{{- fail (printf "registry.inCluster.htpasswd is of another user than registry.username, %s." ($registry.username | default "binder")) -}}
{{- end -}}
{{- if and $own.enabled (dig "KubernetesMode" "engine_host" "" .Values.config) -}}
{{- fail "registry.inCluster is for builds in pods: the engine of config.KubernetesMode.engine_host does not reach it by the name that nodes have for it." -}}
{{- end -}}
{{- if and (not $own.enabled) (ne (empty $registry.username) (empty $registry.password)) -}}
{{- fail (printf "registry.%s is set without registry.%s: a login has both." (ternary "password" "username" (empty $registry.username)) (ternary "username" "password" (empty $registry.username))) -}}
{{- end -}}
{{- end }}

{{- /* Settings that the chart makes of other values, with which it makes rights, volumes and policies. */}}
{{- define "binder.check.own" -}}
{{- range $name, $value := dict "KubernetesMode.namespace" "builder.namespace" "KubernetesMode.registry" "registry.prefix" "KubernetesMode.instance" "" "KubernetesMode.owner" "" "BinderService.mode" "" "BinderService.state_dir" "" "BinderService.auth_enabled" "public" -}}
{{- $parts := splitList "." $name -}}
{{- if hasKey (index $.Values.config (first $parts) | default dict) (last $parts) -}}
{{- fail (printf "config: %s is the chart's to set%s." $name (ternary (printf "; set %s" $value) "" (ne $value ""))) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Refuses volumes twice, and mounts of volumes that are not there or where others are: `.key` has the two lists, `.known` and `.taken` ours. */}}
{{- define "binder.check.mounts" -}}
{{- $names := .known -}}
{{- range .of.extraVolumes -}}
{{- if has .name $names -}}
{{- fail (printf "%s.extraVolumes has a volume %s, which is there already: call it otherwise." $.key .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $paths := .taken -}}
{{- range .of.extraVolumeMounts -}}
{{- if or (not (has .name $names)) (has .name $.hidden) -}}
{{- fail (printf "%s.extraVolumeMounts mounts %s, which %s.extraVolumes does not have." $.key .name $.key) -}}
{{- end -}}
{{- if has (trimSuffix "/" .mountPath) $paths -}}
{{- fail (printf "%s.extraVolumeMounts mounts something at %s, where something is mounted already." $.key .mountPath) -}}
{{- end -}}
{{- $paths = append $paths (trimSuffix "/" .mountPath) -}}
{{- end -}}
{{- end }}

{{- define "binder.check.builds" -}}
{{- $volumes := list "work" "image" "storage" "job" "registry" "git" "bases" "ca" -}}
{{- include "binder.check.mounts" (dict "key" "builder" "of" .Values.builder "known" $volumes "hidden" $volumes "taken" list) -}}
{{- include "binder.check.mounts" (dict "key" "service" "of" .Values.service "known" (list "binder" "state" "files") "hidden" list "taken" (list "/etc/binder" "/srv/binder")) -}}
{{- if and .Values.service.state.existingClaim (not .Values.service.state.persistent) -}}
{{- fail "service.state.existingClaim is a volume that lasts: set service.state.persistent to true, or name no claim." -}}
{{- end -}}
{{- if and (not (kindIs "invalid" .Values.service.pdb.minAvailable)) (not (kindIs "invalid" .Values.service.pdb.maxUnavailable)) -}}
{{- fail "Set service.pdb.minAvailable or service.pdb.maxUnavailable, not both: null takes the other one away." -}}
{{- end -}}
{{- if and .Values.builder.createNamespace (has .Values.builder.namespace (list "" .Release.Namespace)) -}}
{{- fail "builder.createNamespace makes a namespace for builds alone: name one in builder.namespace that is not the release's." -}}
{{- end -}}
{{- end }}

{{- define "binder.check.servers" -}}
{{- $servers := .Values.servers -}}
{{- $theirs := .Values.jupyterhub.singleuser -}}
{{- if and $servers.ordinary .Values.public -}}
{{- fail "servers.ordinary is for people who sign in: with public, everybody names a repository." -}}
{{- end -}}
{{- if and $servers.ordinary (eq $theirs.storage.homeMountPath "/home/person") -}}
{{- fail "servers.ordinary needs jupyterhub.singleuser.storage.homeMountPath: /home/jovyan, where ordinary images have their home; servers from repositories have it at /home/person nonetheless." -}}
{{- end -}}
{{- if and $servers.restricted $theirs.cloudMetadata.blockWithIptables -}}
{{- fail "servers.restricted needs jupyterhub.singleuser.cloudMetadata.blockWithIptables: false, which starts a privileged container in every server's pod; the network policy closes that address as well." -}}
{{- end -}}
{{- end }}

{{- /* Refuses what would come up and not work. */}}
{{- define "binder.check" -}}
{{- if not .Values.jupyterhub.enabled -}}
{{- fail "jupyterhub.enabled must be true: this chart is a JupyterHub." -}}
{{- end -}}
{{- include "binder.check.placeholders" (dict "path" list "name" "" "value" .Values) -}}
{{- include "binder.check.config" . -}}
{{- include "binder.check.own" . -}}
{{- include "binder.check.addresses" . -}}
{{- include "binder.check.logins" . -}}
{{- include "binder.check.secrets" . -}}
{{- include "binder.check.registry" . -}}
{{- if and .Values.database.existingSecret .Values.database.url -}}
{{- fail "Set database.url or database.existingSecret, not both." -}}
{{- end -}}
{{- with .Values.builder.caBundle -}}
{{- if and .configMap .secret -}}
{{- fail "Set builder.caBundle.configMap or builder.caBundle.secret, not both." -}}
{{- end -}}
{{- end -}}
{{- if and .Values.service.extraConfig (dig "BinderService" "config_file" "" .Values.config) -}}
{{- fail "Set service.extraConfig or config.BinderService.config_file, not both." -}}
{{- end -}}
{{- include "binder.check.contradictions" . -}}
{{- include "binder.check.builds" . -}}
{{- include "binder.check.servers" . -}}
{{- include "binder.check.amounts" . -}}
{{- include "binder.check.hub" . -}}
{{- include "binder.check.theirs" . -}}
{{- end }}
