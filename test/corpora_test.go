package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fuzzTarget = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(f \*testing\.F\)`)

// TestEveryFuzzTargetHasAKeptCorpus: what fuzzing found worth trying is tried by every
// `go test`.
func TestEveryFuzzTargetHasAKeptCorpus(t *testing.T) {
	targets := 0
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range fuzzTarget.FindAllStringSubmatch(string(text), -1) {
			targets++
			dir := filepath.Join(filepath.Dir(path), "testdata", "fuzz", m[1])
			if inputs, err := os.ReadDir(dir); err != nil || len(inputs) < 5 || len(inputs) > 50 {
				t.Errorf("%s has %d inputs, want 5 to 50 (%v)", dir, len(inputs), err)
			}
		}
		return nil
	})
	if err != nil || targets < 18 {
		t.Errorf("%d targets, %v", targets, err)
	}
}
