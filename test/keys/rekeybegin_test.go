package keys

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// rekeyFixture is a bucket of window 0 with one object, so that no record names a key.
type rekeyFixture struct {
	t      *testing.T
	store  *lab.Store
	at     lab.S3
	bucket string
	path   string // of the keyset
	env    []string
}

func newRekeyFixture(t *testing.T) *rekeyFixture {
	t.Helper()
	return newRekeyFixtureBefore(t, lab.SharedVersitygw(t))
}

func newRekeyFixtureBefore(t *testing.T, store *lab.Store) *rekeyFixture {
	t.Helper()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	f := &rekeyFixture{t: t, store: store, path: filepath.Join(t.TempDir(), "keyset.json"), env: store.S3().Env()}
	f.keys("create")
	f.at = f.start()
	f.bucket = s3test.NewBucket(t, f.at)
	f.put("one")
	return f
}

func (f *rekeyFixture) start(args ...string) lab.S3 {
	f.t.Helper()
	return lab.Proxy(f.t, lab.ProxyOptions{Upstream: f.store, Args: append([]string{"--kms", "localfile://" + f.path, "--key-window", "0"}, args...)}).S3()
}

func (f *rekeyFixture) put(key string) {
	f.t.Helper()
	if a := (s3test.Call{Method: http.MethodPut, Path: "/" + f.bucket + "/" + key, Body: []byte(key)}).Do(f.t, f.at); a.Status != 200 {
		f.t.Fatal(a)
	}
}

func (f *rekeyFixture) command(args ...string) []string {
	return append(append([]string{"keys"}, args...), "--kms", "localfile://"+f.path, "--upstream", f.store.URL, "--data-dir", f.t.TempDir())
}

func (f *rekeyFixture) keys(args ...string) string {
	f.t.Helper()
	return lab.MustRun(f.t, f.env, lab.S3proxy(f.t), f.command(args...)...)
}

// reads reads objects through the proxy.
func (f *rekeyFixture) reads(keys ...string) {
	f.t.Helper()
	for _, key := range keys {
		if a := s3test.Get(f.t, f.at, "/"+f.bucket+"/"+key); string(a.Body) != key {
			f.t.Error(a)
		}
	}
}

// floor is the bucket's floor, as the store holds it.
func (f *rekeyFixture) floor() (floor struct {
	State   string
	Refused []string
}) {
	f.t.Helper()
	if a := s3test.Get(f.t, f.store.S3(), "/"+f.bucket+"/.s3proxy/floor"); a.Status == 200 {
		if err := json.Unmarshal(a.Body, &floor); err != nil {
			f.t.Fatal(err)
		}
	}
	return floor
}

func TestRekeyDoesNotBeginUnderAKeyThatOnlyObjectsName(t *testing.T) {
	f := newRekeyFixture(t)
	out, err := lab.RunBoth(t, f.env, lab.S3proxy(t), f.command("rekey", "--settle", "0", "--key-window", "0", "s3://"+f.bucket)...)
	if err == nil || !strings.Contains(out, "--new-version") || !strings.Contains(out, "--key-is-new") || f.floor().State != "" {
		t.Errorf("%v, floor %q: %s", err, f.floor().State, out)
	}
	f.reads("one")
}

func TestAFloorRefusesEveryKEKThatObjectsName(t *testing.T) {
	f := newRekeyFixture(t)
	f.keys("rotate", "--new-version", "--settle", "0", "--key-window", "0", "s3://"+f.bucket)
	f.at = f.start()
	f.put("two")
	f.keys("rekey", "--new-version", "--settle", "0", "--key-window", "0", "s3://"+f.bucket)
	floor := f.floor()
	if floor.State != "closed" || len(floor.Refused) != 2 || !slices.IsSorted(floor.Refused) {
		t.Errorf("%+v", floor)
	}
	f.at = f.start()
	f.reads("one", "two")
}

// After a rotation, nothing names the version that was stolen first.
func TestAFloorRefusesTheStolenKEKThatNothingNames(t *testing.T) {
	f := newRekeyFixture(t)
	first := regexp.MustCompile(`(?m)^(\d+) `).FindStringSubmatch(f.keys("list"))[1]
	rekey := []string{"--settle", "0", "--key-window", "0", "s3://" + f.bucket}
	f.keys(append([]string{"rotate", "--objects", "--new-version"}, rekey...)...)
	for _, none := range []string{"key 1", "vault://transit/photos#1", "localfile:"} {
		if out, err := lab.RunBoth(t, f.env, lab.S3proxy(t), f.command(append([]string{"rekey", "--new-version", "--stolen", none}, rekey...)...)...); err == nil || f.floor().State != "" {
			t.Errorf("%s, which no version is called: %v %s", none, err, out)
		}
	}
	f.keys(append([]string{"rekey", "--new-version", "--stolen", first}, rekey...)...)
	named := slices.ContainsFunc(f.floor().Refused, func(kek string) bool { return strings.HasSuffix(kek, "#"+first) })
	if floor := f.floor(); floor.State != "closed" || !named || len(floor.Refused) != 2 {
		t.Errorf("%+v", floor)
	}
}

