package localfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/kmstest"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

func passphrase(text string) localfile.Option {
	return localfile.WithPassphrase(func() ([]byte, error) { return []byte(text), nil })
}

func TestAnEncryptedKeysetPassesTheSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("a key from a passphrase takes long, and this needs many: it is for make test-all")
	}
	pass := passphrase("correct horse")
	path := mustCreate(t, pass)
	kmstest.Run(t, kmstest.Harness{
		Key:      func(t *testing.T) kms.Key { return mustOpen(t, path, pass) },
		OtherKey: func(t *testing.T) kms.Key { return mustOpen(t, mustCreate(t)) },
	})
}

func TestAnEncryptedKeysetOpensWithItsPassphraseOnly(t *testing.T) {
	right := passphrase("correct horse")
	path := mustCreate(t, right)
	w := mustWrap(t, mustOpen(t, path, right))
	if _, err := localfile.Rotate(t.Context(), path, right); err != nil {
		t.Fatal(err)
	}
	if _, err := mustOpen(t, path, right).Unwrap(t.Context(), w, photos); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if encrypted, err := localfile.Encrypted(path); !encrypted || err != nil || bytes.Contains(content, []byte("keyData")) || bytes.Contains(content, []byte("AesGcm")) {
		t.Errorf("after a rotation it is in clear (%v):\n%s", err, content)
	}
	bare := mustCreate(t)
	for what, c := range map[string]struct {
		path  string
		given []localfile.Option
		says  string
	}{
		"a wrong one":      {path, []localfile.Option{passphrase("correct house")}, "passphrase of S3PROXY_KEYFILE_PASSPHRASE"},
		"none":             {path, nil, "set S3PROXY_KEYFILE_PASSPHRASE or S3PROXY_KEYFILE_PASSPHRASE_FILE"},
		"one without need": {bare, []localfile.Option{right}, "s3proxy keys passphrase"},
	} {
		before, _ := os.ReadFile(c.path)
		_, openErr := localfile.Open(c.path, c.given...)
		_, listErr := localfile.List(c.path, c.given...)
		_, rotateErr := localfile.Rotate(t.Context(), c.path, c.given...)
		for call, err := range map[string]error{"Open": openErr, "List": listErr, "Rotate": rotateErr} {
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("%s: %s: %v, want %q and the path", what, call, err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "horse") {
				t.Errorf("%s: %s: the passphrase is in the error: %v", what, call, err)
			}
		}
		if after, _ := os.ReadFile(c.path); !bytes.Equal(after, before) {
			t.Errorf("%s: the file was changed", what)
		}
	}
}

func TestAPassphraseIsSetChangedAndRemoved(t *testing.T) {
	path := mustCreate(t)
	w := mustWrap(t, mustOpen(t, path))
	var now []localfile.Option
	for _, next := range []string{"first", "second", ""} {
		var given []localfile.Option
		var raw []byte
		if next != "" {
			given, raw = []localfile.Option{passphrase(next)}, []byte(next)
		}
		if err := localfile.SetPassphrase(t.Context(), path, raw, now...); err != nil {
			t.Fatal(err)
		}
		if _, err := mustOpen(t, path, given...).Unwrap(t.Context(), w, photos); err != nil {
			t.Errorf("passphrase %q: %v", next, err)
		}
		if _, err := localfile.Open(path, now...); err == nil {
			t.Errorf("passphrase %q: it opens as before", next)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info, err)
		}
		now = given
	}
}

