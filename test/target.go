package test

import (
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// target is an S3 endpoint under test: a proxy before one of the stores.
type target struct {
	lab.S3
	name  string
	store *lab.Store // what is behind; nil for the embedded store
	dir   string     // what the store wrote lies below
}

const (
	onEmbedded  = "embedded"
	onVersitygw = "versitygw"
	onMinIO     = "minio"
)

var allTargets = []string{onEmbedded, onVersitygw, onMinIO}

var sharedProxies = struct {
	sync.Mutex
	byName map[string]*lab.ProxyProcess
}{byName: map[string]*lab.ProxyProcess{}}

// open gives a target that all tests share.
func open(t testing.TB, name string) target {
	t.Helper()
	return openMode(t, name, modeOpaque)
}

// The ETag modes.
const (
	modeOpaque = "opaque"
	modeMD5    = "md5"
)

// openMode is open with an ETag mode.
func openMode(t testing.TB, name, mode string) target {
	t.Helper()
	var store *lab.Store
	switch name {
	case onVersitygw:
		store = lab.SharedVersitygw(t)
	case onMinIO:
		store = lab.SharedMinIO(t)
	}
	if direct {
		if store == nil {
			t.Skip("the embedded store is never reachable without the proxy")
		}
		return target{S3: store.S3(), name: name, store: store, dir: store.Dir}
	}
	sharedProxies.Lock()
	defer sharedProxies.Unlock()
	p := sharedProxies.byName[name+" "+mode]
	if p == nil {
		p = lab.SharedProxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--etag", mode}})
		sharedProxies.byName[name+" "+mode] = p
	}
	lab.ShowOnFailure(t, p.Process)
	dir := p.DataDir
	if store != nil {
		dir = store.Dir
	}
	return target{S3: p.S3(), name: name, store: store, dir: dir}
}

// onEach runs a test against each target, side by side.
func onEach(t *testing.T, test func(t *testing.T, at target)) {
	onThese(t, allTargets, test)
}

func onThese(t *testing.T, names []string, test func(t *testing.T, at target)) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, name))
		})
	}
}

// onEachMode runs a test against each target in both ETag modes.
func onEachMode(t *testing.T, test func(t *testing.T, at target, mode string)) {
	for _, mode := range []string{modeOpaque, modeMD5} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			for _, name := range allTargets {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, openMode(t, name, mode), mode)
				})
			}
		})
	}
}

var realStores = []string{onVersitygw, onMinIO}

func store(t testing.TB, name string) *lab.Store {
	t.Helper()
	if name == onMinIO {
		return lab.SharedMinIO(t)
	}
	return lab.SharedVersitygw(t)
}
