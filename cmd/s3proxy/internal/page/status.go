package page

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3proxy/s3proxy/proxy"
)

// Source is where the numbers come from.
type Source struct {
	Metrics prometheus.Gatherer
	Running func() []proxy.Transfer
	Sweep   func() proxy.SweepState
	Ready   func(context.Context) Readiness
}

// Readiness is what /readyz said last, and the keys for writing that it has tried.
type Readiness struct {
	Ready bool      `json:"ready"`
	At    time.Time `json:"at"`
	Why   string    `json:"why,omitempty"` // it is not
	Notes []string  `json:"notes"`
	Keys  []Key     `json:"keys"`
}

// Key is a key for writing.
type Key struct {
	URI   string `json:"uri"`
	Error string `json:"error,omitempty"` // why it cannot be used now
}

// Status is the document that the page asks for. Numbers count from the start of the process,
// times are in seconds.
type Status struct {
	Now        time.Time   `json:"now"`
	Build      Build       `json:"build"`
	Ready      Readiness   `json:"ready"`
	Totals     Totals      `json:"totals"`
	Operations []Operation `json:"operations"`
	Errors     Errors      `json:"errors"`
	Stores     []Store     `json:"stores"`
	Upstream   []Calls     `json:"upstream"` // requests to stores, by method
	KMS        []Calls     `json:"kms"`      // by operation
	Windows    Windows     `json:"windows"`
	Caches     []Cache     `json:"caches"`
	Running    Running     `json:"running"`
	Upkeep     Upkeep      `json:"upkeep"`
	Process    Process     `json:"process"`
}

// Build is what the program was made of.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

// Totals are of all clients.
type Totals struct {
	Received    float64 `json:"received"`
	Sent        float64 `json:"sent"`
	Requests    float64 `json:"requests"`
	Failed      float64 `json:"failed"`
	InFlight    float64 `json:"in-flight"`
	Connections float64 `json:"connections"`
}

// Operation is what was asked for of one kind.
type Operation struct {
	Name     string  `json:"name"`
	Requests float64 `json:"requests"`
	Refused  float64 `json:"refused"` // 4xx
	Failed   float64 `json:"failed"`  // 5xx, and answers that were cut
	Seconds  float64 `json:"seconds"` // that all took together
}

// Calls are calls of a store or a KMS.
type Calls struct {
	Name    string  `json:"name"`
	Calls   float64 `json:"calls"`
	Failed  float64 `json:"failed"`
	Seconds float64 `json:"seconds"`
}

// Count is how often something was.
type Count struct {
	Name  string  `json:"name"`
	Count float64 `json:"count"`
}

// Errors are of the kinds that somebody should look at.
type Errors struct {
	Integrity  []Count `json:"integrity"`
	Signatures []Count `json:"signatures"`
	Throttled  []Count `json:"throttled"`
	Plaintext  float64 `json:"plaintext"`
}

// Store is a store and whether it answered when it was asked last.
type Store struct {
	URL     string `json:"url"`
	Answers bool   `json:"answers"`
}

// Windows are the keys in memory that new objects get.
type Windows struct {
	KEKs []Count `json:"keks"`
	End  float64 `json:"end"` // of the first, in Unix time; 0: there is none
}

// Cache is what is in memory, and how often it was looked for.
type Cache struct {
	Name    string  `json:"name"`
	Entries float64 `json:"entries"`
	Hits    float64 `json:"hits"`
	Misses  float64 `json:"misses"`
}

// maxRunning is how many requests the document has.
const maxRunning = 100

// Running are the requests that are being answered, the oldest first.
type Running struct {
	Total     int        `json:"total"`
	Transfers []Transfer `json:"transfers"`
}

// Transfer is one of them; see proxy.Transfer.
type Transfer struct {
	ID        string  `json:"id"`
	Operation string  `json:"operation"`
	Client    string  `json:"client"`
	Bucket    string  `json:"bucket"`
	Key       string  `json:"key"`
	Seconds   float64 `json:"seconds"`
	Received  int64   `json:"received"`
	ToReceive int64   `json:"to-receive"`
	Sent      int64   `json:"sent"`
	ToSend    int64   `json:"to-send"`
}

