package metrics

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// named are the metrics that a query, an alert or a page may name.
var named = regexp.MustCompile(`\b(s3proxy|go|process)_[a-z0-9_]+\b`)

func TestAlertsDashboardAndRunbookNameMetricsThatThereAre(t *testing.T) {
	families, err := everything(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, f := range families {
		known = append(known, f.GetName(), f.GetName()+"_bucket", f.GetName()+"_count", f.GetName()+"_sum")
	}
	files, err := filepath.Glob("../../../../deploy/chart/files/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	dashboard, err := os.ReadFile("../../../../deploy/chart/files/s3proxy-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "s3proxy_") && !strings.Contains(string(dashboard), name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
	for _, file := range append(files, "../../../../docs/RUNBOOK.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := named.FindAllString(string(text), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				t.Errorf("%s names %s, which is no metric", file, name)
			}
		}
	}
}
