package bench

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// used is what a process has used since its start.
type used struct {
	cpu            float64 // seconds, of user and system
	mallocs, bytes float64 // allocations of Go's heap
	store, kms     float64 // requests
	wraps          float64 // of kms, those that wrap or unwrap
}

func (u used) plus(v used) used { return u.minus(used{}.minus(v)) }

func (u used) minus(v used) used {
	return used{u.cpu - v.cpu, u.mallocs - v.mallocs, u.bytes - v.bytes, u.store - v.store, u.kms - v.kms, u.wraps - v.wraps}
}

// used reads all but the CPU.
func (s *subject) used() (u used, err error) {
	for _, one := range s.peers {
		its, err := one.used()
		if err != nil {
			return u, err
		}
		u = u.plus(its)
	}
	if s.process == nil {
		return u, nil
	}
	resp, err := http.Get(s.metrics)
	if err != nil {
		return u, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		u.count(lines.Text())
	}
	return u, lines.Err()
}

// cpu is what the processes have used so far.
func (s *subject) cpu() (sum float64, err error) {
	for _, one := range append([]*subject{s}, s.peers...) {
		if one.process == nil {
			continue
		}
		its, err := processCPU(one.process.PID())
		if err != nil {
			return 0, err
		}
		sum += its
	}
	return sum, nil
}

// count adds a line of /metrics.
func (u *used) count(line string) {
	at := strings.LastIndexByte(line, ' ')
	if at < 0 {
		return
	}
	value, err := strconv.ParseFloat(line[at+1:], 64)
	if err != nil {
		return
	}
	name, _, _ := strings.Cut(line[:at], "{")
	switch name {
	case "go_memstats_mallocs_total":
		u.mallocs += value
	case "go_memstats_alloc_bytes_total":
		u.bytes += value
	case "s3proxy_upstream_requests_total":
		u.store += value
	case "s3proxy_kms_calls_total":
		u.kms += value
		if strings.Contains(line, "wrap\"") {
			u.wraps += value
		}
	}
}

// processCPU is what a process has used of all cores, in seconds: user and system time of all its
// threads, which the kernel counts in nanoseconds. The clock's number is made of the process's as
// clock_getcpuclockid does it.
// https://github.com/torvalds/linux/blob/v6.18/include/linux/posix-timers_types.h
func processCPU(pid int) (float64, error) {
	const ofProcess = 2 // CPUCLOCK_SCHED, without CPUCLOCK_PERTHREAD
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|ofProcess), &t); err != nil {
		return 0, fmt.Errorf("the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()).Seconds(), nil
}

// forgetPeak lets peak begin anew.
func (s *subject) forgetPeak() {
	if s.process != nil {
		os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.process.PID()), []byte("5"), 0)
	}
}

// peak is the most memory that the process had since forgetPeak, in MiB.
func (s *subject) peak() float64 {
	if s.process == nil {
		return 0
	}
	return peakOf(s.process.PID())
}

// peakOf is VmHWM of a process that runs, in MiB; else 0.
func peakOf(pid int) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	kilobytes, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(between(string(status), "VmHWM:", "\n"), " kB")), 64)
	return kilobytes / 1024
}