// Upkeep is what the process does without being asked. Times are Unix times; 0: never.
type Upkeep struct {
	SweepBucket      string  `json:"sweep-bucket"` // that is being swept; "": none is
	SweepDone        int     `json:"sweep-done"`
	SweepOf          int     `json:"sweep-of"`
	SweepNext        float64 `json:"sweep-next"`
	SweepLast        float64 `json:"sweep-last"` // in which nothing failed
	SweepFailed      float64 `json:"sweep-failed"`
	UploadsRemoved   float64 `json:"uploads-removed"`
	CredentialsValid bool    `json:"credentials-valid"` // as they were read last
	CredentialsRead  float64 `json:"credentials-read"`
	CertificateEnd   float64 `json:"certificate-end"` // 0: the listener has none
}

// Process is what the process takes of the machine.
type Process struct {
	Start      float64 `json:"start"`
	CPUSeconds float64 `json:"cpu-seconds"`
	Memory     float64 `json:"memory"`
	Goroutines float64 `json:"goroutines"`
	Files      float64 `json:"files"`
	MaxFiles   float64 `json:"max-files"`
}

func (s Source) status(ctx context.Context) (*Status, error) {
	ready := s.Ready(ctx) // first: what it asks the KMS counts, too
	f, err := gather(s.Metrics)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	doc := &Status{
		Now: now.UTC(), Ready: ready, Operations: operations(f), Stores: []Store{}, Caches: caches(f), Running: s.running(now), Upkeep: s.upkeep(f),
		Upstream: calls(f, "s3proxy_upstream_requests_total", "s3proxy_upstream_request_duration_seconds", "method", func(s sample) bool { return lost(s.label("code")) }),
		KMS:      calls(f, "s3proxy_kms_calls_total", "s3proxy_kms_call_duration_seconds", "operation", func(s sample) bool { return s.label("result") != "ok" && s.label("result") != "canceled" }),
		Windows:  Windows{KEKs: f.counts("s3proxy_windows", "kek"), End: f.sum("s3proxy_windows_next_end_timestamp_seconds")},
		Errors: Errors{
			Integrity: f.counts("s3proxy_integrity_failures_total", "kind"), Signatures: f.counts("s3proxy_signatures_refused_total", "cause"),
			Throttled: f.counts("s3proxy_throttled_requests_total", "limit"), Plaintext: f.sum("s3proxy_plaintext_reads_total"),
		},
		Totals: Totals{
			Received: f.sum("s3proxy_request_bytes_total"), Sent: f.sum("s3proxy_response_bytes_total"),
			InFlight: f.sum("s3proxy_requests_in_flight"), Connections: f.sum("s3proxy_connections"),
		},
		Process: Process{
			Start: f.sum("process_start_time_seconds"), CPUSeconds: f.sum("process_cpu_seconds_total"), Memory: f.sum("process_resident_memory_bytes"),
			Goroutines: f.sum("go_goroutines"), Files: f.sum("process_open_fds"), MaxFiles: f.sum("process_max_fds"),
		},
	}
	for _, o := range doc.Operations {
		doc.Totals.Requests += o.Requests
		doc.Totals.Failed += o.Failed
	}
	f.each("s3proxy_upstream_up", func(s sample) { doc.Stores = append(doc.Stores, Store{s.label("store"), s.value() == 1}) })
	f.each("s3proxy_build_info", func(s sample) { doc.Build = Build{s.label("version"), s.label("commit"), s.label("goversion")} })
	return doc, nil
}

// lost tells whether a class of statuses is that of a request which failed.
func lost(code string) bool { return code == "5xx" || code == "error" }

