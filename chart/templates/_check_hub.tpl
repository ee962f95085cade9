{{- /* Zero-to-jupyterhub's lists replace ours where an operator sets them. */}}
{{- define "binder.check.hub" -}}
{{- $hub := .Values.jupyterhub.hub -}}
{{- $names := list -}}
{{- range $hub.extraVolumes -}}{{- $names = append $names .name -}}{{- end -}}
{{- $mounted := dict -}}
{{- range $hub.extraVolumeMounts -}}{{- $_ := set $mounted (trimSuffix "/" .mountPath) .name -}}{{- end -}}
{{- $volume := index $mounted "/etc/binder" | default "binder" -}}
{{- if not (has $volume $names) -}}
{{- fail "jupyterhub.hub.extraVolumes is a list of your own, which replaces the chart's: add the entry `binder` of chart/values.yaml to it." -}}
{{- end -}}
{{- if not (hasKey $mounted "/etc/binder") -}}
{{- fail "jupyterhub.hub.extraVolumeMounts is a list of your own, which replaces the chart's: add {name: binder, mountPath: /etc/binder, readOnly: true} to it." -}}
{{- end -}}
{{- if not .Values.service.own -}}
{{- if not (has (index $mounted "/srv/binder") $names) -}}
{{- fail "service.own is false, and the hub's pod has no volume for the service: take the two lists of chart/examples/in-hub.yaml, which mount the claim binder-state at /srv/binder." -}}
{{- end -}}
{{- $text := toJson $hub.extraVolumes -}}
{{- range $key, $name := dict "registry.existingSecret" .Values.registry.existingSecret "database.existingSecret" .Values.database.existingSecret "service.state.existingClaim" .Values.service.state.existingClaim -}}
{{- if and $name (not (contains (quote $name) $text)) -}}
{{- fail (printf "%s: the hub's pod mounts nothing called %s; name it in jupyterhub.hub.extraVolumes." $key $name) -}}
{{- end -}}
{{- end -}}
{{- if .Values.service.image.name -}}
{{- fail "service.image is for a Deployment of its own (service.own: true); in the hub's pod it is jupyterhub.hub.image." -}}
{{- end -}}
{{- if and (include "binder.registry.secret" .) (not (and (kindIs "map" $hub.extraEnv) (index $hub.extraEnv "DOCKER_CONFIG"))) -}}
{{- fail "jupyterhub.hub.extraEnv lacks the chart's DOCKER_CONFIG: /etc/binder/registry, where the service finds the registry's login." -}}
{{- end -}}
{{- range $key := tuple "extraEnv" "extraVolumes" "extraVolumeMounts" "extraFiles" "extraPodSpec" -}}
{{- if index $.Values.service $key -}}
{{- fail (printf "service.%s is for a Deployment of its own (service.own: true); in the hub's pod set jupyterhub.hub.%s." $key $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne (empty .Values.service.image.name) (empty .Values.service.image.tag) -}}
{{- fail "service.image needs both name and tag, or neither." -}}
{{- end -}}
{{- if contains "://" ($hub.baseUrl | default "/") -}}
{{- fail (printf "jupyterhub.hub.baseUrl is a path without scheme and host: /, or /%s" (regexReplaceAll "^[^:]+://[^/]*/?" $hub.baseUrl "")) -}}
{{- end -}}
{{- if not (hasPrefix "/" ($hub.baseUrl | default "/")) -}}
{{- fail (printf "jupyterhub.hub.baseUrl has to begin with a slash: /%s" $hub.baseUrl) -}}
{{- end -}}
{{- if not (contains "spawner.kubernetes.chart" (toJson $hub.extraConfig)) -}}
{{- fail "jupyterhub.hub.extraConfig lacks the chart's entry 50-binder, by which the hub knows of the service: see chart/values.yaml." -}}
{{- end -}}
{{- if regexMatch "^[a-z]+://" $hub.image.name -}}
{{- fail "jupyterhub.hub.image.name is a name without scheme, e.g. registry.example.org/binderspawner-hub." -}}
{{- end -}}
{{- if regexMatch "[A-Z]" $hub.image.name -}}
{{- fail (printf "jupyterhub.hub.image.name has capitals, or still its placeholder: %s" $hub.image.name) -}}
{{- end -}}
{{- if hasSuffix "jupyterhub/k8s-hub" $hub.image.name -}}
{{- fail "jupyterhub.hub.image.name is zero-to-jupyterhub's own image, without the spawner of this chart: name the image that chart/images/hub makes, or the published one." -}}
{{- end -}}
{{- if contains ":" (splitList "/" $hub.image.name | last) -}}
{{- fail "jupyterhub.hub.image.name has a tag; that is jupyterhub.hub.image.tag." -}}
{{- end -}}
{{- if not (toString (default "" $hub.image.tag)) -}}
{{- fail "jupyterhub.hub.image.tag is empty: name the tag of your image of the hub." -}}
{{- end -}}
{{- end }}

{{- /* Values of zero-to-jupyterhub that its own schema lets through, and that take the hub down, or let nobody start a server. */}}
{{- define "binder.check.theirs" -}}
{{- $theirs := .Values.jupyterhub -}}
{{- range $class, $settings := $theirs.hub.config -}}
{{- if not (kindIs "map" $settings) -}}
{{- fail (printf "jupyterhub.hub.config.%s is no class with settings: write it below its class, e.g. jupyterhub.hub.config.JupyterHub.%s." $class $class) -}}
{{- end -}}
{{- range $name, $value := $settings -}}
{{- if and (regexMatch "^(allowed|blocked|admin)_(users|groups|organizations|teams|domains|projects)$" $name) (kindIs "string" $value) -}}
{{- fail (printf "jupyterhub.hub.config.%s.%s has to be a list: [%s]." $class $name $value) -}}
{{- end -}}
{{- if and (eq $name "oauth_callback_url") (not (regexMatch "^https?://[^/]+/" (toString $value))) -}}
{{- fail (printf "jupyterhub.hub.config.%s.oauth_callback_url has to be a whole address, e.g. https://hub.example.org%shub/oauth_callback." $class (include "binder.base-url" $)) -}}
{{- end -}}
{{- if and (eq $name "oauth_callback_url") (not (contains (print (include "binder.base-url" $) "hub/") (toString $value))) -}}
{{- fail (printf "jupyterhub.hub.config.%s.oauth_callback_url leads past the hub: its path is %shub/oauth_callback." $class (include "binder.base-url" $)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $authenticator := dig "JupyterHub" "authenticator_class" "dummy" ($theirs.hub.config | default dict) -}}
{{- if and .Values.public (not (has $authenticator (list "dummy" "null"))) -}}
{{- fail (printf "public lets everybody launch without a login, so the authenticator %s would never be asked: set one of the two." $authenticator) -}}
{{- end -}}
{{- range $path, $hosts := dict "ingress.hosts" (dig "ingress" "hosts" list $theirs) "proxy.https.hosts" (dig "proxy" "https" "hosts" list $theirs) -}}
{{- range $host := kindIs "slice" $hosts | ternary $hosts (list $hosts) -}}
{{- if regexMatch "[/:]" (toString $host) -}}
{{- fail (printf "jupyterhub.%s names hosts, without scheme, port and path: %s is none." $path $host) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (has $theirs.hub.db.type (list "postgres" "mysql")) (not $theirs.hub.db.url) (not $theirs.hub.existingSecret) -}}
{{- fail (printf "jupyterhub.hub.db.type is %s without jupyterhub.hub.db.url: the hub does not start." $theirs.hub.db.type) -}}
{{- end -}}
{{- $https := dig "proxy" "https" dict $theirs -}}
{{- if and $https.enabled (eq ($https.type | default "letsencrypt") "letsencrypt") (not $https.hosts) -}}
{{- fail "jupyterhub.proxy.https.enabled has no effect without jupyterhub.proxy.https.hosts: name the host, or set another jupyterhub.proxy.https.type." -}}
{{- end -}}
{{- include "binder.check.singleuser" . -}}
{{- end }}
