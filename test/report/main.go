// Command report runs `go test` and prints what a waiting person wants to know: a line for each
// package when it is done, a line now and then during silence, the output of what failed, and in
// the end what was skipped and why, and what took longest.
//
//	report [-slowest N] -- arguments of go test
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	slowest := flag.Int("slowest", 10, "how many of the slowest tests to list")
	flag.Parse()
	// An interrupt reaches go test as well; report still prints what go test then says.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	passed, err := run(flag.Args(), *slowest, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

func run(args []string, slowest int, to io.Writer) (passed bool, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	r := newReport(to, time.Now)
	r.require = os.Getenv("S3PROXY_TEST_REQUIRE") == "1"
	lines := make(chan string)
	go func() {
		defer close(lines)
		in := bufio.NewReader(out)
		for {
			line, err := in.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	const quiet = 10 * time.Second
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for open := true; open; {
		var line string
		select {
		case line, open = <-lines:
			if open {
				r.line(line)
			}
		case <-tick.C:
			r.progress(quiet)
		}
	}
	err = cmd.Wait()
	r.summary(slowest)
	if _, failed := err.(*exec.ExitError); failed {
		return false, nil
	}
	return err == nil && r.forbidden == 0, err
}

// event is a line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

func (r *report) line(text string) {
	var e event
	if json.Unmarshal([]byte(text), &e) != nil || e.Action == "" {
		r.print("%s", text)
		return
	}
	r.event(e)
}
