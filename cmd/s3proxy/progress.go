package main

import (
	"io"
	"os"

	"github.com/cheggaaa/pb/v3"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

func (p *pace) add(f *pflag.FlagSet) {
	f.IntVar(&p.concurrency, "concurrency", 8, "how many at once")
	f.Float64Var(&p.rate, "rate", 0, "at most so many objects a second; 0: as fast as it goes")
}

func (p *pace) check() error {
	if p.concurrency < 1 || p.rate < 0 {
		return config.Usagef("concurrency is at least 1, and rate cannot be negative")
	}
	return nil
}

// newBar shows progress on a terminal, and nothing elsewhere.
func newBar(w io.Writer, total int, unit string) *pb.ProgressBar {
	bar := pb.New(total).SetTemplateString(`{{counters . }} ` + unit + ` {{bar . }} {{speed . "%s/s" " "}} {{rtime . "%s left" "in %s" ""}}`)
	if isTerminal(w) {
		return bar.SetWriter(w).Start()
	}
	return bar.SetWriter(io.Discard).Set(pb.Static, true).Start()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress shows bytes and speed on a terminal, and nothing elsewhere.
func progress(size int64, errOut io.Writer) *pb.ProgressBar {
	bar := pb.Full.New(0).SetTotal(size).Set(pb.Bytes, true)
	if isTerminal(errOut) {
		return bar.SetWriter(errOut).Start()
	}
	return bar.SetWriter(io.Discard).Set(pb.Static, true).Start()
}
