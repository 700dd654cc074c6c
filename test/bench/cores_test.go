package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// pin lets a process run on one core alone, counted from 1: all its threads, and those that they
// will make. Go counts its processors again within a second.
func (w *world) pin(pid, core int) {
	var set unix.CPUSet
	set.Set(core - 1)
	w.bind(pid, set)
}

// unpin lets this process run everywhere again.
func (w *world) unpin(set unix.CPUSet) { w.bind(os.Getpid(), set) }

func (w *world) bind(pid int, set unix.CPUSet) {
	w.b.Helper()
	for range 2 { // threads that began meanwhile
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, task := range tasks {
			tid, err := strconv.Atoi(filepath.Base(task))
			if err != nil {
				w.b.Fatal(err)
			}
			if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
				w.b.Fatal(err)
			}
		}
	}
}

// ownCores are the cores that this process may use.
func (w *world) ownCores() (set unix.CPUSet) {
	w.b.Helper()
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		w.b.Fatal(err)
	}
	return set
}
