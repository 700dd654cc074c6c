package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Jump is a moment in a process's life at which its wall clock becomes wrong. The monotonic clock,
// which measures ages, does not jump, as in reality.
type Jump struct {
	After time.Duration // since the start of the process
	By    time.Duration // in whole seconds; 0: the clock is right again
}

// jumping is the code added to Go's package time.
const jumping = `package time

import "syscall"

type jump struct{ after, by int64 } // nanoseconds, seconds

var jumps = func() (all []jump) {
	text, _ := syscall.Getenv("CLOCK_JUMPS")
	for text != "" {
		var number [2]int
		for i, end := range []byte{':', ','} {
			n := 0
			for n < len(text) && text[n] != end {
				n++
			}
			number[i], _ = atoi(text[:n])
			text = text[min(n+1, len(text)):]
		}
		all = append(all, jump{int64(number[0]) * 1e6, int64(number[1])})
	}
	return all
}()

func jumped(age int64) (by int64) {
	for _, j := range jumps {
		if age >= j.after {
			by = j.by
		}
	}
	return by
}
`

// JumpyS3proxy builds an s3proxy whose wall clock can jump (see JumpsOf). It replaces only time.Now
// of Go's library, but compiles everything anew.
func JumpyS3proxy(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	goroot := strings.TrimSpace(MustRun(t, os.Environ(), "go", "env", "GOROOT"))
	source := filepath.Join(goroot, "src", "time", "time.go")
	raw, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	const at = "\tmono -= startNano\n"
	if strings.Count(string(raw), at) != 1 {
		t.Fatal("time.Now of this Go version is different")
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		source: write("time.go", strings.Replace(string(raw), at, at+"\tsec += jumped(mono)\n", 1)),
		filepath.Join(goroot, "src", "time", "jump.go"): write("jump.go", jumping),
	}})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "s3proxy")
	cmd := exec.Command("go", "build", "-overlay", write("overlay.json", string(overlay)), "-tags", "noembedded", "-o", out, "./cmd/s3proxy")
	cmd.Dir = Path(t)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// JumpsOf is the environment that makes a process's clock jump.
func JumpsOf(jumps ...Jump) string {
	var all []string
	for _, j := range jumps {
		all = append(all, fmt.Sprintf("%d:%d", j.After.Milliseconds(), int(j.By.Seconds())))
	}
	return "CLOCK_JUMPS=" + strings.Join(all, ",")
}
