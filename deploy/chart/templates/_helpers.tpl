{{- define "gateway.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gateway.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 39 | trimSuffix "-" }}
{{- else if contains (include "gateway.name" .) .Release.Name }}
{{- .Release.Name | trunc 39 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "gateway.name" .) | trunc 39 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "gateway.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "gateway.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "gateway.image" -}}
{{- $repository := required "image.repository: where the image of deploy/Dockerfile was pushed to" .Values.image.repository -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "gateway.config" -}}
{{- $_ := required "config.upstream: the URL of the store" .Values.config.upstream -}}
{{- $_ := required "config.kms: the URI of the key" .Values.config.kms -}}
{{- range list "listen" "plaintext-listen" "admin-listen" "metrics-listen" "tls-cert" "tls-key" "tls-client-ca" "tls-client-auth" }}
{{- if hasKey $.Values.config . }}{{ fail (printf "config.%s is the chart's: see service and tls" .) }}{{ end }}
{{- end }}
{{- toYaml .Values.config }}
{{- end }}

{{- /* What the proxy's pods and those of jobs have in common. */ -}}
{{- define "gateway.pod" -}}
serviceAccountName: {{ include "gateway.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: config
    configMap: {name: {{ include "gateway.fullname" . }}}
  - name: tmp
    emptyDir: {sizeLimit: {{ .Values.temporaryFiles }}}
  {{- range $i, $secret := .Values.fileSecrets }}
  - name: secret-{{ $i }}
    secret: {secretName: {{ $secret.name }}, defaultMode: 0440}
  {{- end }}
  {{- if .Values.vault.address }}
  - name: vault-token
    projected:
      defaultMode: 0440
      sources:
        - serviceAccountToken: {path: token, audience: {{ .Values.vault.audience }}, expirationSeconds: 3600}
  {{- with .Values.vault.caSecret }}
  - name: vault-ca
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
  {{- end }}
{{- end }}

{{- define "gateway.container" -}}
image: {{ include "gateway.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .Values.environmentSecrets }}
envFrom:
  {{- range . }}
  - secretRef: {name: {{ . }}}
  {{- end }}
{{- end }}
env:
  - {name: S3PROXY_CONFIG, value: /etc/s3proxy/config/config.yaml}
  {{- with .Values.vault }}
  {{- if .address }}
  - {name: VAULT_ADDR, value: {{ .address | quote }}}
  - {name: S3PROXY_VAULT_KUBERNETES_ROLE, value: {{ required "vault.role: the role of Vault's Kubernetes auth method" .role | quote }}}
  - {name: S3PROXY_VAULT_KUBERNETES_TOKEN_FILE, value: /etc/s3proxy/vault-token/token}
  - {name: S3PROXY_VAULT_AUTH_MOUNT, value: {{ .authMount | quote }}}
  {{- with .namespace }}
  - {name: VAULT_NAMESPACE, value: {{ . | quote }}}
  {{- end }}
  {{- if .caSecret }}
  - {name: VAULT_CACERT, value: /etc/s3proxy/vault-ca/ca.crt}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - {name: config, mountPath: /etc/s3proxy/config, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- range $i, $secret := .Values.fileSecrets }}
  - {name: secret-{{ $i }}, mountPath: {{ $secret.path }}, readOnly: true}
  {{- end }}
  {{- if .Values.vault.address }}
  - {name: vault-token, mountPath: /etc/s3proxy/vault-token, readOnly: true}
  {{- if .Values.vault.caSecret }}
  - {name: vault-ca, mountPath: /etc/s3proxy/vault-ca, readOnly: true}
  {{- end }}
  {{- end }}
{{- end }}

{{- /* The certificate is for the proxy alone: jobs have no listener. */ -}}
{{- define "gateway.tlsVolumes" -}}
{{- with .Values.tls }}
{{- if .secretName -}}
- name: tls
  secret: {secretName: {{ .secretName }}, defaultMode: 0440}
{{- if .clientCASecretName }}
- name: tls-clients
  secret: {secretName: {{ .clientCASecretName }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- else if .clientCASecretName }}
{{- fail "tls.clientCASecretName needs tls.secretName: clients show certificates in TLS only" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gateway.tlsMounts" -}}
{{- with .Values.tls }}
{{- if .secretName -}}
- {name: tls, mountPath: /etc/s3proxy/tls, readOnly: true}
{{- if .clientCASecretName }}
- {name: tls-clients, mountPath: /etc/s3proxy/tls-clients, readOnly: true}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gateway.port" -}}
{{- .Values.service.port | default (ternary 443 80 (ne .Values.tls.secretName "")) }}
{{- end }}