// Flipping any byte of the file must be noticed: parameters, salt, IV, all of it.
func TestAChangedEncryptedFileIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("a key from a passphrase takes long, and this needs many: it is for make test-all")
	}
	pass := passphrase("correct horse")
	path := mustCreate(t, pass)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, content []byte, says string) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		if _, err := localfile.Open(path, pass); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want the path and %q", what, err, says)
		}
		if took := time.Since(before); took > 20*time.Second {
			t.Errorf("%s took %v", what, took)
		}
	}
	replaced := func(old, new string) []byte {
		if !bytes.Contains(whole, []byte(old)) {
			t.Fatalf("no %s in %s", old, whole)
		}
		return bytes.Replace(whole, []byte(old), []byte(new), 1)
	}
	for what, content := range map[string][]byte{
		"two passes":      replaced(`"time":3`, `"time":2`),
		"less memory":     replaced(`"memoryKiB":65536`, `"memoryKiB":65535`),
		"another KDF":     replaced(`argon2id`, `argon2i`),
		"another format":  replaced(`"s3proxyKeyset":1`, `"s3proxyKeyset":2`),
		"white space":     append(bytes.Clone(whole), '\n'),
		"one field more":  replaced(`"kdf"`, `"x":1,"kdf"`),
		"a repeated one":  replaced(`"time":3`, `"time":1,"time":3`),
		"other spelling":  replaced(`"time"`, `"Time"`),
		"cut in half":     whole[:len(whole)/2],
		"cut at its end":  whole[:len(whole)-1],
		"salt changed":    flip(whole, bytes.Index(whole, []byte(`"salt":"`))+9),
		"IV changed":      flip(whole, bytes.Index(whole, []byte(`"sealed":"`))+12),
		"middle changed":  flip(whole, len(whole)/2),
		"another's salt ": flip(whole, bytes.Index(whole, []byte(`"salt":"`))+20),
	} {
		refused(what, content, "")
	}
	// These are refused before any work is done for them.
	for what, parameters := range map[string]string{
		"100 GB":       `"time":1,"memoryKiB":100000000,"threads":4`,
		"3 GiB":        `"time":1,"memoryKiB":3145728,"threads":4`,
		"4 TB":         `"time":1,"memoryKiB":4294967295,"threads":4`,
		"for ever":     `"time":4294967295,"memoryKiB":65536,"threads":4`,
		"no pass":      `"time":0,"memoryKiB":65536,"threads":4`,
		"many threads": `"time":3,"memoryKiB":65536,"threads":255`,
		"no thread":    `"time":3,"memoryKiB":65536,"threads":0`,
		"too little":   `"time":3,"memoryKiB":31,"threads":4`,
	} {
		refused(what, replaced(`"time":3,"memoryKiB":65536,"threads":4`, parameters), "out of bounds")
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path, pass)
}

// flip changes a base64 character to another one.
func flip(whole []byte, at int) []byte {
	changed := bytes.Clone(whole)
	if changed[at] == 'A' {
		changed[at] = 'B'
	} else {
		changed[at] = 'A'
	}
	return changed
}

func TestTheEnvironmentHoldsOrNamesThePassphrase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passphrase")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := localfile.PassphraseFromEnvironment(); got != nil || err != nil {
		t.Errorf("none: %q, %v", got, err)
	}
	t.Setenv(localfile.EnvPassphraseFile, file)
	for content, want := range map[string]string{"a b": "a b", "a b\n": "a b", "a b\r\n": "a b", "a\n\n": "a\n", " a ": " a "} {
		write(content)
		if got, err := localfile.PassphraseFromEnvironment(); string(got) != want || err != nil {
			t.Errorf("file %q: %q, %v", content, got, err)
		}
	}
	for _, content := range []string{"", "\n", strings.Repeat("x", 5000)} {
		write(content)
		if got, err := localfile.PassphraseFromEnvironment(); got != nil || err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("file of %d bytes: %.9q, %v", len(content), got, err)
		}
	}
	os.Remove(file)
	if _, err := localfile.PassphraseFromEnvironment(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	t.Setenv(localfile.EnvPassphrase, "direct")
	if _, err := localfile.PassphraseFromEnvironment(); err == nil || !strings.Contains(err.Error(), "both") {
		t.Errorf("both: %v", err)
	}
	os.Unsetenv(localfile.EnvPassphraseFile)
	if got, err := localfile.PassphraseFromEnvironment(); string(got) != "direct" || err != nil {
		t.Errorf("itself: %q, %v", got, err)
	}
	t.Setenv(localfile.EnvPassphrase, "")
	if _, err := localfile.PassphraseFromEnvironment(); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("set but empty: %v", err)
	}
}
