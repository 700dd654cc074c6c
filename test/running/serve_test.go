package running

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// firstStart runs `serve` with nothing configured but a home folder (and a port, because the
// default may be taken on this machine).
func firstStart(t *testing.T, home, address string) *lab.Process {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	p := lab.Start(t, "s3proxy", lab.S3proxy(t), []string{"serve", "--listen", address}, env)
	p.AwaitListening(t, address)
	return p
}

var credentialsFile = regexp.MustCompile(`AWS_SHARED_CREDENTIALS_FILE=('?)(\S+?)('?) `)

// tryLine is the line of the output that users copy and paste.
func tryLine(t *testing.T, output string) (line, credentials string) {
	t.Helper()
	for l := range strings.Lines(output) {
		if m := credentialsFile.FindStringSubmatch(l); m != nil && strings.Contains(l, "aws ") {
			return strings.TrimSpace(l), m[2]
		}
	}
	t.Fatalf("no aws line with AWS_SHARED_CREDENTIALS_FILE in\n%s", output)
	return "", ""
}

func TestTheFirstStartNeedsNothingAndTheSecondReadsEverythingBack(t *testing.T) {
	home, address := t.TempDir(), lab.FreeAddress(t)
	first := firstStart(t, home, address)
	output := waitForOutput(t, first, "AWS_SHARED_CREDENTIALS_FILE=")
	if lines := strings.Count(strings.TrimSpace(output), "\n") + 1; lines > 8 {
		t.Errorf("it prints %d lines, want a handful:\n%s", lines, output)
	}
	_, credentials := tryLine(t, output)
	id, secret := readCredentials(t, credentials)
	if strings.Contains(output, secret) {
		t.Error("the secret is on the terminal")
	}
	if !strings.Contains(strings.ToLower(output), "back") {
		t.Errorf("no word of backing the key up:\n%s", output)
	}
	privateFiles(t, home)

	at := lab.S3{URL: "http://" + address, AccessKey: id, SecretKey: secret}
	bucket := s3test.NewBucket(t, at)
	body := s3test.Content(20, 500_000)
	s3test.MustPut(t, at, "/"+bucket+"/file", body)

	first.Term()
	if code, ok := first.Wait(20 * time.Second); !ok || code != 0 {
		t.Fatalf("exit code %d (ended: %v)\n%s", code, ok, first.Log())
	}
	second := firstStart(t, home, address)
	_, again := tryLine(t, waitForOutput(t, second, "AWS_SHARED_CREDENTIALS_FILE="))
	if again != credentials {
		t.Errorf("the second start has the credentials %s, the first had %s", again, credentials)
	}
	if got := s3test.Get(t, at, "/"+bucket+"/file"); s3test.SameBytes(got.Body, body) != nil {
		t.Errorf("after the second start the object is %v", got)
	}
	for _, p := range []*lab.Process{first, second} {
		if strings.Contains(p.Log(), secret) {
			t.Error("the secret is in the log")
		}
	}
}

// The line works as printed, and as the beginning of other commands.
func TestTheLineOfTheFirstStartWorksInAShell(t *testing.T) {
	aws := lab.NeedAWS(t, lab.Newest)
	home, address := t.TempDir(), lab.FreeAddress(t)
	line, credentials := tryLine(t, waitForOutput(t, firstStart(t, home, address), "AWS_SHARED_CREDENTIALS_FILE="))
	id, secret := readCredentials(t, credentials)
	bucket := s3test.NewBucket(t, lab.S3{URL: "http://" + address, AccessKey: id, SecretKey: secret})
	body := s3test.Content(20, 500_000)
	env := append(lab.Env(), "PATH="+filepath.Dir(aws)+":"+os.Getenv("PATH"))
	lab.MustRun(t, env, "sh", "-c", line)
	command := line[:strings.LastIndex(line, " s3 ")]
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, body, 0o600); err != nil {
		t.Fatal(err)
	}
	lab.MustRun(t, env, "sh", "-c", command+" s3 cp "+source+" s3://"+bucket+"/copied")
	lab.MustRun(t, env, "sh", "-c", command+" s3 cp s3://"+bucket+"/copied "+source+".back")
	if back, err := os.ReadFile(source + ".back"); err != nil || s3test.SameBytes(back, body) != nil {
		t.Errorf("aws s3 cp there and back: %v", err)
	}
}

func waitForOutput(t *testing.T, p *lab.Process, text string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if out := p.Log(); strings.Contains(out, text) && strings.HasSuffix(out, "\n") {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q was not printed:\n%s", text, p.Log())
		}
	}
}

