package running

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// storeProcess returns the process of a proxy's embedded store.
func storeProcess(t *testing.T, p *lab.ProxyProcess) int {
	t.Helper()
	children, err := p.Children()
	if err != nil {
		lab.Skip(t, "there is no /proc")
	}
	if len(children) != 1 {
		t.Fatalf("the proxy has the children %v, want one", children)
	}
	return children[0]
}

// gone waits until a process has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(lab.AnswerWithin); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Kill(pid, 0)
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, syscall.ESRCH) || strings.Contains(string(stat), ") Z ") { // a zombie: perhaps no parent waits for it
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the embedded store is still there")
		}
	}
}

func TestTheEmbeddedStoreEndsWithTheProxyAndTheProxyWithTheStore(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Run("a killed proxy", func(t *testing.T) {
		t.Parallel()
		p := lab.Proxy(t, lab.ProxyOptions{})
		store := storeProcess(t, p)
		p.Kill()
		gone(t, store)
		again := lab.Proxy(t, lab.ProxyOptions{DataDir: p.DataDir})
		s3test.MustPut(t, again.S3(), "/"+s3test.NewBucket(t, again.S3())+"/k", []byte("text"))
	})
	t.Run("an ended proxy", func(t *testing.T) {
		t.Parallel()
		p := lab.Proxy(t, lab.ProxyOptions{})
		store := storeProcess(t, p)
		p.Term()
		if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 0 {
			t.Errorf("exit code %d (ended: %v)\n%s", code, ok, p.Log())
		}
		gone(t, store)
	})
	t.Run("a killed store", func(t *testing.T) {
		t.Parallel()
		p := lab.Proxy(t, lab.ProxyOptions{})
		if err := syscall.Kill(storeProcess(t, p), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 1 || !strings.Contains(p.Log(), "the embedded store stopped") {
			t.Errorf("exit code %d (ended: %v)\n%s", code, ok, p.Log())
		}
	})
	// Ctrl-C and service managers signal all processes at once.
	t.Run("a signal to both", func(t *testing.T) {
		t.Parallel()
		p := lab.Proxy(t, lab.ProxyOptions{})
		store := storeProcess(t, p)
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			if err := syscall.Kill(store, s); err != nil {
				t.Fatal(err)
			}
		}
		s3test.MustPut(t, p.S3(), "/"+s3test.NewBucket(t, p.S3())+"/k", []byte("text"))
		p.Term()
		if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 0 {
			t.Errorf("exit code %d (ended: %v)\n%s", code, ok, p.Log())
		}
	})
}

func TestTheEmbeddedStoresProcessIsToldNoSecretThatOthersSee(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	const passphrase = "correct horse battery staple"
	p := lab.Proxy(t, lab.ProxyOptions{Env: []string{"S3PROXY_KEYFILE_PASSPHRASE=" + passphrase, "AWS_SECRET_ACCESS_KEY=the-stores-own"}})
	store := storeProcess(t, p)
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", store))
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{"the passphrase": passphrase, "the client's key": lab.ClientSecretKey, "the store's key": "the-stores-own"} {
		if strings.Contains(string(environment), secret) {
			t.Errorf("its environment has %s", name)
		}
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", store))
	if err != nil {
		t.Fatal(err)
	}
	if words := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"); len(words) != 2 || words[1] != "embedded-store" {
		t.Errorf("its command line is %q", words)
	}
}
