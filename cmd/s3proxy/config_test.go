package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy"
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
		c.KeyWindow != time.Hour || c.KeyWindowObjects != 100_000 || c.Anonymous != "deny" || c.UpstreamAddressing != "auto" || len(c.Domains) != 0 || c.MaxConnections != 4096 || c.DrainTimeout != 30*time.Second ||
		c.DataDir != filepath.Join(os.Getenv("XDG_DATA_HOME"), "s3proxy") {
		t.Errorf("defaults: %+v", c)
	}
}

func TestEveryCommandHasAnExampleAndRefusesStrayArguments(t *testing.T) {
	for _, args := range [][]string{{"serve"}, {"keys"}, {"keys", "create"}, {"keys", "list"}, {"inspect"}, {"encrypt"}, {"decrypt"}, {"version"}} {
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
	serveFlags(flags)
	if err := flags.Parse([]string{"--config", "../../deploy/config.example.yaml", "--bucket-alias", "copy-b=photos"}); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(flags)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.buckets) != 6 || c.buckets["copy-b"].Alias != "photos" || c.buckets["photos"].ETag != "md5" || *c.buckets["public-downloads"].Encrypt ||
		!*c.buckets["legal"].AllowPlaintextReads || c.buckets["archive"].Upstream.Credentials.AccessKeyID != "s3proxy" {
		t.Errorf("buckets: %+v", c.buckets)
	}
	if write, read, err := c.keyURIs("legal"); err != nil || write != "localfile:///etc/s3proxy/legal.json" || len(read) != 1 || read[0] != c.KMS {
		t.Errorf("keys of legal: %s %v, %v", write, read, err)
	}
	if c.state.Bucket.String() != "s3proxy-state" || c.state.Prefix != "team-a/" || !c.inline {
		t.Errorf("state %+v, credentials inline: %v", c.state, c.inline)
	}
}

func TestBucketsWithEqualSettingsShareClientsKeysAndKeyrings(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := localfile.Create(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := load(t, "upstream: http://127.0.0.1:1\nkms: localfile://"+dir+"/a\nbuckets:\n"+
		"  one: {etag: md5}\n  own-key: {kms: 'localfile://"+dir+"/b'}\n  same-key: {kms: 'localfile://"+dir+"/b'}\n"+
		"  there: {upstream: {url: 'http://127.0.0.1:2'}}\n  there-too: {upstream: {url: 'http://127.0.0.1:2', region: us-east-1}}\n"+
		"  copy-1: {alias: one}\n  copy-2: {alias: one}\n")
	if err != nil {
		t.Fatal(err)
	}
	s, err := openStores(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]proxy.Bucket{}
	for _, name := range []string{"", "one", "own-key", "same-key", "there", "there-too", "copy-1", "copy-2"} {
		if got[name], err = s.bucket(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if got["one"].Keyring != got[""].Keyring || got["own-key"].Keyring != got["same-key"].Keyring || got["there"].Keyring != got["there-too"].Keyring {
		t.Error("equal settings do not share a keyring")
	}
	if got["there"].Upstream != got["there-too"].Upstream || got["there"].Upstream == got[""].Upstream {
		t.Error("clients are not one for each store")
	}
	if len(s.keyrings) != 5 || len(s.keys) != 2 || len(s.clients) != 2 {
		t.Errorf("%d keyrings, %d keys, %d clients; want 5, 2, 2", len(s.keyrings), len(s.keys), len(s.clients))
	}
	if got["copy-1"].Origin != "one" {
		t.Errorf("origin %q", got["copy-1"].Origin)
	}
}

// silentKey is a key whose KMS does not answer.
type silentKey struct{ kms.Key }

func (silentKey) Check(context.Context) error { return kms.ErrUnavailable }

func TestReadinessAsksTheKeyOfEveryBucket(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := localfile.Create(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := load(t, "upstream: http://127.0.0.1:1\nkms: localfile://"+dir+"/a\nbuckets:\n  own-key: {kms: 'localfile://"+dir+"/b'}\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, silent := range []string{"", "a", "b"} {
		s := newStores(c, slog.New(slog.DiscardHandler))
		if silent != "" {
			uri := "localfile://" + dir + "/" + silent
			key, err := openKey(t.Context(), uri)
			if err != nil {
				t.Fatal(err)
			}
			s.keys[uri] = silentKey{key}
		}
		for _, name := range []string{"", "own-key"} {
			if _, err := s.bucket(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.check(t.Context()); (err != nil) != (silent != "") {
			t.Errorf("with %q silent: %v", silent, err)
		}
	}
}
