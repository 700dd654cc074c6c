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
	log  string // file that stdout and stderr go to
	done chan struct{}
	err  error // of Wait; valid when done is closed
}

// AnswerWithin is how long any answer may take on a machine that runs other tests, too.
const AnswerWithin = 30 * time.Second

// Start runs a program with the given environment, its output kept for Log, and
// kills it at the end of the test.
func Start(t testing.TB, name, bin string, args, env []string) *Process {
	t.Helper()
	return start(place{t: t}, name, bin, args, env)
}

func start(at place, name, bin string, args, env []string) *Process {
	at.t.Helper()
	return startAs(at, name, bin, args, env, nil)
}

// startAs starts a program as another user, in the folder /, if as is not nil.
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

// starter gives the thread that starts all children. Linux sends the signal that dieWithParent
// asks for when the *thread* ends that started the child, and Go ends threads as it likes. This
// thread stays as long as the process.
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

// PID gives the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Term asks the process to end (SIGTERM) and does not wait.
func (p *Process) Term() { p.cmd.Process.Signal(syscall.SIGTERM) }

// Kill ends the process at once and waits for it. Killing twice is allowed.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// finish is Kill. Where coverage is measured, the process may end by itself first: only then does it
// write what it has covered.
func (p *Process) finish() {
	if os.Getenv("GOCOVERDIR") != "" {
		p.Term()
		p.Wait(3 * time.Second)
	}
	p.Kill()
}

// Wait gives the exit code (-1: ended by a signal); ok is false when the
// process is still there after the time given.
func (p *Process) Wait(limit time.Duration) (code int, ok bool) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), true
	case <-time.After(limit):
		return 0, false
	}
}

// Log gives everything that the process has printed so far, on both streams.
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

// tailFrom gives the end, at most 8 KiB, of what was written to the log after an offset.
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

// Children gives the processes that the process has started, on Linux only.
func (p *Process) Children() (pids []int, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.PID()))
	if err != nil || len(tasks) == 0 {
		return nil, errors.New("nothing tells the process's children")
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

// PeakMemory gives the largest resident size, in bytes (VmHWM), that the process or one of its
// children has had: s3proxy's embedded store is a child.
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
	return 0, errors.New("no VmHWM in the process's status")
}

// AwaitListening waits until the process accepts connections at an address. The test fails if the
// process ends first.
func (p *Process) AwaitListening(t testing.TB, address string) {
	t.Helper()
	p.until(t, 20*time.Second, func() bool { return Listens(address) })
}

// until asks ready every few milliseconds. The test fails if the process ends first, or if it
// takes longer than the limit.
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

// claims hold, by a UDP socket of the same number, the ports that this process has given away:
// packages are tested side by side, and another process must not give one to its own server,
// which would then be taken for ours.
var claims struct {
	sync.Mutex
	held []net.PacketConn
}

// FreeAddress gives a loopback address with a port that nothing listens on. No test of any
// process gets it again.
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

// Listens tells whether something accepts connections at the address.
func Listens(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
