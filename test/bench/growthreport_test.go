package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// someGrowth has something for each table and figure.
func someGrowth() growth {
	g := growth{"clients": {}, "kms": {}, "objects": {}, "settings": {}, "replicas": {}}
	add := func(part, subject string, j job, cpu float64) {
		for round := range 3 {
			g[part].Records = append(g[part].Records, newRecord(j, subject, round, done{ops: 1000, bytes: 1e9, seconds: 1, latency: []time.Duration{1e6}}, used{cpu: cpu}, 1, 0, 1))
		}
	}
	for _, clients := range []int{1, 2000} {
		for _, subject := range subjectNames {
			add("clients", subject, job{name: fmt.Sprint("PUT <x>, ", clients), clients: clients, growth: "PUT <x>"}, 1)
		}
	}
	for i, name := range settingColumns {
		for k, subject := range []string{usual, "`--etag md5`", "TLS on both sides"} {
			add("settings", subject, job{name: name, bulk: i > 1}, float64(k+1))
		}
		add("replicas", "opaque, 2 replicas", job{name: name, bulk: i > 1}, 0.5)
	}
	for i, n := range []int{10, 100, 1000} {
		g["objects"].Walks = append(g["objects"].Walks, walkCost{Operation: "LIST", Store: "memory", Things: n, Seconds: 1, CPU: float64(n*(i+1)) / 1e3, Requests: float64(n)})
		g["kms"].KMS = append(g["kms"].KMS, kmsCount{Objects: n, Buckets: 10, Replicas: 1, Window: true, Writing: 10, Reading: 11})
	}
	return g
}

func TestGrowthHasTablesAndFigures(t *testing.T) {
	g := someGrowth()
	for name, figure := range map[string]string{"clients": g.clientFigure(), "objects": g.objectFigure(), "settings": g.settingFigure()} {
		isFigure(t, name, figure, 15)
	}
	text := g.markdown()
	for _, want := range []string{
		"| PUT <x> | 2000 | 1000 op/s | 1000 | 1.00 (1.00 to 1.00) |",
		"| default | 10 | 1 | 10 / **11** | 10 / **11** | 10 / **11** |",
		"| LIST | memory | 10 / 100 / 1000 | 10 / 100 / 1000 | 1 / 1 / 1 | 1000 / 2000 / 3000 | 1.18 | 0 / 0 / 0 |",
		"| `--etag md5` | 2.00; 2.00 (2.00 to 2.00) | 2.00; 2.00 (2.00 to 2.00) |",
		"| PUT 16 MiB | opaque, 2 replicas | 1000 MB/s | 50 % | GB | 0.50 | 2000 MB/s |",
		"| GET 16 MiB | TLS on both sides, `opaque` | 3.00 | 0.33 GB/s (2.7 Gbit/s) | 3.8, 2 | 37.5, 15 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the tables lack %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
