package running

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

const adminToken = "an admin token for tests/1"

// askAdmin returns the status and the text of a page of the admin listener.
func askAdmin(t *testing.T, address, path string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

var forOperators = []string{"/", "/page.js", "/page.css", "/status.json", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap"}

func TestWhatIsForOperatorsIsForThisMachineOrForTheToken(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	anywhere := func() string { return strings.Replace(lab.FreeAddress(t), "127.0.0.1", "0.0.0.0", 1) }
	reach := func(address string) string { return strings.Replace(address, "0.0.0.0", "127.0.0.1", 1) }
	all := func(address string, want int, headers ...string) {
		t.Helper()
		for _, path := range forOperators {
			if status, text := askAdmin(t, reach(address), path, headers...); status != want || strings.Contains(text, adminToken) {
				t.Errorf("%s with %q: %d, want %d", path, headers, status, want)
			}
		}
		for _, path := range []string{"/healthz", "/readyz"} {
			if status, _ := askAdmin(t, reach(address), path, "Host", "pod.example"); status != 200 {
				t.Errorf("%s: %d", path, status)
			}
		}
	}
	here := lab.FreeAddress(t)
	lab.Proxy(t, lab.ProxyOptions{Args: []string{"--admin-listen", here}})
	all(here, 200)
	all(here, 200, "Host", "localhost:6060")
	all(here, 403, "Host", "rebound.example")
	all(here, 403, "Sec-Fetch-Site", "cross-site")

	open := anywhere()
	p := lab.Proxy(t, lab.ProxyOptions{Args: []string{"--admin-listen", open}})
	all(open, 403)
	if !strings.Contains(p.Log(), "admin-token-file") {
		t.Errorf("nothing warns:\n%s", p.Log())
	}

	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(adminToken)
	for _, address := range []string{lab.FreeAddress(t), anywhere()} {
		write(adminToken)
		p := lab.Proxy(t, lab.ProxyOptions{Args: []string{"--admin-listen", address, "--admin-token-file", file}})
		all(address, 401)
		all(address, 401, "Authorization", "Bearer wrong")
		all(address, 200, "Authorization", "Bearer "+adminToken)
		all(address, 200, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("anybody:"+adminToken)))
		write("another token, which counts at once")
		all(address, 401, "Authorization", "Bearer "+adminToken)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		all(address, 503, "Authorization", "Bearer "+adminToken)
		if strings.Contains(p.Log(), adminToken) {
			t.Errorf("the token is in the log:\n%s", p.Log())
		}
	}
	write("short")
	lab.MustNotStart(t, lab.ProxyOptions{Args: []string{"--admin-listen", lab.FreeAddress(t), "--admin-token-file", file}}, false, "admin-token-file", "5 bytes")
	write(adminToken)
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	lab.MustNotStart(t, lab.ProxyOptions{Args: []string{"--admin-listen", lab.FreeAddress(t), "--admin-token-file", file}}, false, "admin-token-file", "chmod 600")
}

// look is the script with which a test inspects the page.
const look = `(() => {
  const text = (id) => document.getElementById(id).innerText;
  return {
    title: document.title, ready: text('ready'), tiles: text('tiles'), running: text('running'), operations: text('operations'), errors: text('errors'),
    keys: text('keys'), windows: text('windows'), kms: text('kms'), stores: text('stores'), upstream: text('upstream'), caches: text('caches'), upkeep: text('upkeep'),
    process: text('process'), banner: text('lost'), rate: text('rate-received'), progress: document.querySelectorAll('#running progress').length,
    markup: document.querySelectorAll('main b, main script, main img').length, points: document.querySelectorAll('#chart-received polyline').length,
    wide: document.documentElement.scrollWidth - window.innerWidth, focus: document.activeElement.id || document.activeElement.className || document.activeElement.tagName,
    back: getComputedStyle(document.documentElement).backgroundColor, pause: text('pause'), all: document.documentElement.outerHTML,
  };
})()`

// contrast is a script that returns each text with too little contrast to its background: WCAG 2.1,
// 1.4.3.
const contrast = `(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1 }; };
  const light = (c) => [c.r, c.g, c.b].map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a > 0) return c; } return { r: 255, g: 255, b: 255 }; };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    if (!e.offsetParent || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(e.tagName + ' ' + e.textContent.trim().slice(0, 30) + ': ' + ratio.toFixed(1));
  }
  return bad.join('; ');
})()`

type seen struct {
	Title, Ready, Tiles, Running, Operations, Errors, Keys, Windows, KMS, Stores, Upstream, Caches, Upkeep, Process, Banner, Rate, Focus, Back, Pause, All string
	Progress, Markup, Points, Wide                                                                                                                         float64
}

func see(t *testing.T, b *lab.Browser) (s seen) {
	t.Helper()
	value, complaints := b.Do(t, lab.Order{Eval: look})
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range complaints {
		if !strings.Contains(c, "Failed to load resource") || !strings.Contains(c, "status.json") {
			t.Errorf("the browser complains: %s", c)
		}
	}
	return s
}

func await(t *testing.T, b *lab.Browser, what string, wanted func(seen) bool) seen {
	t.Helper()
	var s seen
	for until := time.Now().Add(2 * lab.AnswerWithin); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		if s = see(t, b); wanted(s) {
			return s
		}
	}
	s.All = ""
	t.Fatalf("the page does not show %s: %+v", what, s)
	return s
}

