package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// clean takes every variable of the machine that means something to s3proxy out of the environment.
func clean(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, value) // so that it comes back
			os.Unsetenv(name)
		}
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
}

func load(t *testing.T, file string, args ...string) (*Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	ServeFlags(flags)
	if file != "" {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(flags)
}

func TestFlagsBeatTheEnvironmentWhichBeatsTheFile(t *testing.T) {
	clean(t)
	t.Setenv("S3PROXY_REGION", "from-env")
	t.Setenv("S3PROXY_KEY_WINDOW", "2m")
	t.Setenv("S3PROXY_KMS_READ", "localfile:///a,localfile:///b")
	t.Setenv("S3PROXY_ALLOW_PLAINTEXT_READS", "true")
	c, err := load(t, "region: from-file\nkey-window: 3m\nlisten: 127.0.0.1:1\nkey-window-objects: 7\ndrain-timeout: 5s\n", "--key-window", "1m")
	if err != nil {
		t.Fatal(err)
	}
	if c.KeyWindow != time.Minute || c.Region != "from-env" || c.Listen != "127.0.0.1:1" || c.KeyWindowObjects != 7 ||
		c.DrainTimeout != 5*time.Second || c.AdminListen != defaultAdminListen || len(c.KMSRead) != 2 || !c.AllowPlaintextReads {
		t.Errorf("loaded: %+v", c)
	}
}

// A Service of this name in the namespace makes the kubelet set them in every pod.
func TestTheVariablesOfAKubernetesServiceAreNoSettings(t *testing.T) {
	clean(t)
	for name, value := range map[string]string{
		"S3PROXY_SERVICE_HOST": "10.0.0.1", "S3PROXY_SERVICE_PORT": "80", "S3PROXY_SERVICE_PORT_HTTP": "80", "S3PROXY_PORT": "tcp://10.0.0.1:80",
		"S3PROXY_PORT_80_TCP": "tcp://10.0.0.1:80", "S3PROXY_PORT_80_TCP_ADDR": "10.0.0.1", "S3PROXY_ADMIN_SERVICE_HOST": "10.0.0.1", "S3PROXY_ADMIN_PORT": "tcp://10.0.0.1:81",
	} {
		t.Setenv(name, value)
	}
	if _, err := load(t, ""); err != nil {
		t.Error(err)
	}
	for _, name := range settingNames() {
		if isServiceLink(envName(name)) {
			t.Errorf("the setting %s looks like a variable of a Service: a misspelt one would be ignored", name)
		}
	}
	t.Setenv("S3PROXY_PORTS", "1")
	if _, err := load(t, ""); err == nil || !strings.Contains(err.Error(), "S3PROXY_PORTS") {
		t.Errorf("S3PROXY_PORTS: %v", err)
	}
}

func TestAMistakeStopsTheStartWithOneLineThatNamesIt(t *testing.T) {
	for _, c := range []struct {
		name, file string
		env        map[string]string
		args       []string
		want       string
	}{
		{"unknown in the file", "regoin: x\n", nil, nil, "regoin"},
		{"nested in the file", "listen:\n  port: 1\n", nil, nil, "listen"},
		{"unknown in the environment", "", map[string]string{"S3PROXY_REGOIN": "x"}, nil, "S3PROXY_REGOIN"},
		{"no YAML", "listen: [", nil, nil, "configuration file"},
		{"listen without a port", "", nil, []string{"--listen", "localhost"}, "listen"},
		{"listen is a port alone", "", nil, []string{"--listen", "8080"}, ":8080"},
		{"metrics-listen without a port", "", nil, []string{"--metrics-listen", "127.0.0.1"}, "metrics-listen"},
		{"upstream is no URL", "", nil, []string{"--upstream", "s3.example.com"}, "upstream"},
		{"upstream with a secret", "", nil, []string{"--upstream", "https://a:b@s3.example.com"}, "upstream"},
		{"itself", "", nil, []string{"--upstream", "http://localhost:8080"}, "call itself"},
		{"a region without an upstream", "", nil, []string{"--upstream-region", "x"}, "upstream-region"},
		{"TLS without an upstream", "", nil, []string{"--upstream-insecure"}, "upstream-insecure is set but upstream is not"},
		{"TLS over http", "", nil, []string{"--upstream", "http://h", "--upstream-ca", "/ca"}, "not https"},
		{"verified and not", "", nil, []string{"--upstream", "https://h", "--upstream-ca", "/ca", "--upstream-insecure"}, "exclude each other"},
		{"a certificate without its key", "", nil, []string{"--upstream", "https://h", "--upstream-cert", "/c"}, "go together"},
		{"the same of a bucket", "buckets:\n  b-1: {upstream: {url: 'https://h', key: /k}}\n", nil, nil, "go together"},
		{"verified and not, of a bucket", "buckets:\n  b-1: {upstream: {url: 'https://h', ca: /k, insecure: true}}\n", nil, nil, "exclude each other"},
		{"a relative path of a bucket", "buckets:\n  b-1: {upstream: {url: 'https://h', ca: k}}\n", nil, nil, "absolute"},
		{"an upstream of AWS's that is none", "", map[string]string{"AWS_ENDPOINT_URL_S3": "store"}, nil, "AWS_ENDPOINT_URL_S3: upstream: "},
		{"no authentication for everybody", "", nil, []string{"--auth", "none", "--listen", "0.0.0.0:8080"}, "--auth-none-anywhere"},
		{"no authentication on all addresses", "", nil, []string{"--auth", "none", "--listen", ":8080"}, "--auth-none-anywhere"},
		{"no authentication by name", "", nil, []string{"--auth", "none", "--listen", "proxy.example.com:8080"}, "--auth-none-anywhere"},
		{"version 2 of nothing", "", nil, []string{"--auth", "none", "--listen", "127.0.0.1:8080", "--auth-v2", "all"}, "auth-v2 has no effect"},
		{"another version", "", nil, []string{"--auth-v2", "on"}, `auth-v2: "on" is not one of presigned, all, off`},
		{"half of it", "", nil, []string{"--auth-none-anywhere"}, "auth is not none"},
		{"clients that would not count", "auth: none\n", nil, []string{"--credentials", "/c"}, "no effect"},
		{"clients of the environment that would not count", "auth: none\n", map[string]string{"S3PROXY_CLIENT_A_ACCESS_KEY_ID": "a", "S3PROXY_CLIENT_A_SECRET_ACCESS_KEY": "b"}, nil, "no effect"},
		{"two judges", "auth: none\nanonymous: store\n", nil, nil, "anonymous"},
		{"no such authentication", "auth: basic\n", nil, nil, "basic"},
		{"one address twice", "", nil, []string{"--admin-listen", defaultListen}, "admin-listen"},
		{"anonymous", "anonymous: maybe\n", nil, nil, "maybe"},
		{"log-level", "", nil, []string{"--log-level", "loud"}, "loud"},
		{"negative", "", nil, []string{"--drain-timeout", "-1s"}, "negative"},
		{"a store that is away for less than nothing", "", nil, []string{"--store-unready-after", "-1s"}, "store-unready-after"},
		{"no connections", "max-connections: 0\n", nil, nil, "max-connections"},
		{"no duration", "key-window: soon\n", nil, nil, "key-window"},
		{"no window with objects", "", nil, []string{"--key-window", "0", "--key-window-objects", "5"}, "key-window"},
		{"one key twice", "", nil, []string{"--kms", "localfile:///a", "--kms-read", "localfile:///a"}, "kms-read"},
		{"unknown of a bucket", "buckets:\n  b-1:\n    etga: md5\n", nil, nil, "etga"},
		{"unknown of an upstream", "buckets:\n  b-1:\n    upstream:\n      token: x\n", nil, nil, "line 4"},
		{"unknown of a credential", "credentials:\n  - access-key: x\n", nil, nil, "access-key "},
		{"a bucket twice", "buckets:\n  b-1: {etag: md5}\n  b-1: {etag: md5}\n", nil, nil, "already defined"},
		{"a pattern", "buckets:\n  \"b-*\": {etag: md5}\n", nil, nil, "patterns"},
		{"nothing behind a name", "credentials:\n  - access-key-id: a\n    secret-access-key-file: /s\n    buckets:\n", nil, nil, "buckets has no value"},
		{"no check of ranges", "buckets:\n  b-1: {range-check: none}\n", nil, nil, "range-check"},
		{"plain with a check of ranges", "buckets:\n  b-1: {encrypt: false, range-check: end}\n", nil, nil, "encrypt is false"},
		{"another sse", "buckets:\n  b-1: {sse: none}\n", nil, nil, "sse"},
		{"plain with sse", "buckets:\n  b-1: {encrypt: false, sse: own}\n", nil, nil, "encrypt is false"},
		{"another sse for all", "", nil, []string{"--sse", "kms"}, "sse"},
		{"no check of ranges at all", "", nil, []string{"--range-check", "none"}, "range-check"},
		{"no kind of ETag", "buckets:\n  b-1: {etag: sha1}\n", nil, nil, "sha1"},
		{"plain with a key", "buckets:\n  b-1: {encrypt: false, kms: 'localfile:///a'}\n", nil, nil, "encrypt is false"},
		{"its own replica", "buckets:\n  b-1: {alias: b-1}\n", nil, nil, "own name"},
		{"half an alias", "", nil, []string{"--bucket-alias", "b-1"}, "replica=origin"},
		{"two origins", "buckets:\n  b-1: {alias: b-2}\n", nil, []string{"--bucket-alias", "b-1=b-3"}, "b-3"},
		{"a key without its secret", "buckets:\n  b-1: {upstream: {url: 'http://h', credentials: {access-key-id: x}}}\n", nil, nil, "go together"},
		{"a profile and a key", "buckets:\n  b-1: {upstream: {url: 'http://h', credentials: {profile: p, access-key-id: x, secret-access-key-file: /s}}}\n", nil, nil, "not both"},
		{"a region of the embedded store", "buckets:\n  b-1: {upstream: {region: x}}\n", nil, nil, "url is missing"},
		{"no URL of a bucket", "buckets:\n  b-1: {upstream: {url: 'h:1'}}\n", nil, nil, "b-1"},
		{"credentials twice", "credentials:\n  - {access-key-id: a, secret-access-key-file: /s}\n", nil, []string{"--credentials", "/c"}, "only one"},
		{"a state prefix that folds", "state-prefix: a//b\n", nil, nil, "state-prefix"},
		{"a state prefix of ours", "state-prefix: a/.s3proxy/\n", nil, nil, "state-prefix"},
		{"a state bucket that is none", "state-bucket: a/b\n", nil, nil, "state-bucket"},
		{"two documents", "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", nil, nil, "more than one document"},
		{"an address as domain", "", nil, []string{"--domain", "127.0.0.1"}, "domain"},
		{"a domain with a port", "", nil, []string{"--domain", "s3.example.com", "--domain", "s3.example.com:80"}, "s3.example.com:80"},
		{"addressing", "upstream-addressing: host\n", nil, nil, "host"},
		{"tunnels of no proxy", "", nil, []string{"--connect-host", "h:1"}, "not forward-proxy"},
		{"a proxy for nobody's store", "", nil, []string{"--forward-proxy"}, "no host is a store's"},
		{"a proxy without tunnels by number", "", nil, []string{"--upstream", "http://h", "--forward-proxy", "--max-tunnels", "0"}, "connect-host none"},
		{"a tunnel without a port", "", nil, []string{"--upstream", "http://h", "--forward-proxy", "--connect-host", "h"}, "HOST:PORT"},
		{"no host of a store", "", nil, []string{"--upstream", "http://h", "--forward-proxy", "--forward-host", "user@h"}, "forward-host"},
		{"an authority without its key", "", nil, []string{"--upstream", "http://h", "--forward-proxy", "--intercept", "--intercept-ca-cert", "/c"}, "go together"},
		{"a version of signatures", "", nil, []string{"--upstream", "http://h", "--upstream-signature", "v3"}, "v3"},
		{"chunks with version 2", "", nil, []string{"--upstream", "http://h", "--upstream-signature", "v2", "--upstream-payload", "signed"}, "unsigned bodies alone"},
		{"chunks with a bucket's version 2", "buckets:\n  b-1: {upstream: {url: 'http://h', signature: v2, payload: checked}}\n", nil, nil, "unsigned bodies alone"},
		{"a bucket's version", "buckets:\n  b-1: {upstream: {url: 'http://h', signature: v5}}\n", nil, nil, "v5"},
		{"signatures of the embedded store", "", nil, []string{"--upstream-signature", "v2"}, "embedded store"},
		{"half a credential", "", map[string]string{EnvAccessKey: "x"}, nil, EnvSecretKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			_, err := load(t, c.file, c.args...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestTheDefaultsAreTheDocumentedOnes(t *testing.T) {
	clean(t)
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.AdminListen != "127.0.0.1:6060" || c.Region != "" || c.AuthV2 != "presigned" || c.UpstreamRegion != "us-east-1" ||
		c.KeyWindow != time.Hour || c.KeyWindowObjects != 100_000 || c.Anonymous != "deny" || c.UpstreamAddressing != "auto" || len(c.Domains) != 0 || c.MaxConnections != 4096 || c.DrainTimeout != 30*time.Second ||
		c.DataDir != filepath.Join(os.Getenv("XDG_DATA_HOME"), "s3proxy") {
		t.Errorf("defaults: %+v", c)
	}
}

func TestAMistakeInAValueNeverShowsTheValue(t *testing.T) {
	clean(t)
	_, err := load(t, "credentials:\n  - access-key-id: a\n    read-only: verysecret\n")
	if err == nil || strings.Contains(err.Error(), "very") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v, want one line that names line 3", err)
	}
}

func TestTheExampleConfigurationIsValidAndMeansWhatItSays(t *testing.T) {
	clean(t)
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	ServeFlags(flags)
	if err := flags.Parse([]string{"--config", "../../../../deploy/config.example.yaml", "--bucket-alias", "copy-b=photos"}); err != nil {
		t.Fatal(err)
	}
	c, err := Load(flags)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Buckets) != 7 || c.Buckets["backups"].LegacyKeyFile != "/etc/s3proxy/backups.legacy" || c.Buckets["copy-b"].Alias != "photos" || c.Buckets["photos"].ETag != "md5" || *c.Buckets["public-downloads"].Encrypt ||
		!*c.Buckets["legal"].AllowPlaintextReads || c.Buckets["archive"].Upstream.Credentials.AccessKeyID != "s3proxy" {
		t.Errorf("buckets: %+v", c.Buckets)
	}
	if write, read, err := c.KeyURIs("legal"); err != nil || write != "localfile:///etc/s3proxy/legal.json" || len(read) != 1 || read[0] != c.KMS {
		t.Errorf("keys of legal: %s %v, %v", write, read, err)
	}
	if c.State.Bucket.String() != "s3proxy-state" || c.State.Prefix != "team-a/" || !c.inline {
		t.Errorf("state %+v, credentials inline: %v", c.State, c.inline)
	}
}
