package lab

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Collector is a running OpenTelemetry collector that receives OTLP.
type Collector struct {
	*Process
	GRPC, HTTP string // URLs
}

// NewCollector starts a collector for one test.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	grpc, http := FreeAddress(t), FreeAddress(t)
	c := &Collector{
		Process: Start(t, "collector", serverBinary(t, "otlp"), []string{"-grpc", grpc, "-http", http}, Env()),
		GRPC:    "http://" + grpc, HTTP: "http://" + http,
	}
	c.AwaitListening(t, grpc)
	c.AwaitListening(t, http)
	return c
}

// Span is a span as the collector received it.
type Span struct {
	Name         string
	Kind         int // 1: internal, 2: server, 3: client
	Trace        string
	ID, Parent   string
	State        string // tracestate
	Attributes   map[string]string
	Failed       bool
	Description  string
	Service      string
	Begins, Ends time.Time
}

// Spans returns all spans received so far.
func (c *Collector) Spans(t testing.TB) (all []Span) {
	t.Helper()
	for line := range strings.Lines(c.Log()) {
		if !strings.HasSuffix(line, "\n") {
			break // the last line is still being written
		}
		var got struct {
			ResourceSpans []struct {
				Resource   struct{ Attributes otlpAttributes }
				ScopeSpans []struct {
					Spans []struct {
						Name, TraceID, SpanID, ParentSpanID, TraceState string
						Kind                                            int
						Attributes                                      otlpAttributes
						StartTimeUnixNano, EndTimeUnixNano              string
						Status                                          struct {
							Code    int
							Message string
						}
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("the collector: %v in %s", err, line)
		}
		for _, r := range got.ResourceSpans {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					all = append(all, Span{
						Name: s.Name, Kind: s.Kind, Trace: s.TraceID, ID: s.SpanID, Parent: s.ParentSpanID, State: s.TraceState,
						Attributes: s.Attributes.texts(), Failed: s.Status.Code == 2, Description: s.Status.Message,
						Service: r.Resource.Attributes.texts()["service.name"], Begins: nanoseconds(s.StartTimeUnixNano), Ends: nanoseconds(s.EndTimeUnixNano),
					})
				}
			}
		}
	}
	return all
}

// AwaitSpan waits for the first span that wanted accepts.
func (c *Collector) AwaitSpan(t testing.TB, what string, wanted func(Span) bool) Span {
	t.Helper()
	for until := time.Now().Add(AnswerWithin); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		for _, s := range c.Spans(t) {
			if wanted(s) {
				return s
			}
		}
	}
	t.Fatalf("the collector did not receive %s:\n%s", what, c.Log())
	return Span{}
}

func nanoseconds(text string) time.Time {
	n, _ := strconv.ParseInt(text, 10, 64)
	return time.Unix(0, n)
}

type otlpAttributes []struct {
	Key   string
	Value map[string]any // one entry: the value by its type
}

func (a otlpAttributes) texts() map[string]string {
	m := map[string]string{}
	for _, kv := range a {
		for _, v := range kv.Value {
			text, err := json.Marshal(v)
			if err == nil {
				m[kv.Key] = strings.Trim(string(text), `"`)
			}
		}
	}
	return m
}
