package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// clean takes every s3proxy variable of the machine out of the environment.
func clean(t *testing.T) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) {
			t.Setenv(name, value) // so that it comes back
			os.Unsetenv(name)
		}
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
}

func load(t *testing.T, file string, args ...string) (*config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	serveFlags(flags)
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
	return loadConfig(flags)
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
		{"upstream is no URL", "", nil, []string{"--upstream", "s3.example.com"}, "upstream"},
		{"upstream with a secret", "", nil, []string{"--upstream", "https://a:b@s3.example.com"}, "upstream"},
		{"itself", "", nil, []string{"--upstream", "http://localhost:8080"}, "call itself"},
		{"a region without an upstream", "", nil, []string{"--upstream-region", "x"}, "upstream-region"},
		{"one address twice", "", nil, []string{"--admin-listen", defaultListen}, "admin-listen"},
		{"anonymous", "anonymous: maybe\n", nil, nil, "maybe"},
		{"log-level", "", nil, []string{"--log-level", "loud"}, "loud"},
		{"negative", "", nil, []string{"--drain-timeout", "-1s"}, "negative"},
		{"no duration", "key-window: soon\n", nil, nil, "key-window"},
		{"no window with objects", "", nil, []string{"--key-window", "0", "--key-window-objects", "5"}, "key-window"},
		{"one key twice", "", nil, []string{"--kms", "localfile:///a", "--kms-read", "localfile:///a"}, "kms-read"},
		{"an address as domain", "", nil, []string{"--domain", "127.0.0.1"}, "domain"},
		{"a domain with a port", "", nil, []string{"--domain", "s3.example.com", "--domain", "s3.example.com:80"}, "s3.example.com:80"},
		{"addressing", "upstream-addressing: host\n", nil, nil, "host"},
		{"half a credential", "", map[string]string{envAccessKey: "x"}, nil, envSecretKey},
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
	if c.Listen != "127.0.0.1:8080" || c.AdminListen != "127.0.0.1:6060" || c.Region != "us-east-1" || c.UpstreamRegion != "us-east-1" ||
		c.KeyWindow != time.Hour || c.KeyWindowObjects != 100_000 || c.Anonymous != "deny" || c.UpstreamAddressing != "auto" || len(c.Domains) != 0 || c.DrainTimeout != 30*time.Second ||
		c.DataDir != filepath.Join(os.Getenv("XDG_DATA_HOME"), "s3proxy") {
		t.Errorf("defaults: %+v", c)
	}
}

func TestEveryCommandHasAnExampleAndRefusesStrayArguments(t *testing.T) {
	for _, args := range [][]string{{"serve"}, {"keys"}, {"keys", "create"}, {"keys", "list"}, {"inspect"}, {"version"}} {
		cmd, _, err := rootCommand().Find(args)
		if err != nil || cmd.Example == "" || cmd.Short == "" {
			t.Errorf("%v: %v, example %q", args, err, cmd.Example)
		}
		if got := run(t.Context(), append(args, "stray", "words")); got != exitUsage {
			t.Errorf("%v with stray arguments: exit code %d", args, got)
		}
	}
	if got := run(t.Context(), []string{"serve", "--no-such-flag"}); got != exitUsage {
		t.Errorf("unknown flag: exit code %d", got)
	}
}

func TestAnObjectsURLKeepsItsKeyAsItStands(t *testing.T) {
	bucket, key, err := parseObjectURL("s3://b/a//b%20 c/../ü")
	if err != nil || bucket != "b" || key != "a//b%20 c/../ü" {
		t.Errorf("%q %q %v", bucket, key, err)
	}
	for _, bad := range []string{"b/k", "s3://", "s3://b", "s3://b/", "s3:///k", "http://b/k"} {
		if _, _, err := parseObjectURL(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
