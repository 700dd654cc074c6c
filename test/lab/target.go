package lab

import (
	"hash/fnv"
	"path"
	"slices"
	"sync"
	"testing"
)

// Target is an S3 endpoint under test: a proxy in front of one of the stores.
type Target struct {
	S3
	Name  string
	Store *Store // the store behind it; nil for the embedded store
	Dir   string // the folder that holds everything the store writes
}

const (
	OnEmbedded  = "embedded"
	OnVersitygw = "versitygw"
	OnMinIO     = "minio"
)

// AllTargets are the targets of OnEach.
var AllTargets = []string{OnEmbedded, OnVersitygw, OnMinIO}

var sharedProxies = struct {
	sync.Mutex
	byName map[string]*ProxyProcess
}{byName: map[string]*ProxyProcess{}}

// Open returns a target that all tests share.
func Open(t testing.TB, name string) Target {
	t.Helper()
	return OpenMode(t, name, ModeOpaque)
}

// The ETag modes.
const (
	ModeOpaque = "opaque"
	ModeMD5    = "md5"
)

// OpenMode is Open with an ETag mode.
func OpenMode(t testing.TB, name, mode string) Target {
	t.Helper()
	var store *Store
	switch name {
	case OnVersitygw:
		store = SharedVersitygw(t)
	case OnMinIO:
		store = SharedMinIO(t)
	}
	if Direct {
		if store == nil {
			t.Skip("the embedded store is never reachable without the proxy")
		}
		return Target{S3: store.S3(), Name: name, Store: store, Dir: store.Dir}
	}
	sharedProxies.Lock()
	defer sharedProxies.Unlock()
	p := sharedProxies.byName[name+" "+mode]
	if p == nil {
		p = SharedProxy(t, ProxyOptions{Upstream: store, Args: []string{"--etag", mode}})
		sharedProxies.byName[name+" "+mode] = p
	}
	ShowOnFailure(t, p.Process)
	dir := p.DataDir
	if store != nil {
		dir = store.Dir
	}
	return Target{S3: p.S3(), Name: name, Store: store, Dir: dir}
}

// OnEach runs a test against each target, in parallel.
func OnEach(t *testing.T, test func(t *testing.T, at Target)) {
	OnThese(t, AllTargets, test)
}

// OnThese is OnEach with some of the targets.
func OnThese(t *testing.T, names []string, test func(t *testing.T, at Target)) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			OneOfTwo(t, names)
			test(t, Open(t, name))
		})
	}
}

// OneOfTwo skips the test for one target, named last in the test's name, unless All is set. The
// embedded store keeps objects as versitygw does, so while somebody is waiting one of the two is
// enough if names has both. Which one runs depends on the test.
func OneOfTwo(t testing.TB, names []string) {
	t.Helper()
	test, name := path.Split(t.Name())
	both := []string{OnEmbedded, OnVersitygw}
	at := slices.Index(both, name)
	if All() || at < 0 || !slices.Contains(names, OnEmbedded) || !slices.Contains(names, OnVersitygw) {
		return
	}
	sum := fnv.New32a()
	sum.Write([]byte(test))
	if int(sum.Sum32()%2) != at {
		Skip(t, "runs on "+both[1-at]+"; on both with make test-all")
	}
}

// OnEachMode runs a test against each target in both ETag modes.
func OnEachMode(t *testing.T, test func(t *testing.T, at Target, mode string)) {
	for _, mode := range []string{ModeOpaque, ModeMD5} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			for _, name := range AllTargets {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					OneOfTwo(t, AllTargets)
					test(t, OpenMode(t, name, mode), mode)
				})
			}
		})
	}
}

// RealStores are the targets whose store can be reached without the proxy.
var RealStores = []string{OnVersitygw, OnMinIO}

// SharedStore is the store of a target, shared by all tests of the package.
func SharedStore(t testing.TB, name string) *Store {
	t.Helper()
	if name == OnMinIO {
		return SharedMinIO(t)
	}
	return SharedVersitygw(t)
}
