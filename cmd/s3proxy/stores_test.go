package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// load reads a configuration file and flags of serve, and no variable of the machine.
func load(t *testing.T, file string, args ...string) (*config.Config, error) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "S3PROXY_") {
			t.Setenv(name, value) // so that it comes back
			os.Unsetenv(name)
		}
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.ServeFlags(flags)
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
	return config.Load(flags)
}

func TestBucketsWithEqualSettingsShareClientsKeysAndKeyrings(t *testing.T) {
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
	got := map[string]object.Settings{}
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

func TestReadinessAsksTheKeyOfEveryBucketAndFailsWhenNoneCanBeUsed(t *testing.T) {
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
	for _, silent := range []string{"", "a", "b", "ab"} {
		s := newStores(c, slog.New(slog.DiscardHandler))
		for _, file := range silent {
			uri := "localfile://" + dir + "/" + string(file)
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
		notes, err := newHealth(s).ready(t.Context())
		if (err != nil) != (silent == "ab") {
			t.Errorf("with %q silent it is not ready: %v", silent, err)
		}
		if want := silent == "a" || silent == "b"; len(notes) > 0 != want || want && !strings.Contains(notes[0], kms.ErrUnavailable.Error()) {
			t.Errorf("with %q silent it says %q", silent, notes)
		}
	}
}
