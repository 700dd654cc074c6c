package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that the lab started.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  string // file with stdout and stderr
	done chan struct{}
	err  error // from Wait; valid when done is closed
}

// AnswerWithin is how long any answer may take on a machine that runs other tests as well.
const AnswerWithin = 30 * time.Second

// Start runs a program with the given environment, keeps its output for Log, and kills it at the
// end of the test.
func Start(t testing.TB, name, bin string, args, env []string) *Process {
	t.Helper()
	return start(place{t: t}, name, bin, args, env)
}

func start(at place, name, bin string, args, env []string) *Process {
	at.t.Helper()
	return startAs(at, name, bin, args, env, nil)
}

// startAs starts a program; if as is not nil, as another user, in the folder /.
func startAs(at place, name, bin string, args, env []string, as *syscall.Credential) *Process {
	at.t.Helper()
	p := &Process{Name: name, log: filepath.Join(at.folder("log"), name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		at.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(bin, args...)
	p.cmd.Dir = filepath.Dir(p.log)
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = dieWithParent()
	if as != nil {
		p.cmd.Dir, p.cmd.SysProcAttr.Credential = "/", as
	}
	started := make(chan error)
	starter() <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		at.t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	at.keep(p)
	return p
}

// starter returns the thread that starts all children. Linux sends the signal requested by
// dieWithParent when the *thread* that started the child ends, and Go ends threads at will. This
// thread lives as long as the process.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Term asks the process to end (SIGTERM) and does not wait.
func (p *Process) Term() { p.cmd.Process.Signal(syscall.SIGTERM) }

// Kill ends the process at once and waits for it. Killing twice is allowed.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// finish is Kill, except when coverage is measured: then the process may first end by itself,
// because only then does it write its coverage.
func (p *Process) finish() {
	if os.Getenv("GOCOVERDIR") != "" {
		p.Term()
		p.Wait(3 * time.Second)
	}
	p.Kill()
}

// Wait returns the exit code (-1: ended by a signal); ok is false if the process still runs when
// the limit has passed.
func (p *Process) Wait(limit time.Duration) (code int, ok bool) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), true
	case <-time.After(limit):
		return 0, false
	}
}

// Log returns everything the process has printed so far, on both streams.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (p *Process) logSize() int64 {
	info, err := os.Stat(p.log)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (p *Process) tail() string { return p.tailFrom(0) }

// tailFrom returns what was written to the log after an offset, at most the last 8 KiB.
func (p *Process) tailFrom(offset int64) string {
	const most = 8 << 10
	f, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if size := p.logSize(); size-offset > most {
		offset = size - most
	}
	b, err := io.ReadAll(io.NewSectionReader(f, offset, most))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("--- log of %s ---\n%s", p.Name, bytes.TrimSpace(b))
}

// Children returns the processes that the process has started. Linux only.
func (p *Process) Children() (pids []int, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.PID()))
	if err != nil || len(tasks) == 0 {
		return nil, errors.New("this system does not list a process's children")
	}
	for _, task := range tasks {
		list, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		if err != nil {
			return nil, err
		}
		for _, text := range strings.Fields(string(list)) {
			pid, err := strconv.Atoi(text)
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// PeakMemory returns the largest resident size, in bytes (VmHWM), of the process or any of its
// children: s3proxy's embedded store is a child.
func (p *Process) PeakMemory() (int64, error) {
	children, err := p.Children()
	if err != nil {
		return 0, err
	}
	most := int64(0)
	for _, pid := range append(children, p.PID()) {
		peak, err := peakMemory(pid)
		if err != nil {
			return 0, err
		}
		most = max(most, peak)
	}
	return most, nil
}

func peakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("the process's status has no VmHWM")
}

// AwaitListening waits until the process accepts connections at an address. The test fails if the
// process ends first.
func (p *Process) AwaitListening(t testing.TB, address string) {
	t.Helper()
	p.until(t, 20*time.Second, func() bool { return Listens(address) })
}

// until calls ready every few milliseconds. The test fails if the process ends first, or if the
// limit passes.
func (p *Process) until(t testing.TB, limit time.Duration, ready func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ready() {
		select {
		case <-p.done:
			t.Fatalf("%s ended (%v) before it was ready\n%s", p.Name, p.err, p.tail())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s was not ready after %v\n%s", p.Name, limit, p.tail())
		}
	}
}

// claims reserve the ports that this process has given away, by a UDP socket with the same number.
// Test packages run in parallel: another process must not give the port to its own server, which we
// would then take for ours.
var claims struct {
	sync.Mutex
	held []net.PacketConn
}

// FreeAddress returns a loopback address with a port that nothing listens on. No test in any
// process gets the same address again.
func FreeAddress(t testing.TB) string {
	t.Helper()
	claims.Lock()
	defer claims.Unlock()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		claim, taken := net.ListenPacket("udp", address)
		l.Close()
		if taken == nil {
			claims.held = append(claims.held, claim)
			return address
		}
	}
}

// Listens reports whether something accepts connections at the address.
func Listens(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