func readCredentials(t *testing.T, path string) (id, secret string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, "=")
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			id = strings.TrimSpace(value)
		case "aws_secret_access_key":
			secret = strings.TrimSpace(value)
		}
	}
	if id == "" || secret == "" {
		t.Fatalf("no keys in %s", path)
	}
	return id, secret
}

// privateFiles fails if others may read a file, or if there are no files.
func privateFiles(t *testing.T, home string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			n++
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %o, want 600", path, info.Mode().Perm())
			}
		}
		return nil
	})
	if err != nil || n < 2 {
		t.Errorf("%d files below the home folder, want the keyset and the credentials (%v)", n, err)
	}
}

// stoppedWithData is the data folder of a proxy that wrote an object and ended.
func stoppedWithData(t *testing.T) string {
	t.Helper()
	p, _ := proxyBefore(t, lab.OnEmbedded)
	s3test.MustPut(t, p.S3(), "/"+s3test.NewBucket(t, p.S3())+"/object", []byte("kept"))
	p.Term()
	if code, ok := p.Wait(20 * time.Second); !ok || code != 0 {
		t.Fatalf("exit code %d (ended: %v)\n%s", code, ok, p.Log())
	}
	return p.DataDir
}

func TestALostKeyfileIsNeverReplaced(t *testing.T) {
	dir := stoppedWithData(t)
	file := lab.KeysetIn(t, dir)
	if err := os.Rename(file, filepath.Join(t.TempDir(), "away")); err != nil {
		t.Fatal(err)
	}
	lab.MustNotStart(t, lab.ProxyOptions{DataDir: dir}, false, filepath.Base(file))
	if _, err := os.Stat(file); err == nil {
		t.Error("a new keyfile was made")
	}
}

func TestAKeyfileThatOpensNothingStopsTheStart(t *testing.T) {
	dir, other := stoppedWithData(t), stoppedWithData(t)
	wrong, err := os.ReadFile(lab.KeysetIn(t, other))
	if err != nil {
		t.Fatal(err)
	}
	file := lab.KeysetIn(t, dir)
	right, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, wrong, 0o600); err != nil {
		t.Fatal(err)
	}
	lab.MustNotStart(t, lab.ProxyOptions{DataDir: dir}, false, "key")
	if err := os.WriteFile(file, right, 0o600); err != nil {
		t.Fatal(err)
	}
	lab.Proxy(t, lab.ProxyOptions{DataDir: dir})
}

