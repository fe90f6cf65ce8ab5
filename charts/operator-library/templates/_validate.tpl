{{- /* Seconds of a duration such as 1h30m or 500ms. */ -}}
{{- define "pgpool-operator.seconds" -}}
{{- $total := 0.0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $total = addf $total (mulf (regexFind "[0-9]+" . | float64) (get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit)) -}}
{{- end -}}
{{- $total -}}
{{- end }}

{{- /* Fails on values that the schema cannot rule out, because they depend on each other. */ -}}
{{- define "pgpool-operator.validate" -}}
{{- $values := .Values -}}
{{- range list "serviceMonitor" "prometheusRule" -}}
{{- if and (get $values.metrics .).enabled (not $values.metrics.expose) -}}
{{- fail (printf "metrics.%s.enabled needs metrics: set metrics.expose to true" .) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := include "pgpool-operator.selectorLabels" . | fromYaml -}}
{{- if hasKey $values.podLabels $key -}}
{{- fail (printf "podLabels must not contain the selector label %s: remove it" $key) -}}
{{- end -}}
{{- end -}}
{{- if not (or $values.serviceAccount.create $values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false: set serviceAccount.name to the ServiceAccount that the operator runs as. It gets the permissions of the operator, so it must be one that no other pod uses" -}}
{{- end -}}
{{- if and (not $values.serviceAccount.create) (eq $values.serviceAccount.name "default") -}}
{{- fail "serviceAccount.name is default, which every pod of the namespace uses unless it names another: choose a ServiceAccount that only the operator uses" -}}
{{- end -}}
{{- $renew := include "pgpool-operator.seconds" $values.lease.renew | float64 -}}
{{- if ge $renew (include "pgpool-operator.seconds" $values.lease.duration | float64) -}}
{{- fail (printf "lease.renew (%s) must be shorter than lease.duration (%s)" $values.lease.renew $values.lease.duration) -}}
{{- end -}}
{{- $before := include "pgpool-operator.seconds" $values.channel.renewBefore | float64 -}}
{{- if ge $before (include "pgpool-operator.seconds" $values.channel.duration | float64) -}}
{{- fail (printf "channel.renewBefore (%s) must be shorter than channel.duration (%s)" $values.channel.renewBefore $values.channel.duration) -}}
{{- end -}}
{{- end }}
