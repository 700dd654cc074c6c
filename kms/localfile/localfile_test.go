package localfile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/kmstest"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// The suite skips "A KMS that does not answer is unavailable" and "A KMS that refuses has
// denied", by name: once a file is read it neither stays away nor refuses, and Wrap and
// Unwrap do with what was read. A file that cannot be read at the start is no Key at all
// (TestAFileThatOthersMayUseIsRefused, TestABrokenFileIsRefusedByNameAndItsKeysAreNotShown);
// one that breaks under a running proxy is in reload_test.go
// (TestAFileThatBreaksLeavesTheKeysInUseAndIsReported), and a Rotate that cannot write in
// change_test.go (TestAFailedRotationLeavesTheFileAsItWas).
func TestLocalfilePassesTheSuite(t *testing.T) {
	kmstest.Run(t, kmstest.Harness{
		Key:      func(t *testing.T) kms.Key { return mustOpen(t, mustCreate(t)) },
		OtherKey: func(t *testing.T) kms.Key { return mustOpen(t, mustCreate(t)) },
		RemovedKey: func(t *testing.T, plaintext []byte, c kms.Context) (kms.Key, kms.Wrapped) {
			path := mustCreate(t)
			w, err := mustOpen(t, path).Wrap(t.Context(), plaintext, c)
			if err != nil {
				t.Fatal(err)
			}
			edit(t, path, func(m *keyset.Manager, first uint32) error {
				return errors.Join(addPrimary(m), m.Delete(first))
			})
			return mustOpen(t, path), w
		},
	})
}

func TestADisabledKeyIsNotFound(t *testing.T) {
	path := mustCreate(t)
	c := kms.Context{"bucket": "photos"}
	w, err := mustOpen(t, path).Wrap(t.Context(), []byte("a key"), c)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(m *keyset.Manager, first uint32) error {
		return errors.Join(addPrimary(m), m.Disable(first))
	})
	if _, err := mustOpen(t, path).Unwrap(t.Context(), w, c); !errors.Is(err, kms.ErrNotFound) {
		t.Errorf("Unwrap: %v, want %v", err, kms.ErrNotFound)
	}
}

func TestAnOldKeyStillUnwrapsAndThePrimaryWraps(t *testing.T) {
	path := mustCreate(t)
	c := kms.Context{"bucket": "photos"}
	old, err := mustOpen(t, path).Wrap(t.Context(), []byte("a key"), c)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(m *keyset.Manager, _ uint32) error { return addPrimary(m) })
	key := mustOpen(t, path)
	if got, err := key.Unwrap(t.Context(), old, c); err != nil || string(got) != "a key" {
		t.Errorf("Unwrap of the old key's: %q, %v", got, err)
	}
	fresh, err := key.Wrap(t.Context(), []byte("a key"), c)
	if err != nil {
		t.Fatal(err)
	}
	infos, err := localfile.List(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(infos) != 2 || infos[0].Primary || !infos[1].Primary {
		t.Fatalf("List: %+v, want two keys, the second primary", infos)
	}
	for i, w := range []kms.Wrapped{old, fresh} {
		if want := "localfile:#" + infos[i].Version; w.KEK != want {
			t.Errorf("key %d is named %q, List says %q", i, w.KEK, want)
		}
		if len(w.Blob) != 5+12+5+16 {
			t.Errorf("the blob of 5 bytes is %d bytes long", len(w.Blob))
		}
	}
}

func TestListSaysWhatTheKeysAre(t *testing.T) {
	path := mustCreate(t)
	edit(t, path, func(m *keyset.Manager, first uint32) error {
		return errors.Join(addPrimary(m), m.Disable(first))
	})
	infos, err := localfile.List(path)
	if err != nil {
		t.Fatal(err)
	}
	if made := infos[0].Made; time.Since(made) > time.Minute || !infos[1].Made.IsZero() {
		t.Errorf("made %v and %v; want now, and not known since another tool made it", made, infos[1].Made)
	}
	infos[0].Made = time.Time{}
	for i := range infos {
		infos[i].Version = "N" // random
	}
	want := []localfile.KeyInfo{
		{Version: "N", Primary: false, Status: "disabled", Type: "AES256-GCM"},
		{Version: "N", Primary: true, Status: "enabled", Type: "AES256-GCM"},
	}
	if !slices.Equal(infos, want) {
		t.Errorf("List: %+v\nwant  %+v", infos, want)
	}
}

