package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cheggaaa/pb/v3"
	"golang.org/x/term"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// newProgress shows how far a command is, as --progress says: on a terminal as a bar, elsewhere as
// lines, which are JSON where the log is.
func newProgress(c *config.Config, how string, out io.Writer) ops.Progress {
	switch {
	case how == "none":
		return noProgress{}
	case how == "json", how == "auto" && !isTerminal(out) && c.LogFormat == "json":
		return &progressLines{out: out, json: true}
	case how == "plain", !isTerminal(out):
		return &progressLines{out: out}
	}
	return &progressBar{out: out}
}

// progressBar shows progress on a terminal.
type progressBar struct {
	out io.Writer
	bar *pb.ProgressBar // of the walk in progress; nil if there is none, or its end is not known
}

// Counts implements ops.Progress, as the other methods do.
func (p *progressBar) Counts() bool { return true }

func (p *progressBar) Start(w ops.Walk) {
	if p.bar = nil; w.Total > 0 {
		p.bar = pb.New(w.Total).SetTemplateString(`{{counters . }} ` + w.Unit + ` {{bar . }} {{speed . "%s/s" " "}} {{rtime . "%s left" "in %s" ""}}`).SetWriter(p.out).Start()
	}
}

func (p *progressBar) Add(ops.Step) {
	if p.bar != nil {
		p.bar.Increment()
	}
}

func (p *progressBar) Finish() {
	if p.bar != nil {
		p.bar.Finish()
	}
}

// progressEvery is how often there is a line where there is no terminal.
const progressEvery = 10 * time.Second

// progressLines writes a line every ten seconds, while a walk lasts. It names the bucket and the
// prefix that the command was called with, and no object: such lines go to logs that more people
// read than may see the names of objects.
type progressLines struct {
	out  io.Writer
	json bool

	mu     sync.Mutex
	at     progressLine
	before int // done when the last line was written
	stop   func()
}

// progressLine is one line. The JSON names are part of the interface.
type progressLine struct {
	Event  string    `json:"event"` // "progress"
	Time   time.Time `json:"time"`
	Bucket string    `json:"bucket"`
	Prefix string    `json:"prefix,omitempty"`
	Unit   string    `json:"unit"`
	Done   int       `json:"done"`
	Total  int       `json:"total,omitempty"` // where it is known
	Bytes  int64     `json:"bytes"`
	Failed int       `json:"failed"`
	Rate   float64   `json:"per-second"` // since the last line
}

// Counts implements ops.Progress, as the other methods do: a line says how much is done, and not
// of how much, which would cost a listing of its own.
func (p *progressLines) Counts() bool { return false }

func (p *progressLines) Start(w ops.Walk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = progressLine{Event: "progress", Bucket: w.Bucket, Prefix: w.Prefix, Unit: w.Unit, Total: w.Total}
	p.before = 0
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-stopped:
				return
			case now := <-tick.C:
				p.write(now)
			}
		}
	}()
	p.stop = func() { close(stopped); <-ended }
}

func (p *progressLines) Add(s ops.Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at.Done++
	p.at.Bytes += s.Bytes
	if s.Failed {
		p.at.Failed++
	}
}

func (p *progressLines) Finish() { p.stop() }

func (p *progressLines) write(now time.Time) {
	p.mu.Lock()
	line := p.at
	line.Time, line.Rate = now.UTC(), float64(p.at.Done-p.before)/progressEvery.Seconds()
	p.before = p.at.Done
	p.mu.Unlock()
	if p.json {
		_ = json.NewEncoder(p.out).Encode(line) // a command does not end for want of a reader of its progress
		return
	}
	of := ""
	if line.Total > 0 {
		of = fmt.Sprintf(" of %d", line.Total)
	}
	fmt.Fprintf(p.out, "s3://%s/%s: %d%s %s, %.1f MiB, %d failed, %.1f/s\n", line.Bucket, line.Prefix, line.Done, of, line.Unit, float64(line.Bytes)/(1<<20), line.Failed, line.Rate)
}

// noProgress shows nothing.
type noProgress struct{}

func (noProgress) Counts() bool   { return false }
func (noProgress) Start(ops.Walk) {}
func (noProgress) Add(ops.Step)   {}
func (noProgress) Finish()        {}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress shows bytes and speed on a terminal. Elsewhere it shows nothing.
func progress(size int64, errOut io.Writer) *pb.ProgressBar {
	bar := pb.Full.New(0).SetTotal(size).Set(pb.Bytes, true)
	if isTerminal(errOut) {
		return bar.SetWriter(errOut).Start()
	}
	return bar.SetWriter(io.Discard).Set(pb.Static, true).Start()
}
