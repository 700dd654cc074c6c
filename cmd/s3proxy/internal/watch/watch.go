// Package watch tells when files may have changed that are replaced while the program runs:
// credentials, certificates. It looks at no content.
package watch

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing must happen before a change is told: files are written in
	// several steps.
	quiet = 200 * time.Millisecond
	// patience is how long a change may stay untold in a folder that is never quiet: others may
	// write there, too.
	patience = 2 * time.Second
	// again is how often a change is told though none was seen: not every file system tells
	// of them (NFS, FUSE), nor does a kernel whose watches are used up.
	again = 30 * time.Second
)

// Files watches files and folders.
type Files struct {
	// Changed gets a value when something may have changed.
	Changed chan struct{}

	events  *fsnotify.Watcher // nil: the kernel gives none
	watched map[string]bool   // folders
	next    chan next
	done    chan struct{}
	log     *slog.Logger
}

// New begins to watch. A path may be that of a file, of a folder whose content counts, or of
// nothing yet.
func New(paths []string, log *slog.Logger) *Files {
	f := &Files{Changed: make(chan struct{}, 1), watched: map[string]bool{}, next: make(chan next), done: make(chan struct{}), log: log}
	var err error
	if f.events, err = fsnotify.NewWatcher(); err != nil {
		log.Warn("the system does not tell of changed files: they are looked at every half minute", "error", err)
	}
	f.watch(paths)
	go f.run()
	return f
}

// next is what to watch from now on.
type next struct {
	paths   []string
	watched chan struct{} // closed when it is
}

// Set replaces what is watched. When it returns no later change is missed: whoever reads the files
// then has the last state, or is told of another.
func (f *Files) Set(paths []string) {
	n := next{paths, make(chan struct{})}
	select {
	case f.next <- n:
	case <-f.done:
		return
	}
	select {
	case <-n.watched:
	case <-f.done:
	}
}

// Close ends the watching.
func (f *Files) Close() { close(f.done) }

func (f *Files) run() {
	var events chan fsnotify.Event
	var errs chan error
	if f.events != nil {
		defer f.events.Close()
		events, errs = f.events.Events, f.events.Errors
	}
	settled, first := time.NewTimer(again), time.Time{} // first: of the events that were not told
	happened := func() {
		if first.IsZero() {
			first = time.Now()
		}
		if time.Since(first) < patience {
			settled.Reset(quiet)
		}
	}
	for {
		select {
		case <-f.done:
			return
		case n := <-f.next:
			f.watch(n.paths)
			close(n.watched)
		case <-events:
			happened()
		case <-errs: // events were lost
			happened()
		case <-settled.C:
			first = time.Time{}
			settled.Reset(again)
			select {
			case f.Changed <- struct{}{}:
			default: // told already
			}
		}
	}
}

// watch asks the kernel for events of the folders, not the files: a file's own watch ends when
// another takes its place.
func (f *Files) watch(paths []string) {
	if f.events == nil {
		return
	}
	folders := map[string]bool{}
	for _, path := range paths {
		for _, at := range places(path) {
			folders[at] = true
		}
	}
	for folder := range f.watched {
		if !folders[folder] {
			_ = f.events.Remove(folder) // it may be gone
			delete(f.watched, folder)
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		// Also one that is watched: it may have been made anew under its name.
		if err := f.events.Add(folder); err != nil {
			if _, gone := os.Stat(folder); gone == nil {
				f.log.Warn("a folder cannot be watched: it is looked at every half minute", "folder", folder, "error", err)
			}
			continue
		}
		f.watched[folder] = true
	}
}

// places gives the folders in which a change changes what is at a path: those of its name and of
// what a link leads to and, for a folder, itself and its own folders.
func places(path string) []string {
	all := []string{filepath.Dir(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		all = append(all, filepath.Dir(real))
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return all // no folder
	}
	all = append(all, path)
	for _, e := range entries {
		inside := filepath.Join(path, e.Name())
		if info, err := os.Stat(inside); err == nil && info.IsDir() {
			all = append(all, inside)
		}
	}
	return all
}