func TestCreateWritesAPrivateFileAndNeverReplacesOne(t *testing.T) {
	path := mustCreate(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := localfile.Create(path); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Create over a file: %v, want fs.ErrExist and the path", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("Create changed the file that was there (%v)", err)
	}
	dangling := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink("nowhere", dangling); err != nil {
		t.Fatal(err)
	}
	if err := localfile.Create(dangling); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a link to nowhere: %v, want fs.ErrExist", err)
	}
	if err := localfile.Create(filepath.Join(t.TempDir(), "no", "keyset.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create in no directory: %v, want fs.ErrNotExist", err)
	}
	for dir, want := range map[string][]string{
		filepath.Dir(path):     {"keyset.json", "keyset.json.history"},
		filepath.Dir(dangling): {"link.json"},
	} {
		entries, err := os.ReadDir(dir)
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s holds %v (%v), want %v", dir, got, err, want)
		}
	}
}

func TestOfManyWhoCreateOneFileExactlyOneSucceeds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset.json")
	errs := make([]error, 16)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = localfile.Create(path) })
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !errors.Is(err, fs.ErrExist) {
			t.Errorf("Create: %v", err)
		}
	}
	if made != 1 {
		t.Errorf("%d succeeded, want 1", made)
	}
	mustOpen(t, path)
}

func TestAFileThatOthersMayUseIsRefused(t *testing.T) {
	path := mustCreate(t)
	for _, mode := range []fs.FileMode{0o604, 0o620, 0o601, 0o644, 0o660, 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := localfile.Open(path); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: %v, want an error that says chmod 600", mode, err)
		}
		if _, err := localfile.List(path); err == nil {
			t.Errorf("mode %04o: List took it", mode)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o440} { // the last: ours, and of a group of ours
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		mustOpen(t, path)
	}
}

func TestALinkIsFollowedAndItsTargetChecked(t *testing.T) {
	path := mustCreate(t)
	link := filepath.Join(t.TempDir(), "keyset.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, link)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := localfile.Open(link); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a link to an open file: %v", err)
	}
	if _, err := localfile.Open(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := localfile.Open(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want fs.ErrNotExist", err)
	}
}

func TestABrokenFileIsRefusedByNameAndItsKeysAreNotShown(t *testing.T) {
	path := mustCreate(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	value := regexp.MustCompile(`"value":\s*"([^"]+)"`).FindSubmatchIndex(whole)
	if value == nil {
		t.Fatalf("no key value in a keyset of %d bytes", len(whole))
	}
	secret := string(whole[value[2]:value[3]])
	broken := map[string]string{
		"empty":          "",
		"not JSON":       "keyset",
		"unquoted value": strings.Replace(string(whole), `"`+secret+`"`, secret, 1),
		"no base64":      strings.Replace(string(whole), secret, secret+"!", 1),
		"extra bytes":    string(whole) + "x",
		"no keys":        `{"primaryKeyId":1,"key":[]}`,
		"other primary":  regexp.MustCompile(`"primaryKeyId":\s*\d+`).ReplaceAllString(string(whole), `"primaryKeyId":1`),
	}
	for i := 1; i < len(whole); i += 7 {
		broken[fmt.Sprintf("cut at %d", i)] = string(whole[:i])
	}
	for what, content := range broken {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := localfile.Open(path)
		if err == nil {
			t.Errorf("%s: it opened", what)
			continue
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not name the file: %v", what, err)
		}
		for i := 0; i+8 <= len(secret); i++ {
			if strings.Contains(err.Error(), secret[i:i+8]) {
				t.Errorf("%s: the error shows the key: %v", what, err)
				break
			}
		}
	}
}

func TestTwoKeysOfOneIDAreRefused(t *testing.T) {
	path := mustCreate(t)
	edit(t, path, func(m *keyset.Manager, _ uint32) error { return addPrimary(m) })
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		PrimaryKeyID uint32            `json:"primaryKeyId"`
		Key          []json.RawMessage `json:"key"`
	}
	if err := json.Unmarshal(content, &set); err != nil {
		t.Fatal(err)
	}
	set.Key = append(set.Key, set.Key[0]) // not the primary, which Tink itself counts
	if content, err = json.Marshal(set); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := localfile.Open(path); err == nil || !strings.Contains(err.Error(), "valid Tink keyset") {
		t.Errorf("Open: %v", err)
	}
}

