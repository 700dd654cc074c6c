package bench

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// used is what a process has used since its start.
type used struct {
	cpu            float64 // seconds, of user and system
	mallocs, bytes float64 // allocations of Go's heap
	store, kms     float64 // requests
}

func (u used) minus(v used) used {
	return used{u.cpu - v.cpu, u.mallocs - v.mallocs, u.bytes - v.bytes, u.store - v.store, u.kms - v.kms}
}

// used reads all but the CPU.
func (s *subject) used() (u used, err error) {
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

// cpu is what the process has used so far.
func (s *subject) cpu() (float64, error) {
	if s.process == nil {
		return 0, nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.PID()))
	if err != nil {
		return 0, err
	}
	return cpuSeconds(string(stat))
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
	}
}

// cpuSeconds are utime and stime of /proc/PID/stat, which count in hundredths of a second.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func cpuSeconds(stat string) (float64, error) {
	at := strings.LastIndexByte(stat, ')') // the name may have spaces
	fields := strings.Fields(stat[at+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("no /proc/PID/stat: %q", stat)
	}
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100, err
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
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.PID()))
	kilobytes, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(between(string(status), "VmHWM:", "\n"), " kB")), 64)
	return kilobytes / 1024
}