// picture saves a picture of the page for human eyes in S3PROXY_TEST_PICTURES.
func picture(t *testing.T, b *lab.Browser, name string) {
	t.Helper()
	folder := os.Getenv("S3PROXY_TEST_PICTURES")
	if folder == "" {
		folder = t.TempDir()
	}
	b.Do(t, lab.Order{Picture: filepath.Join(folder, name+".png")})
}

func TestThePageShowsWhatAProxyDoes(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	lab.TakesLong(t)
	t.Parallel()
	b, vault, store := lab.NewBrowser(t), lab.NewVault(t), lab.Versitygw(t)
	vault.CreateKey(t, "shown")
	file, address := filepath.Join(t.TempDir(), "token"), lab.FreeAddress(t)
	if err := os.WriteFile(file, []byte(adminToken), 0o600); err != nil {
		t.Fatal(err)
	}
	p := lab.Proxy(t, lab.ProxyOptions{
		Upstream: store, Env: vault.Env(), Args: []string{"--kms", "vault://transit/shown", "--admin-listen", address, "--admin-token-file", file},
	})
	bucket := s3test.NewBucket(t, p.S3())
	for range 5 {
		s3test.RoundTrip(t, p.S3(), bucket, 300_000)
	}
	wrong := s3test.Call{Method: "GET", Path: "/" + bucket + "/none", Secret: "wrong"}.Do(t, p.S3())
	markup := "<b>bold</b><img src=x>"
	done := make(chan s3test.Answer)
	reader, writer := io.Pipe()
	go func() {
		resp, err := s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + s3test.Escape(markup, true), PayloadHash: s3test.UnsignedPayload}.Streamed(t, p.S3(), http.DefaultClient, reader, 4_000_000)
		if err != nil {
			done <- s3test.Answer{Err: err}
			return
		}
		resp.Body.Close()
		done <- s3test.Answer{Status: resp.StatusCode}
	}()
	writer.Write(make([]byte, 1_000_000))

	basic := base64.StdEncoding.EncodeToString([]byte("operator:" + adminToken))
	b.Do(t, lab.Order{Width: 1600, Height: 1000, Scheme: "light", Headers: map[string]string{"Authorization": "Basic " + basic}, Open: "http://" + address + "/"})
	s := await(t, b, "requests", func(s seen) bool { return s.Points == 1 && strings.Contains(s.Running, "PutObject") })
	for what, c := range map[string]struct{ text, want string }{
		"readiness": {s.Ready, "Ready"}, "an operation": {s.Operations, "GetObject"}, "the key": {s.Keys, "vault://transit/shown\tworks"}, "its version": {s.Windows, "vault://transit/shown#1\t1"},
		"the KMS": {s.KMS, "wrap"}, "the store": {s.Stores, "answers"}, "requests to it": {s.Upstream, "PUT"}, "a cache": {s.Caches, "Window keys"}, "the sweep": {s.Upkeep, "next in"},
		"memory": {s.Process, "MiB"}, "the wrong signature": {s.Errors, "SignatureDoesNotMatch"}, "the transfer": {s.Running, bucket + "/" + markup}, "its progress": {s.Running, "of 3.8 MiB received"},
	} {
		if !strings.Contains(c.text, c.want) {
			t.Errorf("%s: no %q in %q", what, c.want, c.text)
		}
	}
	if s.Markup != 0 || s.Progress != 1 {
		t.Errorf("%v elements are of an object's name, %v bars", s.Markup, s.Progress)
	}
	_, document := askAdmin(t, address, "/status.json", "Authorization", "Basic "+basic)
	for _, secret := range []string{adminToken, lab.ClientSecretKey, store.SecretKey, vault.RootToken, wrong.Signature} {
		if strings.Contains(s.All, secret) || strings.Contains(document, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	looks(t, b)
	byKeyboard(t, b)

	writer.Write(make([]byte, 3_000_000))
	writer.Close()
	if a := <-done; a.Status != 200 {
		t.Error(a)
	}
	await(t, b, "the end of the transfer", func(s seen) bool { return strings.Contains(s.Running, "Nothing is running.") })
	vault.Stop()
	s = await(t, b, "that the KMS is away", func(s seen) bool {
		return !strings.Contains(s.Keys, "works") && s.Banner != "" && strings.Contains(s.Errors, "KMS call failed")
	})
	if !strings.Contains(s.Ready, "with warnings") {
		t.Errorf("%q, %q, %q", s.Ready, s.Banner, s.Errors)
	}
	picture(t, b, "kms-away")
	p.Kill()
	s = await(t, b, "that the proxy has ended", func(s seen) bool { return strings.Contains(s.Banner, "No answer") })
	if s.Ready != "Unknown" || !strings.HasPrefix(s.Title, "No answer") {
		t.Errorf("%q, %q", s.Ready, s.Title)
	}
}

// looks checks the page in both colour schemes, narrow and wide.
func looks(t *testing.T, b *lab.Browser) {
	t.Helper()
	backs := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1600, 768, 360} {
			b.Do(t, lab.Order{Width: width, Height: 900, Scheme: scheme})
			time.Sleep(300 * time.Millisecond) // colours may still be in transition
			s := see(t, b)
			backs[scheme] = s.Back
			if s.Wide > 0 {
				t.Errorf("%s, %d: the page is %v pixels too wide", scheme, width, s.Wide)
			}
			if bad, _ := b.Do(t, lab.Order{Eval: contrast}); bad != "" {
				t.Errorf("%s, %d: hard to read: %v", scheme, width, bad)
			}
			picture(t, b, fmt.Sprint(scheme, "-", width))
		}
	}
	if backs["light"] == backs["dark"] {
		t.Errorf("both schemes are %s", backs["light"])
	}
	b.Do(t, lab.Order{Width: 1600, Height: 1000, Scheme: "light"})
}