func TestAKeyOfAnotherTypeIsRefused(t *testing.T) {
	for what, template := range map[string]*tinkpb.KeyTemplate{
		"AES-128":       aead.AES128GCMKeyTemplate(),
		"no prefix":     aead.AES256GCMNoPrefixKeyTemplate(),
		"ChaCha20":      aead.ChaCha20Poly1305KeyTemplate(),
		"AES-CTR, HMAC": aead.AES256CTRHMACSHA256KeyTemplate(),
	} {
		path := mustCreate(t)
		edit(t, path, func(m *keyset.Manager, _ uint32) error {
			_, err := m.Add(template)
			return err
		})
		if _, err := localfile.Open(path); err == nil || !strings.Contains(err.Error(), "is not an AES-256-GCM key") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAURINamesAnAbsolutePathAndNothingElse(t *testing.T) {
	registry := kms.NewRegistry()
	registry.Register(localfile.Scheme, localfile.Opener)
	path := mustCreate(t)
	key, err := registry.Open(t.Context(), "localfile://"+path)
	if err != nil {
		t.Fatal(err)
	}
	if key.URI() != "localfile:" {
		t.Errorf("URI %q", key.URI())
	}
	for uri, want := range map[string]string{
		"localfile:keyset.json":                   "not name an absolute path",
		"localfile://keyset.json":                 "not name an absolute path",
		"localfile://etc/keyset.json":             "not name an absolute path",
		"localfile://./keyset.json":               "not name an absolute path",
		"localfile://":                            "not name an absolute path",
		"localfile:":                              "not name an absolute path",
		"localfile://user@" + path:                "not name an absolute path",
		"localfile:///":                           "a directory",
		"localfile://" + filepath.Dir(path) + "/": "a directory",
		"localfile://" + path + "?mode=0644":      "unknown parameter",
		"localfile://" + path + "?":               "unknown parameter",
		"localfile://" + path + "#1":              "fragment",
	} {
		if _, err := registry.Open(t.Context(), uri); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %q", uri, err, want)
		}
	}
	if _, err := registry.Open(t.Context(), "localfile://"+path+"x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want fs.ErrNotExist", err)
	}
	if got, err := localfile.Path(&url.URL{Scheme: "localfile", Path: "/a/../b c.json"}); err != nil || got != "/b c.json" {
		t.Errorf("Path: %q, %v", got, err)
	}
}

func mustCreate(t *testing.T, given ...localfile.Option) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset.json")
	if err := localfile.Create(path, given...); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustOpen(t *testing.T, path string, given ...localfile.Option) *localfile.Key {
	t.Helper()
	key, err := localfile.Open(path, given...)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// edit changes a keyset as Tink's own tools would; first is the id of its primary.
func edit(t *testing.T, path string, change func(m *keyset.Manager, first uint32) error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(f))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	m := keyset.NewManagerFromHandle(handle)
	if err := change(m, handle.KeysetInfo().GetPrimaryKeyId()); err != nil {
		t.Fatal(err)
	}
	if handle, err = m.Handle(); err != nil {
		t.Fatal(err)
	}
	if f, err = os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(f)), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func addPrimary(m *keyset.Manager) error {
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	return m.SetPrimary(id)
}
