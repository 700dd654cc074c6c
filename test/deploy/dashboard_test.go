package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

const dashboardFile = "deploy/chart/files/s3proxy-dashboard.json"

// dashboard is what tests look at of it.
type dashboard struct {
	Templating struct {
		List []struct{ Name, Type string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	raw, err := os.ReadFile(lab.Path(t, dashboardFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &d); err != nil || len(d.Panels) < 20 {
		t.Fatalf("%d panels, %v", len(d.Panels), err)
	}
	return d
}

func TestGrafanasTypesReadTheDashboardAndNoOther(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(lab.Path(t, dashboardFile))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ old, other string }{
		"as it is":                {"", ""},
		"a field that is unknown": {`"legendFormat": `, `"legendFormt": `},
		"a field of another type": {`"drawStyle": "line"`, `"drawStyle": 3`},
		"a query without a query": {`"expr": `, `"metric": `},
	} {
		path := lab.PrivateFile(t, strings.Replace(string(raw), c.old, c.other, 1))
		if out, err := lab.RunBoth(t, lab.Env(), lab.Dashboards(t), path); (err == nil) != (c.old == "") {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
}

func TestThePanelsOfTheDashboardDoNotOverlapAndSayWhatTheyShow(t *testing.T) {
	t.Parallel()
	type cell struct{ x, y int }
	taken, ids := map[cell]string{}, map[int]bool{}
	for _, p := range readDashboard(t).Panels {
		if ids[p.ID] || p.ID < 1 {
			t.Errorf("%s: its id %d is none of its own", p.Title, p.ID)
		}
		ids[p.ID] = true
		at := p.GridPos
		if at.X < 0 || at.Y < 0 || at.W < 1 || at.H < 1 || at.X+at.W > 24 {
			t.Errorf("%s is outside: %+v", p.Title, at)
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := taken[cell{x, y}]; other != "" {
					t.Errorf("%s lies over %s", p.Title, other)
				}
				taken[cell{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Type != "timeseries" && p.Type != "stat" || p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%+v: its type, title, description, unit or query is missing", p)
		}
	}
}

var variable = regexp.MustCompile(`\$\{?(\w+)`)

func TestEachQueryOfTheDashboardKeepsToItsVariables(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	known := []string{"__rate_interval"}
	for _, v := range d.Templating.List {
		known = append(known, v.Name)
	}
	for _, want := range []string{"datasource", "job", "instance"} {
		if !slices.Contains(known, want) {
			t.Errorf("there is no variable %s", want)
		}
	}
	metric := regexp.MustCompile(`\b(s3proxy|go|process)_\w+`)
	for _, p := range d.Panels {
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" || target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: %+v", p.Title, target)
			}
			refs[target.RefID] = true
			for _, m := range variable.FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(known, m[1]) {
					t.Errorf("%s: there is no variable %s", p.Title, m[1])
				}
			}
			if n := len(metric.FindAllString(target.Expr, -1)); n == 0 || strings.Count(target.Expr, `{job=~"$job", instance=~"$instance"`) != n {
				t.Errorf("%s: a metric is not of the jobs and instances that were chosen: %s", p.Title, target.Expr)
			}
		}
	}
}

func TestTheChartInstallsTheDashboardOfTheFile(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(lab.Path(t, dashboardFile))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := render(t, "keyset", "--set", "grafanaDashboard.enabled=true", "--set", "grafanaDashboard.annotations.grafana_folder=Storage")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Metadata struct{ Labels, Annotations map[string]string }
		Data     map[string]string
	}
	if err := json.Unmarshal([]byte(asJSON(t, rendered)), &all); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if text := one.Data["s3proxy.json"]; text != "" {
			if strings.TrimRight(text, "\n") != strings.TrimRight(string(want), "\n") || one.Metadata.Labels["grafana_dashboard"] != "1" || one.Metadata.Annotations["grafana_folder"] != "Storage" {
				t.Errorf("it is not that of the file, or cannot be found: %+v\n%s", one.Metadata, text)
			}
			return
		}
	}
	t.Errorf("there is no dashboard in\n%s", rendered)
}

// A label that is misspelt parses, and shows nothing.
func TestPrometheusAnswersEachQueryOfTheDashboardAndAlertsOfWhatHappens(t *testing.T) {
	t.Parallel()
	store, address, secure := lab.SharedVersitygw(t), lab.FreeAddress(t), lab.FreeAddress(t)
	rules, err := filepath.Abs(lab.Path(t, rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--metrics-listen", address, "--allow-plaintext-reads", "--client-rate", "50", "--client-burst", "10"}})
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	lab.NewAuthority(t).Issue(t, "localhost", cert, key)
	lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--metrics-listen", secure, "--tls-cert", cert, "--tls-key", key}})
	prometheus := lab.NewPrometheus(t, rules, address, secure)
	await := func(query string, series bool) {
		t.Helper()
		for until := time.Now().Add(lab.AnswerWithin); (prometheus.Query(t, query) > 0) != series; time.Sleep(200 * time.Millisecond) {
			if time.Now().After(until) {
				t.Errorf("series: %v, want %v: %s", !series, series, query)
				return
			}
		}
	}
	await(`s3proxy_integrity_failures_total`, true) // an increase is what comes after
	at := p.S3()
	bucket := s3test.NewBucket(t, at)
	damaged, plain := "/"+bucket+"/damaged", "/"+bucket+"/plain"
	s3test.Call{Method: "PUT", Path: damaged, Body: s3test.Content(1, 100_000)}.Do(t, at)
	stored := s3test.RawGet(t, store.S3(), damaged)
	stored.Body[50_000] ^= 1
	s3test.RawPut(t, store.S3(), damaged, stored)
	s3test.Call{Method: "PUT", Path: plain, Body: []byte("plain")}.Do(t, store.S3())
	use := func() {
		t.Helper()
		s3test.RoundTrip(t, at, bucket, 10_000)
		s3test.Call{Method: "GET", Path: damaged}.Do(t, at)
		s3test.Call{Method: "GET", Path: plain}.Do(t, at)
		s3test.Call{Method: "GET", Path: plain, Secret: "wrong"}.Do(t, at)
		var crowd sync.WaitGroup // over the limit
		for range 50 {
			crowd.Go(func() { s3test.Call{Method: "GET", Path: plain}.Do(t, at) })
		}
		crowd.Wait()
	}
	for range 3 { // in several scrapes
		use()
		time.Sleep(1500 * time.Millisecond)
	}
	chosen := strings.NewReplacer("$job", ".+", "$instance", ".+", "$__rate_interval", "30s")
	for _, one := range readDashboard(t).Panels {
		for _, target := range one.Targets {
			await(chosen.Replace(target.Expr), true)
		}
	}
	for _, fires := range []string{"S3ProxyIntegrityFailure", "S3ProxyPlaintextReads"} {
		await(`ALERTS{alertname="`+fires+`", alertstate="firing"}`, true)
	}
	await(`ALERTS{alertname!~"S3ProxyIntegrityFailure|S3ProxyPlaintextReads", alertstate="firing"}`, false)
}
