package bench

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// way is how a model's bytes travel, by the variant that was measured.
type way struct{ name, variant, trailer string }

var ways = []way{
	{"http, `opaque`", usual, "clients: unsigned chunks, CRC32"},
	{"http, `md5`", "`--etag md5`", ""},
	{"TLS on both sides, `opaque`", "TLS on both sides", ""},
	{"TLS on both sides, `md5`", "TLS on both sides, `--etag md5`", ""},
}

// coresOfReplica is of what size the model's replicas are.
const coresOfReplica = 4

// gigabytes are what a network of so many Gbit/s carries in a second, one way.
func gigabytes(gbit float64) float64 { return gbit / 8 }

// coresFor are the cores that bytes or requests keep busy: CPU-seconds each, so many a second.
func coresFor(cpuEach, each float64) float64 { return cpuEach * each }

// replicasFor leave a third of their cores idle, for bursts and for a replica that is gone.
func replicasFor(cores float64) int { return int(math.Ceil(cores * 1.5 / coresOfReplica)) }

// model says from measured CPU-seconds what a core serves, and how many cores a network needs.
func (g growth) model() string {
	a := g["settings"]
	if a == nil {
		return ""
	}
	r := &results{Records: a.Records}
	var b strings.Builder
	fmt.Fprintf(&b, "| job | way | CPU-s per GB | a core serves | 10 Gbit/s: cores, replicas of %d | 100 Gbit/s |\n|---|---|---|---|---|---|\n", coresOfReplica)
	for _, job := range []string{"PUT 16 MiB", "GET 16 MiB"} {
		for _, w := range ways {
			variants := []string{w.variant}
			if job[:3] == "PUT" && w.trailer != "" {
				variants = append(variants, w.trailer)
			}
			for i, v := range variants {
				cpu := r.median(job, v, cpuOf)
				if math.IsNaN(cpu) || cpu == 0 {
					continue
				}
				name := w.name
				if job[:3] == "PUT" && strings.HasPrefix(name, "http") {
					name += [...]string{", signed chunks", ", unsigned chunks"}[i]
				}
				need := func(gbit float64) string {
					cores := coresFor(cpu, gigabytes(gbit))
					return fmt.Sprintf("%.1f, %d", cores, replicasFor(cores))
				}
				fmt.Fprintf(&b, "| %s | %s | %s | %s GB/s (%.1f Gbit/s) | %s | %s |\n", job, name, figures(cpu), figures(1/cpu), 8/cpu, need(10), need(100))
			}
		}
	}
	b.WriteString("\n| job | way | CPU-s per 1,000 | a core serves | 10,000 a second: cores, replicas |\n|---|---|---|---|---|\n")
	for _, job := range []string{"PUT 4 KiB", "GET 4 KiB"} {
		for _, w := range ways {
			cpu := r.median(job, w.variant, cpuOf)
			if math.IsNaN(cpu) || cpu == 0 {
				continue
			}
			cores := coresFor(cpu, 10)
			fmt.Fprintf(&b, "| %s | %s | %s | %.0f a second | %.1f, %d |\n", job, w.name, figures(cpu), 1000/cpu, cores, replicasFor(cores))
		}
	}
	return b.String()
}

func TestTheModelCountsCores(t *testing.T) {
	if got := coresFor(1.6, gigabytes(10)); got != 2 {
		t.Errorf("1.25 GB a second at 1.6 CPU-seconds each keep %v cores busy", got)
	}
	for cores, want := range map[float64]int{0.1: 1, 2: 1, 3: 2, 20: 8} {
		if got := replicasFor(cores); got != want {
			t.Errorf("%v busy cores: %d replicas, want %d", cores, got, want)
		}
	}
	g := growth{"settings": {Records: []record{{Job: "PUT 16 MiB", Subject: usual, Bulk: true, CPUPerGB: 1.6}, {Job: "GET 4 KiB", Subject: usual, CPUPer1000: 0.25}}}}
	text := g.model()
	for _, want := range []string{
		"| PUT 16 MiB | http, `opaque`, signed chunks | 1.60 | 0.62 GB/s (5.0 Gbit/s) | 2.0, 1 | 20.0, 8 |",
		"| GET 4 KiB | http, `opaque` | 0.25 | 4000 a second | 2.5, 1 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the model lacks %q:\n%s", want, text)
		}
	}
}
