{{- /* Says "true" of a text that only stands for a login: `.name` is the value's own name, `.text` the value. */}}
{{- define "binder.is-placeholder" -}}
{{- $word := "^(<[A-Za-z][A-Za-z0-9 _.-]*>|[$][{(]+[A-Za-z0-9_. ]*[)}]+|PASSWORD|TOKEN|SECRET|KEY|ID|USER|USERNAME|(?i:(change|replace|fill)[-_ ]?(me|this|it|in)[^a-z]*|to[-_ ]?do|fixme|placeholder|x{3,}|[*]{3,}|your[-_ ].+))$" -}}
{{- $parts := ternary (list .text) list (regexMatch "(?i)(password|secret|token|username|client_?id|api_?key)$" .name) -}}
{{- range regexFindAll "://[^/@\\s]*:[^/@\\s]+@" .text -1 -}}
{{- $parts = append $parts (regexReplaceAll "^://[^:]*:|@$" . "") -}}
{{- end -}}
{{- range $parts -}}
{{- if regexMatch $word . }}true{{ end -}}
{{- end -}}
{{- end }}

{{- /* Refuses placeholders, wherever they are; what is code or a file is left alone. Those of the examples are told after an install: as they are, they can be looked at. */}}
{{- define "binder.check.placeholders" -}}
{{- if kindIs "map" .value -}}
{{- range $name, $value := omit .value "extraConfig" "extraFiles" "templateVars" -}}
{{- include "binder.check.placeholders" (dict "path" (append $.path $name) "name" $name "value" $value) -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $number, $value := .value -}}
{{- include "binder.check.placeholders" (dict "path" (append $.path (toString $number)) "name" $.name "value" $value) -}}
{{- end -}}
{{- else if kindIs "string" .value -}}
{{- if include "binder.is-placeholder" (dict "name" .name "text" .value) -}}
{{- fail (printf "%s is a placeholder: write what it stands for." (join "." .path)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Refuses addresses with a login, which pages, links and logs would show. */}}
{{- define "binder.check.addresses" -}}
{{- range $class, $settings := .Values.config -}}
{{- range $name, $value := omit $settings "database_url" "git_credentials" "environment" -}}
{{- if regexMatch "://[^/?#@\"\\\\\\s]+@" (toJson $value) -}}
{{- fail (printf "config: %s.%s has a login in an address, which pages and logs would show. Logins of Git servers are builder.gitCredentials, those of registries registry.username and builder.baseImageLogins." $class $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Refuses logins that are none. The schema does not look at them, as helm would print what it refuses. */}}
{{- define "binder.check.logins" -}}
{{- $registry := .Values.registry.inCluster -}}
{{- if not (regexMatch "^([^:\\s]+:[$]2[aby][$][0-9]{2}[$][./A-Za-z0-9]{53})?$" $registry.htpasswd) -}}
{{- fail "registry.inCluster.htpasswd is no line as `htpasswd -nbB USER PASSWORD` prints it." -}}
{{- end -}}
{{- if not (regexMatch "^(https?://[^\\s/@]+@[^\\s]+\\s*)*$" .Values.builder.gitCredentials) -}}
{{- fail "builder.gitCredentials has a line that is no address with a login, e.g. https://USER:TOKEN@git.example.org." -}}
{{- end -}}
{{- if not (regexMatch "^(postgresql([+]psycopg[2c]?)?://.+)?$" .Values.database.url) -}}
{{- fail "database.url is no address of PostgreSQL, e.g. postgresql+psycopg://USER:PASSWORD@HOST/binder." -}}
{{- end -}}
{{- end }}

{{- /* Refuses secrets that the hub does not take, or that can be guessed. */}}
{{- define "binder.check.secrets" -}}
{{- $hub := .Values.jupyterhub.hub -}}
{{- $tokens := dict "service.apiToken" .Values.service.apiToken -}}
{{- range $name, $service := $hub.services -}}
{{- $_ := set $tokens (printf "jupyterhub.hub.services.%s.apiToken" $name) ($service.apiToken | default "") -}}
{{- end -}}
{{- range $path, $value := $tokens -}}
{{- $token := toString $value -}}
{{- if and $token (lt (len $token) 8) -}}
{{- fail (printf "%s has %d characters, and the hub takes no token with less than 8: `openssl rand -hex 32` prints a good one." $path (len $token)) -}}
{{- end -}}
{{- if regexMatch "[^!-~]" $token -}}
{{- fail (printf "%s has a space or a letter beyond ASCII, which no token has." $path) -}}
{{- end -}}
{{- end -}}
{{- $hex := dict "jupyterhub.hub.cookieSecret" $hub.cookieSecret "jupyterhub.hub.config.JupyterHub.cookie_secret" (dig "JupyterHub" "cookie_secret" "" ($hub.config | default dict)) -}}
{{- $_ := set $hex "config.BuildToken.secret" (dig "BuildToken" "secret" "" .Values.config) -}}
{{- range $path, $secret := $hex -}}
{{- if and $secret (not (regexMatch "^([0-9a-fA-F]{2}){32,}$" (toString $secret))) -}}
{{- fail (printf "%s is no secret of 64 hexadecimal digits or more: `openssl rand -hex 32` prints one." $path) -}}
{{- end -}}
{{- end -}}
{{- with .Values.jupyterhub.proxy.secretToken -}}
{{- if lt (toString . | len) 32 -}}
{{- fail (printf "jupyterhub.proxy.secretToken has %d characters: with less than 32 it can be guessed. `openssl rand -hex 32` prints a good one." (toString . | len)) -}}
{{- end -}}
{{- end -}}
{{- $keys := dig "CryptKeeper" "keys" list ($hub.config | default dict) -}}
{{- range $number, $key := kindIs "slice" $keys | ternary $keys (list $keys) -}}
{{- if not (has (len (toString $key)) (list 32 44 64)) -}}
{{- fail (printf "jupyterhub.hub.config.CryptKeeper.keys.%d is no key of 32 bytes: `openssl rand -hex 32` prints one." $number) -}}
{{- end -}}
{{- end -}}
{{- end }}