func TestAKeyfileThatOthersMayReadStopsTheStart(t *testing.T) {
	dir := stoppedWithData(t)
	if err := os.Chmod(lab.KeysetIn(t, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	lab.MustNotStart(t, lab.ProxyOptions{DataDir: dir}, false, "chmod")
}

func TestANamedKeyThatIsNotThereStopsTheStart(t *testing.T) {
	lab.MustNotStart(t, lab.ProxyOptions{Args: []string{"--kms", "localfile:///nowhere/keyset.json"}}, false,
		"s3proxy keys create --kms localfile:///nowhere/keyset.json")
}

func TestWrongSettingsStopTheStartWithOneLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("no-such-setting: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("listen: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := lab.FreeAddress(t)
	for name, c := range map[string]struct {
		args  []string
		env   []string
		noKey bool
		texts []string
	}{
		"unknown flag":                                {args: []string{"--no-such-setting"}, texts: []string{"no-such-setting"}},
		"unknown variable":                            {env: []string{"S3PROXY_NO_SUCH_SETTING=1"}, texts: []string{"S3PROXY_NO_SUCH_SETTING"}},
		"unknown key of the file":                     {args: []string{"--config", file}, texts: []string{"no-such-setting", file}},
		"a file that is not YAML":                     {args: []string{"--config", broken}, texts: []string{broken}},
		"a file that is not there":                    {args: []string{"--config", file + ".none"}, texts: []string{file + ".none"}},
		"an argument":                                 {args: []string{"what"}, texts: []string{"what"}},
		"a duration that is none":                     {args: []string{"--drain-timeout", "soon"}, texts: []string{"drain-timeout"}},
		"a duration below zero":                       {args: []string{"--drain-timeout", "-1s"}, texts: []string{"drain-timeout"}},
		"a duration that is none, in env":             {env: []string{"S3PROXY_DRAIN_TIMEOUT=soon"}, texts: []string{"drain-timeout", "soon"}},
		"an unknown level":                            {args: []string{"--log-level", "loud"}, texts: []string{"log-level", "loud"}},
		"an unknown format":                           {args: []string{"--log-format", "xml"}, texts: []string{"log-format", "xml"}},
		"an unknown kind of access":                   {args: []string{"--anonymous", "maybe"}, texts: []string{"anonymous", "maybe"}},
		"an unknown KMS":                              {args: []string{"--kms", "abacus://key"}, texts: []string{"abacus", "localfile"}},
		"an upstream that is no URL":                  {args: []string{"--upstream", "store.example"}, texts: []string{"upstream"}},
		"an upstream of another scheme":               {args: []string{"--upstream", "ftp://store.example"}, texts: []string{"upstream"}},
		"itself as upstream":                          {args: []string{"--listen", address, "--upstream", "http://" + address}, texts: []string{"upstream"}},
		"one address for two":                         {args: []string{"--listen", address, "--admin-listen", address}, texts: []string{"admin-listen"}},
		"a region of no store":                        {args: []string{"--upstream-region", "eu-west-1"}, texts: []string{"upstream-region"}},
		"half of the client's keys":                   {env: []string{"S3PROXY_ACCESS_KEY_ID=a"}, noKey: true, texts: []string{"S3PROXY_SECRET_ACCESS_KEY"}},
		"a key to read that is also the key to write": {args: []string{"--kms", "localfile:///a/k.json", "--kms-read", "localfile:///a/k.json"}, texts: []string{"kms-read"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab.MustNotStart(t, lab.ProxyOptions{Args: c.args, Env: c.env, NoKeys: c.noKey}, true, c.texts...)
		})
	}
}

func TestFlagsBeatTheEnvironmentWhichBeatsTheFile(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	// The region shows from outside which of the three settings was used.
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("region: from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]lab.ProxyOptions{
		"from-file": {Args: []string{"--config", file}},
		"from-env":  {Args: []string{"--config", file}, Env: []string{"S3PROXY_REGION=from-env"}},
		"from-flag": {Args: []string{"--config", file, "--region", "from-flag"}, Env: []string{"S3PROXY_REGION=from-env"}},
	} {
		at := lab.Proxy(t, o).S3()
		if got := (s3test.Call{Method: "GET", Path: "/", Region: name}).Do(t, at); got.Status != 200 {
			t.Errorf("%s: %v", name, got)
		}
		if got := (s3test.Call{Method: "GET", Path: "/"}).Do(t, at); got.Code != "AuthorizationHeaderMalformed" || !strings.Contains(string(got.Body), name) {
			t.Errorf("%s: a signature for us-east-1 gets %v %s", name, got, got.Body)
		}
	}
}

// The start waits at most a second for its checks; one check takes four.
func TestItListensThoughTheUpstreamHangs(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	go func() {
		for {
			c, err := hanging.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	lab.S3proxy(t) // build it before the clock starts
	store := lab.SharedVersitygw(t)
	started := time.Now()
	lab.Proxy(t, lab.ProxyOptions{Upstream: store})
	well := time.Since(started)
	for name, url := range map[string]string{"hangs": "http://" + hanging.Addr().String(), "is not there": "http://" + lab.FreeAddress(t), "has no address": "http://no-such-host.invalid"} {
		started := time.Now()
		p := lab.Proxy(t, lab.ProxyOptions{UpstreamURL: url})
		if got := (s3test.Call{Method: "GET", Path: "/", Unsigned: true}).Do(t, p.S3()); got.Status != 403 {
			t.Errorf("an upstream that %s: an unsigned request gets %v", name, got)
		}
		if took := time.Since(started); took > well+3*time.Second {
			t.Errorf("an upstream that %s: the proxy answers only after %v; with a healthy one after %v", name, took, well)
		}
		p.Term()
		if code, ok := p.Wait(10 * time.Second); !ok || code != 0 {
			t.Errorf("an upstream that %s: exit code %d (ended: %v)", name, code, ok)
		}
	}
}

func TestATakenAdminPortOnlyWarns(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	l, err := net.Listen("tcp", "127.0.0.1:6060")
	if err == nil {
		defer l.Close()
	} // else another program has the port, which serves the test as well
	home, address := t.TempDir(), lab.FreeAddress(t)
	p := firstStart(t, home, address)
	if out := waitForOutput(t, p, "6060"); !strings.Contains(out, "6060") {
		t.Errorf("no word of the admin port:\n%s", out)
	}
}
