package lab

import (
	"os"
	"strings"
)

// dropped are the settings of the machine that would change what a client or server does:
// AWS_CA_BUNDLE breaks plain-http clients, a proxy setting would apply to the loopback address, and
// the user's own AWS profile must stay out.
var dropped = []string{
	"AWS_", "S3PROXY_", "OTEL_", "MINIO_", "RCLONE_", "RESTIC_",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPLIB2_CA_CERTS",
}

// Env returns the environment for a child process: the machine's, less the dropped settings, plus
// the given "NAME=value" settings.
func Env(set ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !hasAnyPrefix(strings.ToUpper(name), dropped) {
			env = append(env, e)
		}
	}
	env = append(env,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	return append(env, set...)
}

func hasAnyPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
