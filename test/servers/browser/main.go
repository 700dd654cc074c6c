// Command browser drives a headless Chromium for tests: it reads orders from standard input, one
// JSON object a line, and answers each with one on standard output. The browser has an empty
// profile of its own, and ends with the command.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// order is what to do; the fields that are set are done in their order.
type order struct {
	Width, Height int64             `json:",omitempty"` // of the window, in CSS pixels
	Scheme        string            `json:",omitempty"` // light or dark
	Headers       map[string]string `json:",omitempty"` // of all requests from now on
	Open          string            `json:",omitempty"` // a URL
	Keys          string            `json:",omitempty"` // are typed; "\t" is the Tab key
	Eval          string            `json:",omitempty"` // an expression, or a promise; its value is answered
	Picture       string            `json:",omitempty"` // a file for a picture of the whole page
}

// answer is what came of an order.
type answer struct {
	Value any    `json:",omitempty"`
	Error string `json:",omitempty"`
	// Complaints are what the page has written to the console, and what the browser has
	// refused it, since the last answer.
	Complaints []string `json:",omitempty"`
}

func main() {
	path := flag.String("chromium", "/usr/bin/chromium", "path of the browser")
	profile := flag.String("profile", "", "an empty folder for its profile")
	flag.Parse()
	if err := run(*path, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

func run(path, profile string) error {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("force-device-scale-factor", "1"))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	ctx, closeTab := chromedp.NewContext(allocator)
	defer closeTab()
	// Nothing writes to the profile any more when the command ends: its folder may go.
	defer chromedp.Cancel(ctx)
	if err := chromedp.Do(ctx); err != nil {
		return err
	}
	said := &complaints{}
	go said.collect(ctx)
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var o order
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return err
		}
		a := do(ctx, o)
		a.Complaints = said.take()
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return in.Err()
}

// complaints are what stands in the browser's console.
type complaints struct {
	mu  sync.Mutex
	all []string
}

func (c *complaints) collect(ctx context.Context) {
	for m, err := range chromedp.Console(ctx) {
		if err != nil {
			return
		}
		c.mu.Lock()
		c.all = append(c.all, m.String()+" "+m.URL)
		c.mu.Unlock()
	}
}

func (c *complaints) take() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, c.all = c.all, nil
	return all
}

func do(ctx context.Context, o order) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := prepare(ctx, o); err != nil {
		return answer{Error: err.Error()}
	}
	var err error
	if o.Eval != "" {
		if a.Value, err = chromedp.Run(ctx, chromedp.Evaluate[any](o.Eval, chromedp.EvalAwaitPromise)); err != nil {
			return answer{Error: err.Error()}
		}
	}
	if o.Picture != "" {
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(o.Picture, picture, 0o644)
		}
		if err != nil {
			return answer{Error: err.Error()}
		}
	}
	return a
}

// prepare does what has no value.
func prepare(ctx context.Context, o order) error {
	if o.Width > 0 {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(o.Width, o.Height)); err != nil {
			return err
		}
	}
	if o.Scheme != "" {
		scheme := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: o.Scheme}}}
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, scheme); err != nil {
			return err
		}
	}
	if o.Headers != nil {
		headers := network.Headers{}
		for name, value := range o.Headers {
			headers[name] = value
		}
		if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		if _, err := chromedp.Call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers}); err != nil {
			return err
		}
	}
	if o.Open != "" {
		if err := chromedp.Do(ctx, chromedp.Navigate(o.Open)); err != nil {
			return err
		}
	}
	if o.Keys != "" {
		return chromedp.Do(ctx, chromedp.KeyEvent(o.Keys))
	}
	return nil
}
