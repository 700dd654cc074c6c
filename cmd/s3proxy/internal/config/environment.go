package config

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/kms/vault"
)

// envPrefix begins the environment's spelling of every setting.
const envPrefix = "S3PROXY_"

// EnvAccessKey and EnvSecretKey name the variables of a client's key. There are no flags or
// names in the file for it: a secret has no place on a command line, and the file is often
// world-readable.
const (
	EnvAccessKey = envPrefix + "ACCESS_KEY_ID"
	EnvSecretKey = envPrefix + "SECRET_ACCESS_KEY"
)

// environment gives this command's settings in the environment, and the configuration file
// that the environment names.
func environment(flags *pflag.FlagSet) (map[string]any, string) {
	values := map[string]any{}
	flags.VisitAll(func(f *pflag.Flag) {
		v, ok := os.LookupEnv(envName(f.Name))
		if !ok || f.Name == "config" {
			return
		}
		if f.Value.Type() == "stringSlice" {
			values[f.Name] = strings.Split(v, ",")
			return
		}
		values[f.Name] = v
	})
	return values, os.Getenv(envName("config"))
}

func envName(setting string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// checkEnvironment refuses unknown variables with our prefix: a misspelt setting must not
// silently have no effect.
func checkEnvironment() error {
	allowed := append([]string{EnvAccessKey, EnvSecretKey, localfile.EnvPassphrase, localfile.EnvPassphraseFile}, vault.Variables...)
	for _, name := range settingNames() {
		allowed = append(allowed, envName(name))
	}
	for i, name := range allowed {
		allowed[i] = strings.TrimPrefix(name, envPrefix)
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		setting, ours := strings.CutPrefix(name, envPrefix)
		if _, _, ofClient := clientVariable(setting); !ours || ofClient || slices.Contains(allowed, setting) || isServiceLink(name) {
			continue
		}
		if strings.HasPrefix(setting, envClient) {
			return Usagef("the environment variable %s is not a setting of s3proxy: %s", name, ofClients)
		}
		return Usagef("the environment variable %s is not a setting of s3proxy%s", name, DidYouMean(envPrefix, setting, allowed))
	}
	_, err := readEnvironment()
	return err
}

// isServiceLink tells whether a variable is one that the kubelet sets for a Service whose name
// begins with s3proxy: S3PROXY_SERVICE_HOST, S3PROXY_PORT, S3PROXY_PORT_8080_TCP_ADDR and so on.
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
func isServiceLink(name string) bool {
	return strings.Contains(name, "_SERVICE_") || strings.HasSuffix(name, "_PORT") || strings.Contains(name, "_PORT_")
}

// settingNames are the settings of all commands: one environment and one file
// serve them all.
func settingNames() []string {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	ServeFlags(all)
	return namesOf(all)
}

// namesOf are the names of flags.
func namesOf(flags *pflag.FlagSet) (names []string) {
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}