// With AWS, a new key comes only from --kms, and clients make proxies write under it before the
// rekey begins.
func TestRekeyBeginsUnderANewKeyThatProxiesWriteUnderAlready(t *testing.T) {
	f := newRekeyFixture(t)
	old := f.path
	f.path = filepath.Join(t.TempDir(), "new.json")
	f.keys("create")
	read := []string{"--kms-read", "localfile://" + old}
	f.at = f.start(read...)
	f.put("two")
	args := append([]string{"rekey", "--settle", "0", "--key-window", "0", "s3://" + f.bucket}, read...)
	if out, err := lab.RunBoth(t, f.env, lab.S3proxy(t), f.command(args...)...); err == nil || f.floor().State != "" {
		t.Errorf("without --key-is-new: %v %s", err, out)
	}
	f.keys(append(args, "--key-is-new")...)
	if floor := f.floor(); floor.State != "closed" || len(floor.Refused) != 1 {
		t.Errorf("%+v", floor)
	}
	f.at = f.start()
	f.reads("one", "two")
}

func TestRekeyLeavesTheFloorOpenWhileSomethingIsBelowIt(t *testing.T) {
	f := newRekeyFixture(t)
	if a := (s3test.Call{Method: http.MethodPost, Path: "/" + f.bucket + "/in-parts", Query: "uploads="}).Do(t, f.at); a.Status != 200 {
		t.Fatal(a)
	}
	rekey := func(args ...string) (string, error) {
		return lab.RunBoth(t, f.env, lab.S3proxy(t), f.command(append([]string{"rekey", "--settle", "0", "--key-window", "0", "s3://" + f.bucket}, args...)...)...)
	}
	out, err := rekey("--new-version")
	if err == nil || f.floor().State != "open" {
		t.Errorf("an upload is left over: %v, %s: %s", err, f.floor().State, out)
	}
	_, id, _ := strings.Cut(out, "--resume ")
	id, _, _ = strings.Cut(id, "\n")
	f.at = f.start()
	f.reads("one")
	if out, err := rekey("--resume", id, "--leave-behind"); err != nil || f.floor().State != "closed" {
		t.Errorf("%v, %s: %s", err, f.floor().State, out)
	}
	f.at = f.start()
	f.reads("one")
}

func TestRekeyLeavesTheFloorOpenWhileAnOldVersionIsBelowIt(t *testing.T) {
	f := newRekeyFixtureBefore(t, lab.VersitygwForSuite(t))
	if _, err := s3test.SDK(t, f.store.S3()).PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &f.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	f.put("two")
	version := s3test.Call{Method: http.MethodHead, Path: "/" + f.bucket + "/two"}.Do(t, f.at).Header.Get("X-Amz-Version-Id")
	if version == "" {
		t.Fatal("the bucket has no versions")
	}
	readVersion := func() s3test.Answer {
		return s3test.Call{Method: http.MethodGet, Path: "/" + f.bucket + "/two", Query: "versionId=" + version}.Do(t, f.at)
	}
	args := f.command("rekey", "--settle", "0", "--key-window", "0", "s3://"+f.bucket)
	out, err := lab.RunBoth(t, f.env, lab.S3proxy(t), append(args, "--new-version")...)
	if err == nil || f.floor().State != "open" || !strings.Contains(out, "2 versions that are not current") {
		t.Errorf("old versions are left over: %v, %s: %s", err, f.floor().State, out)
	}
	_, id, _ := strings.Cut(out, "--resume ")
	id, _, _ = strings.Cut(id, "\n")
	f.at = f.start()
	f.reads("one", "two")
	if a := readVersion(); string(a.Body) != "two" {
		t.Errorf("while the floor is open: %v", a)
	}
	if out, err := lab.RunBoth(t, f.env, lab.S3proxy(t), append(args, "--resume", id, "--leave-behind")...); err != nil || f.floor().State != "closed" {
		t.Errorf("%v, %s: %s", err, f.floor().State, out)
	}
	f.at = f.start()
	f.reads("one", "two")
	if a := readVersion(); a.Status < 400 {
		t.Errorf("below the closed floor: %v", a)
	}
}
