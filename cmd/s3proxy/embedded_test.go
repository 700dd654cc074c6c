//go:build !noembedded

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

// unconfinedName runs the embedded store as a kernel without Landlock would.
const unconfinedName = "embedded-store-unconfined"

// TestMain lets the test's program be the embedded store's process, as the real one can.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case embeddedStoreName:
			os.Exit(run(context.Background(), os.Args[1:]))
		case unconfinedName:
			if err := serveStore(os.Stdin, func(storeFolders) error { return nil }); err != nil {
				os.Exit(exitFailed)
			}
			os.Exit(0)
		case "try-confined":
			tryConfined()
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

func startTestStore(t *testing.T, name, dataDir string, log io.Writer) *embeddedStore {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := startStore(exec.Command(self, name), dataDir, slog.New(slog.NewTextHandler(log, nil)), func(*upstream.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// ask sends one request to the store's own socket, signed with its own key: none of the
// proxy's checks of names stands before it.
func (s *embeddedStore) ask(t *testing.T, method, path string, body string, header ...string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://embedded"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	key := aws.Credentials{AccessKeyID: embeddedUser, SecretAccessKey: s.order.Secret}
	unescaped := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }
	if err := v4.NewSigner(unescaped).SignHTTP(t.Context(), key, r, hash, "s3", embeddedRegion, time.Now()); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.order.Socket)
	}}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// filesIn are the names of all files and folders below dir, but not those below except,
// with what is in them.
func filesIn(t *testing.T, dir, except string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == except {
			return filepath.SkipDir
		}
		b.WriteString(path)
		if entry.Type().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b.WriteString(": " + string(content))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const hostSecret = "the host's own text"

// attackFolders sends what once got past the proxy, and says what changed outside of the
// store's folder, and what was read there.
func attackFolders(t *testing.T, name string) (changed, read bool) {
	t.Helper()
	host := t.TempDir()
	dataDir := filepath.Join(host, "data")
	s := startTestStore(t, name, dataDir, io.Discard)
	for path, content := range map[string]string{
		"keyset.json": "the keyset", "../host/file": hostSecret, "../host/empty/x": "", "../1": hostSecret,
	} {
		path = filepath.Join(dataDir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if status, answer := s.ask(t, "PUT", "/bucket", ""); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if status, answer := s.ask(t, "PUT", "/bucket/k", "an object"); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	// bucket/.sgwtmp/multipart/<hash of the key>/<upload id>
	if status, answer := s.ask(t, "POST", "/bucket/k?uploads=", ""); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	before := filesIn(t, host, storeRoot(dataDir))
	const up = "../../../../../"
	for _, id := range []string{up + "keyset.json", up + "../host", up + "../host/empty", up + "..", up} {
		query := "?uploadId=" + strings.ReplaceAll(id, "/", "%2F")
		for _, r := range []struct{ method, path, body string }{
			{"GET", "/bucket/k" + query, ""},
			{"PUT", "/bucket/k" + query + "&partNumber=1", "planted"},
			{"POST", "/bucket/k" + query, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"},
			{"DELETE", "/bucket/k" + query, ""},
		} {
			status, answer := s.ask(t, r.method, r.path, r.body)
			t.Logf("%s: %s %s: %d %.200s", name, r.method, r.path, status, answer)
			read = read || strings.Contains(answer, hostSecret)
		}
	}
	for _, key := range []string{"../../keyset.json", "../../../host/file"} {
		escaped := strings.NewReplacer(".", "%2E", "/", "%2F").Replace(key)
		for _, r := range []struct {
			method, path string
			header       []string
		}{
			{"GET", "/bucket/" + escaped, nil},
			{"DELETE", "/bucket/" + escaped, nil},
			{"PUT", "/bucket/copied", []string{"X-Amz-Copy-Source", "bucket/" + escaped}},
			{"GET", "/bucket/copied", nil},
		} {
			status, answer := s.ask(t, r.method, r.path, "", r.header...)
			t.Logf("%s: %s %s: %d %.200s", name, r.method, r.path, status, answer)
			read = read || strings.Contains(answer, hostSecret)
		}
	}
	return before != filesIn(t, host, storeRoot(dataDir)), read
}

// The same requests do damage where nothing confines the store's process: the test would
// notice if they no longer meant anything.
func TestTheEmbeddedStoreReachesNothingOutsideItsFolderThoughNoNameIsChecked(t *testing.T) {
	if version, err := ll.LandlockGetABIVersion(); err != nil || version < landlockNeeded {
		lab.Skip(t, fmt.Sprintf("there is no Landlock that confines the store (version %d, %v)", version, err))
	}
	if changed, read := attackFolders(t, embeddedStoreName); changed || read {
		t.Errorf("changed: %v, read: %v", changed, read)
	}
	if changed, _ := attackFolders(t, unconfinedName); !changed {
		t.Error("an unconfined store was not hurt: this test proves nothing")
	}
}

func TestTheEmbeddedStoreServesFromItsFolderAndTheFolderOfMetadata(t *testing.T) {
	for name, sidecar := range map[string]bool{"extended attributes": false, "a folder of metadata": true} {
		t.Run(name, func(t *testing.T) {
			dataDir := t.TempDir()
			if sidecar {
				if err := os.Mkdir(storeMetadata(dataDir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			s := startTestStore(t, embeddedStoreName, dataDir, &log)
			s.ask(t, "PUT", "/bucket", "")
			if status, answer := s.ask(t, "PUT", "/bucket/a/b/c", "text", "x-amz-meta-colour", "blue"); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
			if status, answer := s.ask(t, "PUT", "/bucket/copy", "", "X-Amz-Copy-Source", "bucket/a/b/c"); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
			if status, answer := s.ask(t, "GET", "/bucket/copy", ""); status != 200 || answer != "text" {
				t.Errorf("%d %s", status, answer)
			}
			for _, key := range []string{"a/b/c", "copy"} {
				if status, answer := s.ask(t, "DELETE", "/bucket/"+key, ""); status != 204 {
					t.Errorf("%d %s", status, answer)
				}
			}
			if status, answer := s.ask(t, "DELETE", "/bucket", ""); status != 204 {
				t.Errorf("%d %s", status, answer)
			}
			s.close()
			if version, err := ll.LandlockGetABIVersion(); err == nil && version >= landlockNeeded && log.Len() > 0 {
				t.Errorf("the store logged %s", log.String())
			}
		})
	}
}

func TestAStoreThatCannotStartSaysWhy(t *testing.T) {
	dataDir := t.TempDir()
	if err := os.WriteFile(storeMetadata(dataDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = startStore(exec.Command(self, embeddedStoreName), dataDir, slog.New(slog.DiscardHandler), func(*upstream.Config) {})
	if err == nil || !strings.Contains(err.Error(), "metadata") {
		t.Errorf("got %v", err)
	}
	if got := run(t.Context(), []string{embeddedStoreName}); got != exitUsage {
		t.Errorf("by hand, without an order: exit code %d", got)
	}
}
