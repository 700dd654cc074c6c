package main

import (
	"io"
	"os"

	"github.com/cheggaaa/pb/v3"
	"golang.org/x/term"
)

// walkProgress shows on a terminal how far a command is. Elsewhere it shows nothing.
type walkProgress struct {
	out io.Writer
	bar *pb.ProgressBar // of the walk in progress; nil if there is none, or nobody looks
}

// Watched implements ops.Progress, as the other methods do.
func (p *walkProgress) Watched() bool { return isTerminal(p.out) }

func (p *walkProgress) Start(total int, unit string) {
	if p.Watched() {
		p.bar = pb.New(total).SetTemplateString(`{{counters . }} ` + unit + ` {{bar . }} {{speed . "%s/s" " "}} {{rtime . "%s left" "in %s" ""}}`).SetWriter(p.out).Start()
	}
}

func (p *walkProgress) Add() {
	if p.bar != nil {
		p.bar.Increment()
	}
}

func (p *walkProgress) Finish() {
	if p.bar != nil {
		p.bar.Finish()
	}
}

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
