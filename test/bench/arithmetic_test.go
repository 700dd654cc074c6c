package bench

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMediansArePutInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.of); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.of, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("nothing has a median")
	}
}

func TestPercentilesAreValuesThatWereMeasured(t *testing.T) {
	var thousand []int
	for i := range 1000 {
		thousand = append(thousand, i+1)
	}
	for p, want := range map[float64]int{0: 1, 50: 500, 99: 990, 99.9: 999, 100: 1000} {
		if got := percentile(thousand, p); got != want {
			t.Errorf("p%v: %d, want %d", p, got, want)
		}
	}
	if got := percentile([]int{7}, 99.9); got != 7 {
		t.Errorf("of one value: %d", got)
	}
}

func TestEachSubjectIsAtEachPlace(t *testing.T) {
	const n = 4
	at, before := [n][n]int{}, [n][n]int{}
	for by := range 2 * n {
		order := rotated(n, by)
		if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, []int{0, 1, 2, 3}) {
			t.Fatalf("rotated by %d: %v", by, order)
		}
		for place, who := range order {
			at[who][place]++
			if place > 0 {
				before[order[place-1]][who]++
			}
		}
	}
	for who := range n {
		for place := range n {
			if at[who][place] != 2 {
				t.Errorf("%d is %d times at place %d", who, at[who][place], place)
			}
		}
		if before[who][(who+1)%n] != before[(who+1)%n][who] {
			t.Errorf("%d and its neighbour: %v", who, before)
		}
	}
}

func TestRatiosAreOfOneRound(t *testing.T) {
	got := ratios(map[int]float64{0: 10, 1: 30, 2: 5}, map[int]float64{0: 20, 1: 10, 3: 1})
	if !slices.Equal(got, []float64{0.5, 3}) {
		t.Errorf("%v", got)
	}
	if got := differences(map[int]float64{0: 10, 2: 5}, map[int]float64{0: 7}); !slices.Equal(got, []float64{3}) {
		t.Errorf("%v", got)
	}
}

func TestCPUIsThatOfTheWholeProcess(t *testing.T) {
	before, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for begun := time.Now(); time.Since(begun) < 50*time.Millisecond; {
				sha256.Sum256(random()[:kib])
			}
		})
	}
	group.Wait()
	if after, err := processCPU(os.Getpid()); err != nil || after-before < 0.001 || after-before > 10 {
		t.Errorf("two busy threads used %v seconds, %v", after-before, err)
	}
	if _, err := processCPU(1<<22 + 1); err == nil {
		t.Error("a process that is not there has used something")
	}
}

func TestMetricsAreSummedOverTheirLabels(t *testing.T) {
	var u used
	for line := range strings.Lines("# HELP s3proxy_kms_calls_total x\ns3proxy_kms_calls_total{operation=\"wrap\",result=\"ok\"} 2\ns3proxy_kms_calls_total{operation=\"unwrap\"} 3\ns3proxy_kms_calls_total{operation=\"current\"} 4\ngo_memstats_mallocs_total 1.5e+06\ns3proxy_upstream_requests_total{method=\"GET\",code=\"2xx\"} 7\ns3proxy_upstream_request_duration_seconds_count 9\n") {
		u.count(strings.TrimSpace(line))
	}
	if (u != used{kms: 9, wraps: 5, store: 7, mallocs: 1.5e6}) {
		t.Errorf("%+v", u)
	}
}

