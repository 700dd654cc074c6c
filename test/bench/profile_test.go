package bench

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profile keeps what the processor does while a proxy does a job, in a file for `go tool pprof`.
// It is no sample: a profile slows what it looks at.
func (w *world) profile(j job, s *subject) {
	if s.admin == "" {
		return
	}
	profiled := make(chan error, 1)
	go func() { profiled <- w.keepProfile(j, s) }()
	w.closedLoop(j, s, time.Duration(w.settings.profile)*time.Second)
	if err := <-profiled; err != nil {
		w.b.Fatal(err)
	}
}

func (w *world) keepProfile(j job, s *subject) error {
	resp, err := http.Get(fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.admin, w.settings.profile))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("profile of %s: %s", s.name, resp.Status)
	}
	name := strings.NewReplacer(" ", "-", ",", "", "%", "", ":", "").Replace(j.name) + "-" + s.name + ".pprof"
	if err := os.MkdirAll(filepath.Join(w.settings.out, "profiles"), 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(w.settings.out, "profiles", name))
	if err != nil {
		return err
	}
	_, err = io.Copy(file, resp.Body)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
