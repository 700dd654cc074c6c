package lab

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// Browser is a headless Chromium with a fresh profile.
type Browser struct {
	in  *json.Encoder
	out *bufio.Scanner
}

// Order is what a browser is to do: the fields that are set, in this order.
type Order struct {
	Width, Height int64             `json:",omitempty"` // of the window, in CSS pixels
	Scheme        string            `json:",omitempty"` // light or dark
	Headers       map[string]string `json:",omitempty"` // of all requests from now on
	Open          string            `json:",omitempty"` // a URL
	Keys          string            `json:",omitempty"` // to type; "\t" is the Tab key, "\r" Enter
	Eval          string            `json:",omitempty"` // an expression, or a promise
	Picture       string            `json:",omitempty"` // a file for a picture of the whole page
}

// NewBrowser starts a browser for one test, or skips the test.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	program, chromium := serverBinary(t, "browser"), Need(t, "chromium")
	profile, err := os.MkdirTemp("", "s3proxy-test-profile-")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-chromium", chromium, "-profile", profile)
	cmd.Env = Env()
	cmd.SysProcAttr = dieWithParent()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
		os.RemoveAll(profile) // may fail while a process of the browser is still ending, which is no failure of the test
	})
	b := &Browser{json.NewEncoder(in), bufio.NewScanner(out)}
	b.out.Buffer(nil, 16<<20)
	return b
}

// Do returns the value of o.Eval, and what the page or the browser has complained of since the last
// order.
func (b *Browser) Do(t testing.TB, o Order) (value any, complaints []string) {
	t.Helper()
	if err := b.in.Encode(o); err != nil {
		t.Fatal(err)
	}
	if !b.out.Scan() {
		t.Fatalf("the browser has ended: %v", b.out.Err())
	}
	var a struct {
		Value      any
		Error      string
		Complaints []string
	}
	if err := json.Unmarshal(b.out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if a.Error != "" {
		t.Fatalf("the browser: %s (%v)", a.Error, a.Complaints)
	}
	return a.Value, a.Complaints
}