// byKeyboard goes through the page with only the Tab key.
func byKeyboard(t *testing.T, b *lab.Browser) {
	t.Helper()
	b.Do(t, lab.Order{Keys: "\t"})
	if s := see(t, b); s.Focus != "skip" {
		t.Errorf("the first Tab goes to %s", s.Focus)
	}
	b.Do(t, lab.Order{Keys: "\t"})
	if s := see(t, b); s.Focus != "pause" {
		t.Errorf("the second Tab goes to %s", s.Focus)
	}
	if outline, _ := b.Do(t, lab.Order{Eval: "getComputedStyle(document.activeElement).outlineStyle"}); outline != "solid" {
		t.Errorf("the focus is shown as %v", outline)
	}
	b.Do(t, lab.Order{Keys: "\r"})
	if s := see(t, b); s.Pause != "Resume" {
		t.Errorf("Enter does not pause: %s", s.Pause)
	}
	b.Do(t, lab.Order{Keys: " "})
	if s := see(t, b); s.Pause != "Pause" {
		t.Errorf("the space bar does not resume: %s", s.Pause)
	}
	links := ""
	for range 20 {
		b.Do(t, lab.Order{Keys: "\t"})
		href, _ := b.Do(t, lab.Order{Eval: "document.activeElement.getAttribute('href') || ''"})
		links += fmt.Sprint(href, " ")
	}
	if !strings.Contains(links, "debug/pprof/ readyz status.json") {
		t.Errorf("Tab reaches %s", links)
	}
	b.Do(t, lab.Order{Eval: "document.querySelector('.skip').focus()"})
	b.Do(t, lab.Order{Keys: "\r"})
	if s := see(t, b); s.Focus != "content" {
		t.Errorf("the skip link leads to %s", s.Focus)
	}
}
