// Package bench measures s3proxy beside a plain httputil.ReverseProxy and beside no proxy at
// all, in front of one store, in one run: machines differ and are noisy, ratios of neighbouring
// samples are not. docs/PERFORMANCE.md has the method.
package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) {
	if setting := os.Getenv(reverseEnv); setting != "" {
		reverseProxy(setting)
		return
	}
	if address := os.Getenv(memoryStoreEnv); address != "" {
		memoryStoreProcess(address)
		return
	}
	lab.Main(m)
}

// BenchmarkReport draws the tables and figures of an earlier run's results.json again.
func BenchmarkReport(b *testing.B) {
	s := readSettings(b)
	raw, err := os.ReadFile(filepath.Join(s.out, "results.json"))
	if err != nil {
		b.Skip("there is no earlier run")
	}
	var r results
	if err := json.Unmarshal(raw, &r); err != nil {
		b.Fatal(err)
	}
	r.write(b, s.out)
}

// BenchmarkS3 does all jobs (settings_test.go says which) and writes what came out into a folder.
func BenchmarkS3(b *testing.B) {
	s := readSettings(b)
	useMemory(b)
	r := &results{Environment: environmentOf(b, s)}
	w := &world{b: b, settings: s}
	for i, j := range jobsOf(s) {
		r.Records = append(r.Records, w.measure(i, j)...)
		fmt.Printf("%-44s %s\n", j.name, r.brief(j.name))
		r.write(b, s.out) // what there is, should a later job fail
	}
	fmt.Printf("\n%s\nwritten to %s\n", r.markdown(), filepath.Clean(s.out))
}

// useMemory keeps what servers store in memory: disks are not what is measured.
func useMemory(b *testing.B) {
	b.Helper()
	if info, err := os.Stat("/dev/shm"); os.Getenv("TMPDIR") == "" && err == nil && info.IsDir() {
		b.Setenv("TMPDIR", "/dev/shm")
	}
}
