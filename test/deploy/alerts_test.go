package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/s3proxy/s3proxy/test/lab"
)

const (
	rulesFile  = "deploy/chart/files/s3proxy.rules.yaml"
	alertTests = "testdata/alerts/s3proxy.test.yaml"
)

// rules is a file of rules for Prometheus, as a test looks at it and writes another one.
type rules struct {
	Groups []struct {
		Name  string
		Rules []alert
	}
}

type alert struct {
	Alert       string
	Expr        string
	For         string `yaml:"for,omitempty"`
	Labels      map[string]string
	Annotations map[string]string
}

func readRules(t *testing.T) (all rules) {
	t.Helper()
	raw, err := os.ReadFile(lab.Path(t, rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, &all); err != nil || len(all.Groups) != 1 || len(all.Groups[0].Rules) < 15 {
		t.Fatalf("%+v, %v", all, err)
	}
	return all
}

// promtool tests rules in place of those of the chart.
func promtoolTest(t *testing.T, r rules) (out string, err error) {
	t.Helper()
	folder := t.TempDir()
	raw, err := yaml.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(alertTests)
	if err != nil {
		t.Fatal(err)
	}
	named := strings.Replace(string(tests), "../../../../"+rulesFile, "rules.yaml", 1)
	for name, text := range map[string]string{"rules.yaml": string(raw), "test.yaml": named} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return lab.RunBoth(t, lab.Env(), lab.Promtool(t), "test", "rules", filepath.Join(folder, "test.yaml"))
}

func TestPromtoolAcceptsTheAlertsAndTheirTestsPass(t *testing.T) {
	t.Parallel()
	promtool := lab.Promtool(t)
	for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", lab.Path(t, rulesFile)}, {"test", "rules", alertTests}} {
		args[len(args)-1] = abs(t, args[len(args)-1])
		if out, err := lab.RunBoth(t, lab.Env(), promtool, args...); err != nil || !strings.Contains(out, "SUCCESS") {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func abs(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// An alert without a case in which it fires, or without one in which it does not, would get past
// one of these.
func TestEachAlertHasATestThatFailsWithoutItAndOneThatFailsIfItAlwaysFires(t *testing.T) {
	t.Parallel()
	lab.Promtool(t)
	for i, one := range readRules(t).Groups[0].Rules {
		t.Run(one.Alert, func(t *testing.T) {
			t.Parallel()
			never, always := readRules(t), readRules(t)
			never.Groups[0].Rules = slices.Delete(never.Groups[0].Rules, i, i+1)
			always.Groups[0].Rules[i].Expr, always.Groups[0].Rules[i].For = "vector(1)", ""
			for what, changed := range map[string]rules{"never": never, "always": always} {
				out, err := promtoolTest(t, changed)
				if err == nil || !strings.Contains(out, "alertname: "+one.Alert+",") {
					t.Errorf("it %s fires, and no test minds (%v):\n%s", what, err, out)
				}
				if what == "always" && !regexp.MustCompile(`alertname: `+one.Alert+`,.*\n\s*exp:\[\s*\],`).MatchString(out) {
					t.Errorf("it always fires, and no test wants that it does not:\n%s", out)
				}
			}
		})
	}
}

var (
	headings    = regexp.MustCompile(`(?m)^## (.+)$`)
	runbookPage = "https://github.com/s3proxy/s3proxy/blob/main/docs/RUNBOOK.md"
)

func TestEachAlertHasAnEntryOfTheRunbookAndEachEntryAnAlert(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(lab.Path(t, "docs", "RUNBOOK.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]string{} // by their anchors
	for _, m := range headings.FindAllStringSubmatch(string(page), -1) {
		entries["#"+strings.ToLower(m[1])] = m[1]
	}
	for _, one := range readRules(t).Groups[0].Rules {
		anchor, ours := strings.CutPrefix(one.Annotations["runbook_url"], runbookPage)
		if !ours || entries[anchor] != one.Alert {
			t.Errorf("%s: its runbook_url %q leads to %q", one.Alert, one.Annotations["runbook_url"], entries[anchor])
		}
		delete(entries, anchor)
		if s := one.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: its severity is %q", one.Alert, s)
		}
		if one.Annotations["summary"] == "" || one.Annotations["description"] == "" {
			t.Errorf("%s says nothing", one.Alert)
		}
	}
	for _, entry := range entries {
		t.Errorf("docs/RUNBOOK.md has the entry %s, which is no alert", entry)
	}
	for _, link := range regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`).FindAllStringSubmatch(string(page), -1) {
		if _, err := os.Stat(lab.Path(t, "docs", link[1])); err != nil {
			t.Error(err)
			continue
		}
		target := page
		if link[1] != "" {
			if target, err = os.ReadFile(lab.Path(t, "docs", link[1])); err != nil {
				t.Error(err)
			}
		}
		if link[2] != "" && !slices.ContainsFunc(regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(target), -1), func(m []string) bool {
			return "#"+strings.ToLower(strings.ReplaceAll(regexp.MustCompile(`[^\w -]`).ReplaceAllString(m[1], ""), " ", "-")) == link[2]
		}) {
			t.Errorf("docs/RUNBOOK.md: %s leads nowhere", link[0])
		}
	}
}

func TestTheChartInstallsTheAlertsOfTheFile(t *testing.T) {
	t.Parallel()
	rendered, err := render(t, "aws")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Kind string
		Spec rules
	}
	if err := json.Unmarshal([]byte(asJSON(t, rendered)), &all); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if one.Kind != "PrometheusRule" {
			continue
		}
		if want := readRules(t); !reflect.DeepEqual(one.Spec, want) {
			t.Errorf("%+v, want\n%+v", one.Spec, want)
		}
		return
	}
	t.Errorf("there is no PrometheusRule in\n%s", rendered)
}
