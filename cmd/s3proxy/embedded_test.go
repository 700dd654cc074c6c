package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

	"github.com/s3proxy/s3proxy/kms/localfile"
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

// tryConfined tells, in a process of its own that is confined to the folder "store" of its
// working directory, what of many things it can do. A thread that was there before tries.
func tryConfined() {
	tries := map[string]func() error{
		"read inside":  func() error { _, err := os.ReadFile("store/object"); return err },
		"write inside": func() error { return os.WriteFile("store/new", nil, 0o600) },
		"move inside": func() error {
			return errors.Join(os.Mkdir("store/folder", 0o700), os.Rename("store/object", "store/folder/object"))
		},
		"read outside": func() error { _, err := os.ReadFile("keyset.json"); return err },
		"list outside": func() error { _, err := os.ReadDir("."); return err },
		"write outside": func() error {
			f, err := os.OpenFile("keyset.json", os.O_WRONLY, 0)
			f.Close()
			return err
		},
		"truncate outside": func() error { return os.Truncate("keyset.json", 0) },
		"make outside":     func() error { return os.WriteFile("new", nil, 0o600) },
		"mkdir outside":    func() error { return os.Mkdir("folder", 0o700) },
		"link inside":      func() error { return os.Link("keyset.json", "store/linked") },
		"symlink inside":   func() error { return os.Symlink("../keyset.json", "store/symlink") },
		"move outside":     func() error { return os.Rename("store/new", "moved") },
		"move inwards":     func() error { return os.Rename("keyset.json", "store/keyset") },
		"remove outside":   func() error { return os.Remove("keyset.json") },
		"rmdir outside":    func() error { return os.Remove("empty") },
		"run a program":    func() error { return exec.Command("/proc/self/exe", "-test.run=^$").Run() },
		"signal":           func() error { return syscall.Kill(os.Getppid(), 0) },
	}
	address, _ := os.ReadFile("address")
	tries["TCP out"] = func() error {
		c, err := net.Dial("tcp", string(address))
		if err == nil {
			c.Close()
		}
		return err
	}
	tries["TCP in"] = func() error {
		conf := net.ListenConfig{}
		conf.SetMultipathTCP(false) // which Landlock does not know
		l, err := conf.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err == nil {
			l.Close()
		}
		return err
	}
	work, done := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread()
		for try := range work {
			done <- try()
		}
	}()
	work <- func() error { return nil } // the thread is there now
	<-done
	if err := confine(storeFolders{data: []string{"store"}, socket: "socket"}); err != nil {
		fmt.Println("confine:", err)
		return
	}
	for _, name := range append(orderedTries, slices.DeleteFunc(slices.Sorted(maps.Keys(tries)), func(name string) bool { return slices.Contains(orderedTries, name) })...) {
		work <- tries[name]
		fmt.Printf("%s: %t\n", name, <-done == nil)
	}
}

// orderedTries come first: they need what others change.
var orderedTries = []string{"read inside", "write inside", "move inside"}

func TestAConfinedProcessCanDoNothingButUseItsFolders(t *testing.T) {
	version, err := ll.LandlockGetABIVersion()
	if err != nil || version < landlockNeeded {
		lab.Skip(t, fmt.Sprintf("there is no Landlock that confines the store (version %d, %v)", version, err))
	}
	since := map[string]int{"TCP out": 4, "TCP in": 4, "signal": 6, "truncate outside": 3}
	dir := t.TempDir()
	for _, folder := range []string{"store", "socket", "empty"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, text := range map[string]string{"keyset.json": "secret", "store/object": "text", "address": l.Addr().String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "try-confined")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tried := 0
	for line := range strings.Lines(string(out)) {
		name, can, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("%s", out)
		}
		if want := slices.Contains(orderedTries, name); can != fmt.Sprint(want) && version >= since[name] {
			t.Errorf("%s: %s", name, can)
		}
		tried++
	}
	if tried != 19 {
		t.Errorf("%d things were tried:\n%s", tried, out)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "keyset.json")); err != nil || string(text) != "secret" {
		t.Errorf("the keyset is %q, %v", text, err)
	}
}

func startTestStore(t *testing.T, name, dataDir string, log io.Writer) *embeddedStore {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := startStore(exec.Command(self, name), dataDir, slog.New(slog.NewTextHandler(log, nil)))
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
	_, err = startStore(exec.Command(self, embeddedStoreName), dataDir, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "metadata") {
		t.Errorf("got %v", err)
	}
	if got := run(t.Context(), []string{embeddedStoreName}); got != exitUsage {
		t.Errorf("by hand, without an order: exit code %d", got)
	}
}

func TestAKeysetInTheEmbeddedStoresFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "store", "bucket")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	inside, outside := filepath.Join(folder, "keyset.json"), filepath.Join(dir, "keyset.json")
	for _, path := range []string{inside, outside} {
		if err := localfile.Create(path); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		file, kms string
		refused   bool
	}{
		"beside the store":            {"", outside, false},
		"in the store":                {"", inside, true},
		"a link into the store":       {"", link(inside, "linked.json"), true},
		"a link in the store":         {"", link(outside, "store/linked.json"), true},
		"under a name of the folder":  {"", link(filepath.Join(dir, "store"), "elsewhere") + "/bucket/keyset.json", true},
		"of one bucket, in the store": {"buckets:\n  photos: {kms: 'localfile://" + inside + "'}\n", outside, true},
		"to read, in the store":       {"kms-read: ['localfile://" + inside + "']\n", outside, true},
	} {
		loaded, err := load(t, c.file, "--data-dir", dir, "--kms", "localfile://"+c.kms)
		if err != nil {
			t.Fatal(err)
		}
		s, err := openStores(t.Context(), loaded, slog.New(slog.DiscardHandler))
		if err == nil {
			s.close()
		}
		if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "the embedded store's own folder") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
