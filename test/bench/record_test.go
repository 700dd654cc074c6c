package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// record is one sample: a job, a subject, a round. GB are 10^9 bytes.
type record struct {
	Job                string             `json:"job"`
	Subject            string             `json:"subject"`
	Round              int                `json:"round"`
	Clients            int                `json:"clients"`
	Bulk               bool               `json:"bulk"`
	Growth             string             `json:"growth,omitempty"`
	Operations         int                `json:"operations"`
	Bytes              int64              `json:"bytes"`
	Seconds            float64            `json:"seconds"`
	OpsPerSecond       float64            `json:"ops-per-second"`
	MBPerSecond        float64            `json:"mb-per-second"`
	CPUSeconds         float64            `json:"cpu-seconds"` // of the proxy's process
	CPUPerGB           float64            `json:"cpu-seconds-per-gb"`
	CPUPer1000         float64            `json:"cpu-seconds-per-1000"`
	PeakMiB            float64            `json:"peak-mib"`
	AllocationsPerOp   float64            `json:"allocations-per-op"`
	AllocatedPerOp     float64            `json:"allocated-bytes-per-op"`
	StoreRequestsPerOp float64            `json:"store-requests-per-op"`
	KMSCalls           float64            `json:"kms-calls"`
	Rate               float64            `json:"rate,omitempty"` // of an open loop, per second
	Milliseconds       map[string]float64 `json:"milliseconds"`   // latency by percentile
	Load               float64            `json:"load"`           // of the machine, the last minute's
	RefusedPerOp       float64            `json:"refused-per-op,omitempty"`
}

var percentiles = []float64{50, 75, 90, 95, 99, 99.5, 99.9, 99.99}

func newRecord(j job, subject string, round int, d done, u used, peak, rate, load float64) record {
	r := record{
		Job: j.name, Subject: subject, Round: round, Clients: j.clients, Bulk: j.bulk, Growth: j.growth, Operations: d.ops, Bytes: d.bytes, Seconds: d.seconds,
		CPUSeconds: u.cpu, PeakMiB: peak, KMSCalls: u.kms, Rate: rate, Load: load, Milliseconds: map[string]float64{},
	}
	ops, gigabytes := float64(d.ops), float64(d.bytes)/1e9
	r.OpsPerSecond, r.MBPerSecond = ops/d.seconds, 1000*gigabytes/d.seconds
	r.CPUPer1000, r.AllocationsPerOp, r.AllocatedPerOp, r.StoreRequestsPerOp = 1000*u.cpu/ops, u.mallocs/ops, u.bytes/ops, u.store/ops
	if d.bytes > 0 {
		r.CPUPerGB = u.cpu / gigabytes
	}
	slices.Sort(d.latency)
	for _, p := range percentiles {
		r.Milliseconds[percentName(p)] = float64(percentile(d.latency, p)) / float64(time.Millisecond)
	}
	return r
}

func percentName(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) }

// environment is what figures depend on.
type environment struct {
	Commit string `json:"commit"` // with + where files differ from it
	Go     string `json:"go"`
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Store  string `json:"store"`
	Begun  string `json:"begun"`
	Rounds int    `json:"rounds"`
	Length string `json:"length"` // of a sample
	Quick  bool   `json:"quick"`
}

func environmentOf(b *testing.B, s settings) environment {
	b.Helper()
	first := func(path, before string) string {
		text, _ := os.ReadFile(path)
		return strings.TrimSpace(between(string(text), before, "\n"))
	}
	output := func(args ...string) string {
		out, _ := exec.Command(args[0], args[1:]...).Output()
		return strings.TrimSpace(string(out))
	}
	commit := output("git", "rev-parse", "--short", "HEAD")
	if output("git", "status", "--porcelain") != "" {
		commit += "+"
	}
	pinned := map[string]string{"minio": "github.com/minio/minio ", "versitygw": "github.com/versity/versitygw "}[s.store]
	return environment{
		Commit: commit, Go: runtime.Version(), CPU: strings.TrimPrefix(first("/proc/cpuinfo", "model name\t:"), " "), Cores: runtime.NumCPU(),
		Kernel: strings.Fields(first("/proc/version", "version "))[0], Store: s.store + " " + strings.TrimSuffix(first(lab.Path(b, "test", "servers", s.store, "go.mod"), "\t"+pinned), " // indirect"),
		Begun: time.Now().UTC().Format(time.RFC3339), Rounds: s.rounds, Length: s.length.String(), Quick: s.quick,
	}
}

// results are all records of a run.
type results struct {
	Environment environment `json:"environment"`
	Records     []record    `json:"records"`
}

// write writes all that is made of them into a folder.
func (r *results) write(b *testing.B, folder string) {
	b.Helper()
	raw, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	for name, text := range map[string]string{
		"results.json": string(raw), "benchstat.txt": r.benchstat(), "table.md": r.markdown(),
		"ratios.svg": r.ratioFigure(), "latency.svg": r.latencyFigure(), "growth.svg": r.growthFigure(),
	} {
		if err == nil && text != "" {
			err = os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

// benchstat is in the format of Go's benchmarks: https://go.dev/design/14313-benchmark-format
func (r *results) benchstat() string {
	var b strings.Builder
	e := r.Environment
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\ncpu: %s\ncommit: %s\nstore: %s\n", runtime.GOOS, runtime.GOARCH, e.CPU, e.Commit, e.Store)
	clean := strings.NewReplacer(" ", "_", ",", "", "%", "", ":", "")
	for _, one := range r.Records {
		fmt.Fprintf(&b, "BenchmarkS3/job=%s/subject=%s %d %.0f ns/op %.2f MB/s %.4f cpu-s/1000op %.4f cpu-s/GB %.1f peak-MiB %.1f allocs/op %.0f B/op %.2f store-req/op %.3f p99-ms\n",
			clean.Replace(one.Job), one.Subject, one.Operations, 1e9/one.OpsPerSecond, one.MBPerSecond, one.CPUPer1000, one.CPUPerGB, one.PeakMiB, one.AllocationsPerOp, one.AllocatedPerOp, one.StoreRequestsPerOp, one.Milliseconds["99"])
	}
	return b.String()
}