func TestOtherBytesAreSeen(t *testing.T) {
	c := content{5 * mib, 2 * mib}
	var all []byte
	for off := int64(0); off < c.size; {
		piece := c.at(off)
		all, off = append(all, piece...), off+int64(len(piece))
	}
	if int64(len(all)) != c.size || bytes.Equal(all[:mib], all[2*mib:3*mib]) {
		t.Fatalf("%d bytes of content", len(all))
	}
	changed := slices.Clone(all)
	changed[3*mib] ^= 1
	for name, c2 := range map[string]struct {
		got    []byte
		off, n int64
		fine   bool
	}{
		"whole":   {all, 0, c.size, true},
		"range":   {all[mib+5 : 3*mib], mib + 5, 2*mib - 5, true},
		"short":   {all[:c.size-1], 0, c.size, false},
		"long":    {append(slices.Clone(all), 0), 0, c.size, false},
		"changed": {changed, 0, c.size, false},
	} {
		if err := c.compare(bytes.NewReader(c2.got), c2.off, c2.n); (err == nil) != c2.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChunksHaveTheContent(t *testing.T) {
	c := whole(200 * kib)
	for name, p := range map[string]pieces{"signed": signedPieces("secret", time.Unix(0, 0), "00", c, 0, c.size), "unsigned": unsignedPieces(c, 0, c.size, "crc32")} {
		size := p.size()
		sent, err := io.ReadAll(&p)
		if err != nil || int64(len(sent)) != size {
			t.Errorf("%s: %d bytes, %d announced, %v", name, len(sent), size, err)
		}
		var got []byte
		for rest := sent; ; {
			line, after, _ := bytes.Cut(rest, []byte("\r\n"))
			digits, _, _ := strings.Cut(string(line), ";")
			n, err := strconv.ParseInt(digits, 16, 32)
			if err != nil || !bytes.HasPrefix(after[n:], []byte("\r\n")) && n > 0 {
				t.Fatalf("%s: no chunk: %.100q, %v", name, rest, err)
			}
			if n == 0 {
				break
			}
			got, rest = append(got, after[:n]...), after[n+2:]
		}
		if err := c.compare(bytes.NewReader(got), 0, c.size); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARecordHasWhatAnOperationCosts(t *testing.T) {
	d := done{ops: 4, bytes: 2e9, seconds: 2, latency: []time.Duration{4e6, 1e6, 3e6, 2e6}}
	r := newRecord(job{name: "j", bulk: true}, opaque, 1, d, used{cpu: 3, mallocs: 400, bytes: 4096, store: 8, kms: 1}, 50, 0, 1)
	if r.MBPerSecond != 1000 || r.CPUPerGB != 1.5 || r.CPUPer1000 != 750 || r.AllocationsPerOp != 100 || r.StoreRequestsPerOp != 2 || r.KMSCalls != 1 || r.Milliseconds["50"] != 2 || r.Milliseconds["99.9"] != 4 {
		t.Errorf("%+v", r)
	}
}

func TestFiguresAreXMLAndTablesHaveTheRatios(t *testing.T) {
	r := &results{}
	for round := range 3 {
		for i, subject := range subjectNames {
			for _, j := range []job{{name: "PUT <x>", clients: 1, growth: "x"}, {name: "PUT <x>, more", clients: 8, growth: "x"}, {name: "GET <x>", clients: 1, growth: "x"}, {name: "GET <x>, more", clients: 8, growth: "x"}} {
				r.Records = append(r.Records, newRecord(j, subject, round, done{ops: 10 * (i + 1), seconds: 1, latency: []time.Duration{1e6}}, used{}, 1, 0, 1))
			}
			r.Records = append(r.Records, newRecord(job{name: "PUT at a rate"}, subject, round, done{ops: 10, seconds: 1, latency: []time.Duration{time.Duration(i+1) * 1e6}}, used{}, 1, 10, 1))
		}
	}
	slices.SortStableFunc(r.Records, func(a, b record) int { return strings.Compare(a.Job, b.Job) })
	for name, figure := range map[string]string{"ratios": r.ratioFigure(), "latency": r.latencyFigure(), "growth": r.growthFigure()} {
		isFigure(t, name, figure, 20)
	}
	table := r.markdown()
	for _, want := range []string{"| 10.0 op/s | 20.0 | 1.50 (1.50 to 1.50) | 2.00 (2.00 to 2.00) |", "| opaque | +2.00 | +2.00 | +2.00 |"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
}