func operations(f families) []Operation {
	all := map[string]*Operation{}
	at := func(s sample) *Operation {
		name := s.label("operation")
		if all[name] == nil {
			all[name] = &Operation{Name: name}
		}
		return all[name]
	}
	f.each("s3proxy_requests_total", func(s sample) {
		o := at(s)
		o.Requests += s.value()
		switch code := s.label("code"); {
		case lost(code):
			o.Failed += s.value()
		case code == "4xx":
			o.Refused += s.value()
		}
	})
	f.each("s3proxy_request_duration_seconds", func(s sample) { at(s).Seconds += s.m.GetHistogram().GetSampleSum() })
	return sorted(all, func(o Operation) string { return o.Name })
}

func calls(f families, counter, histogram, label string, failed func(sample) bool) []Calls {
	all := map[string]*Calls{}
	at := func(s sample) *Calls {
		name := s.label(label)
		if all[name] == nil {
			all[name] = &Calls{Name: name}
		}
		return all[name]
	}
	f.each(counter, func(s sample) {
		c := at(s)
		c.Calls += s.value()
		if failed(s) {
			c.Failed += s.value()
		}
	})
	f.each(histogram, func(s sample) { at(s).Seconds += s.m.GetHistogram().GetSampleSum() })
	return sorted(all, func(c Calls) string { return c.Name })
}

func caches(f families) []Cache {
	all := map[string]*Cache{}
	f.each("s3proxy_cache_entries", func(s sample) { all[s.label("cache")] = &Cache{Name: s.label("cache"), Entries: s.value()} })
	f.each("s3proxy_cache_lookups_total", func(s sample) {
		switch c := all[s.label("cache")]; {
		case c == nil:
		case s.label("result") == "hit":
			c.Hits += s.value()
		default:
			c.Misses += s.value()
		}
	})
	return sorted(all, func(c Cache) string { return c.Name })
}

func sorted[T any](all map[string]*T, name func(T) string) []T {
	list := []T{}
	for v := range maps.Values(all) {
		list = append(list, *v)
	}
	slices.SortFunc(list, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	return list
}

func (s Source) running(now time.Time) Running {
	all := s.Running()
	r := Running{Total: len(all), Transfers: []Transfer{}}
	for _, t := range all[:min(len(all), maxRunning)] {
		r.Transfers = append(r.Transfers, Transfer{
			ID: t.ID, Operation: t.Operation, Client: t.Client, Bucket: t.Bucket, Key: t.Key, Seconds: now.Sub(t.Start).Seconds(),
			Received: t.Received, ToReceive: t.ToReceive, Sent: t.Sent, ToSend: t.ToSend,
		})
	}
	return r
}

func (s Source) upkeep(f families) Upkeep {
	sweep := s.Sweep()
	u := Upkeep{
		SweepBucket: sweep.Bucket, SweepDone: sweep.Done, SweepOf: sweep.Of, SweepLast: f.sum("s3proxy_last_successful_sweep_timestamp_seconds"),
		CredentialsValid: f.sum("s3proxy_credentials_last_reload_successful") == 1, CredentialsRead: f.sum("s3proxy_credentials_last_reload_success_timestamp_seconds"),
		CertificateEnd: f.sum("s3proxy_certificate_expiry_timestamp_seconds"),
	}
	if !sweep.Next.IsZero() {
		u.SweepNext = float64(sweep.Next.Unix())
	}
	f.each("s3proxy_sweeps_total", func(s sample) {
		if s.label("result") == "failed" {
			u.SweepFailed = s.value()
		}
	})
	f.each("s3proxy_swept_uploads_total", func(s sample) {
		if s.label("result") == "removed" {
			u.UploadsRemoved = s.value()
		}
	})
	return u
}

// Keys sorts keys by their names, and keeps one of each.
func Keys(all []Key) []Key {
	slices.SortFunc(all, func(a, b Key) int { return cmp.Or(strings.Compare(a.URI, b.URI), strings.Compare(b.Error, a.Error)) })
	return slices.CompactFunc(all, func(a, b Key) bool { return a.URI == b.URI })
}
