package commands

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// diagnosis is the output of doctor by check. If a check occurs several times, it holds the worst
// result, that is the last in the order ok, skipped, warning, failed.
type diagnosis map[string]struct{ Check, At, State, Found, Do string }

var badness = map[string]int{"ok": 1, "skipped": 2, "warning": 3, "failed": 4}

// doctor runs doctor with a store's credentials and returns its diagnosis.
func (k *keyed) doctor(want int, env []string, args ...string) diagnosis {
	k.t.Helper()
	cmd := exec.Command(lab.S3proxy(k.t), append([]string{"doctor", "--json"}, args...)...)
	cmd.Env = k.store.S3().Env(append([]string{"HOME=" + k.t.TempDir(), "S3PROXY_ACCESS_KEY_ID=" + lab.ClientAccessKey, "S3PROXY_SECRET_ACCESS_KEY=" + lab.ClientSecretKey}, env...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != want {
		k.t.Errorf("doctor %q: exit code %d, not %d:\n%s%s", args, code, want, out, errs.String())
	}
	found := diagnosis{}
	for line := range strings.Lines(string(out)) {
		one := found[""]
		if err := json.Unmarshal([]byte(line), &one); err != nil || badness[one.State] == 0 {
			k.t.Fatalf("%v: %s", err, line)
		}
		if badness[one.State] > badness[found[one.Check].State] {
			found[one.Check] = one
		}
	}
	return found
}

// want checks for a state, and for a part of the finding or the advice.
func (d diagnosis) want(t *testing.T, check, state, part string) {
	t.Helper()
	one := d[check]
	if one.State != state || !strings.Contains(one.Found+" -> "+one.Do, part) {
		t.Errorf("%s is %q, wanted %s with %q: %s -> %s", check, one.State, state, part, one.Found, one.Do)
	}
	if (state == "warning" || state == "failed") && one.Do == "" {
		t.Errorf("%s: nothing says what to do: %s", check, one.Found)
	}
}

// On stores that behave, all checks are ok, and nothing is left in the bucket.
func TestDoctorFindsARealStoreWellAndLeavesNothingBehind(t *testing.T) {
	onKeyed(t, func(k *keyed) {
		t := k.t
		d := k.doctor(0, nil, "--bucket", k.bucket, "--kms", k.kms, "--upstream", k.store.URL)
		for _, check := range []string{"configuration", "clients", "temp-folder", "open-files", "cpu", "kms", "kms-privileges", "store", "store-credentials", "store-clock", "bucket", "versioning",
			"lifecycle", "state-objects", "round-trip", "trailers", "signed-chunks", "unsigned-payload", "cut-body", "conditional-put", "conditional-complete", "conditional-copy", "multipart-limits", "cleanup"} {
			d.want(t, check, "ok", "")
		}
		if k.store == lab.SharedMinIO(t) {
			d.want(t, "versioning", "ok", "enabled")
		} else {
			d.want(t, "versioning", "ok", "no versions")
			d.want(t, "cut-body", "ok", "a bare one would")
		}
		d.want(t, "kms-clock", "skipped", "no clock")
		d.want(t, "conditional-copy", "ok", "not to those about their destination")
		left, err := k.raw().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &k.bucket})
		if err != nil || len(left.Versions)+len(left.DeleteMarkers) > 0 {
			t.Errorf("left behind: %+v %+v, %v", left.Versions, left.DeleteMarkers, err)
		}
		uploads, err := k.raw().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &k.bucket})
		if err != nil || len(uploads.Uploads) > 0 {
			t.Errorf("uploads left behind: %+v, %v", uploads.Uploads, err)
		}
		k.command(0, "doctor", "--read-only", "--bucket", k.bucket)
	})
}

// Whatever is wrong with the store or the bucket is found by the check made for it, and each
// finding says what to do.
func TestDoctorFindsWhatIsWrongWithTheStore(t *testing.T) {
	lab.TakesLong(t)
	k := onStore(t, lab.SharedVersitygw(t))
	put := func(part string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Method == "PUT" && strings.Contains(r.URL.Path, part) }
	}
	header := func(method, name, value string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			return r.Method == method && strings.Contains(r.URL.Path, "s3proxy-doctor/") && strings.HasPrefix(r.Header.Get(name), value) && r.Header.Get(name) != ""
		}
	}
	query := func(method, part string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.RawQuery, part) }
	}
	denied, refused, fine := answer(403, "AccessDenied"), answer(501, "NotImplemented"), answer(200, "")
	fine.Header.Set("ETag", `"0"`)
	copied := answer(200, "")
	copied.Body = []byte(`<CopyObjectResult><ETag>"0"</ETag></CopyObjectResult>`)
	completed := answer(200, "")
	completed.Body = []byte(`<CompleteMultipartUploadResult><ETag>"0"</ETag></CompleteMultipartUploadResult>`)
	for name, c := range map[string]struct {
		picks        func(*http.Request) bool
		reply        *lab.Reply
		check, state string
		part         string
		args         []string
	}{
		"versions are a secret":      {query("GET", "versioning="), denied, "versioning", "skipped", "s3:GetBucketVersioning", nil},
		"rules are a secret":         {query("GET", "lifecycle="), denied, "lifecycle", "skipped", "s3:GetLifecycleConfiguration", nil},
		"no state":                   {put(".s3proxy/doctor/"), denied, "state-objects", "failed", "/.s3proxy/", nil},
		"no trailers":                {header("PUT", "X-Amz-Content-Sha256", "STREAMING-UNSIGNED"), refused, "trailers", "failed", "set upstream-payload", nil},
		"no trailers wanted":         {header("PUT", "X-Amz-Content-Sha256", "STREAMING-UNSIGNED"), refused, "trailers", "ok", "does not ask for", []string{"--upstream-payload", "signed"}},
		"no signed chunks":           {header("PUT", "X-Amz-Content-Sha256", "STREAMING-AWS4"), refused, "signed-chunks", "failed", "set upstream-payload", []string{"--upstream-payload", "signed"}},
		"no bare bodies":             {header("PUT", "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), refused, "unsigned-payload", "failed", "set upstream-payload", nil},
		"no bare bodies wanted":      {header("PUT", "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), refused, "unsigned-payload", "ok", "does not ask for", []string{"--upstream-payload", "signed"}},
		"checksums are not compared": {put("/wrong-checksum"), fine, "trailers", "warning", "checksum is wrong", nil},
		"cut bodies are kept":        {func(r *http.Request) bool { return r.Method == "HEAD" && strings.HasSuffix(r.URL.Path, "/cut") }, fine, "cut-body", "failed", "unsigned", nil},
		"conditions are ignored":     {header("PUT", "If-Match", `"0`), fine, "conditional-put", "warning", "it ignores If-Match", nil},
		"new is not only new":        {header("PUT", "If-None-Match", "*"), fine, "conditional-put", "warning", "it ignores If-None-Match", nil},
		"an end without a condition": {header("POST", "If-None-Match", "*"), completed, "conditional-complete", "warning", "it ignores", nil},
		"a copy without a condition": {header("PUT", "X-Amz-Copy-Source-If-Match", ""), copied, "conditional-copy", "warning", "it ignores", nil},
		"a copy held to its place": {func(r *http.Request) bool {
			return r.Header.Get("X-Amz-Copy-Source") != "" && r.Header.Get("If-None-Match") != ""
		}, answer(412, "PreconditionFailed"), "conditional-copy", "ok", "source and destination", nil},
		"few parts": {query("PUT", "partNumber=10000"), answer(400, "InvalidArgument"), "multipart-limits", "failed", "10000", nil},
		"nothing is deleted": {func(r *http.Request) bool {
			return r.Method == "DELETE" && strings.HasSuffix(r.URL.Path, "/conditional-put")
		}, denied, "cleanup", "warning", "remove", nil},
		"a store that takes no bytes": {put("/round-trip"), denied, "round-trip", "failed", "could not be written", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hostile := lab.Hostile(t, k.store)
			hostile.Preempt(func(r *http.Request) *lab.Reply {
				if !c.picks(r) {
					return nil
				}
				reply := *c.reply
				return &reply
			})
			own := *k
			own.t = t
			code := 3
			if c.state == "ok" || c.state == "skipped" {
				code = 0
			}
			d := own.doctor(code, nil, append([]string{"--bucket", k.bucket, "--kms", k.kms, "--upstream", hostile.URL}, c.args...)...)
			d.want(t, c.check, c.state, c.part)
			if hostile.Preempt(nil) == 0 {
				t.Error("nothing was answered otherwise")
			}
		})
	}
}

func answer(status int, code string) *lab.Reply {
	return &lab.Reply{Status: status, Header: http.Header{}, Body: []byte("<Error><Code>" + code + "</Code></Error>")}
}

// MinIO supports lifecycle rules: a rule for all objects would expire the window records.
func TestDoctorFindsALifecycleRuleOverItsOwnObjects(t *testing.T) {
	k := onStore(t, lab.SharedMinIO(t))
	for prefix, state := range map[string]string{"": "failed", "tmp/": "ok", ".s3": "failed"} {
		_, err := k.raw().PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{Bucket: &k.bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{
			Rules: []types.LifecycleRule{{ID: aws.String("ends all"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: &prefix}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		code := 0
		if state == "failed" {
			code = 3
		}
		d := k.doctor(code, nil, "--bucket", k.bucket, "--read-only", "--kms", k.kms, "--upstream", k.store.URL)
		if d.want(t, "lifecycle", state, ""); state == "failed" {
			d.want(t, "lifecycle", state, `"ends all"`)
		}
		d.want(t, "round-trip", "skipped", "read-only")
	}
}

// Doctor finds faults in addresses, credentials, clocks and settings.
func TestDoctorFindsWhatIsWrongBeforeTheStore(t *testing.T) {
	k := onStore(t, lab.SharedVersitygw(t))
	late := lab.Hostile(t, k.store)
	late.Tell(func(a *lab.Reply) {
		a.Header.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	})
	open := filepath.Join(t.TempDir(), "clients.yaml")
	if err := os.WriteFile(open, []byte("- {access-key-id: a, secret-access-key: b}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	cert, certKey := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	lab.NewAuthority(t).Issue(t, "s3.example.com", cert, certKey)
	nowhere := "http://" + lab.FreeAddress(t)
	for name, c := range map[string]struct {
		code               int
		check, state, part string
		env, args          []string
	}{
		"an old clock":         {3, "store-clock", "failed", "behind this machine's", nil, []string{"--upstream", late.URL}},
		"no store":             {3, "store", "failed", "nothing listens there", nil, []string{"--upstream", nowhere}},
		"a store without TLS":  {3, "store", "failed", "write http://", nil, []string{"--upstream", strings.Replace(k.store.URL, "http:", "https:", 1)}},
		"a wrong secret":       {3, "store-credentials", "failed", "AWS_SECRET_ACCESS_KEY", []string{"AWS_SECRET_ACCESS_KEY=wrong"}, []string{"--upstream", k.store.URL}},
		"no bucket":            {3, "bucket", "failed", "make it", nil, []string{"--upstream", k.store.URL, "--bucket", "there-is-none"}},
		"no tests there":       {3, "round-trip", "skipped", "cannot be used", nil, []string{"--upstream", k.store.URL, "--bucket", "there-is-none"}},
		"no keyset":            {3, "kms", "failed", "keys create", nil, []string{"--upstream", k.store.URL, "--kms", k.kms + ".gone"}},
		"plaintext reads":      {3, "configuration", "warning", "allow-plaintext-reads", nil, []string{"--upstream", k.store.URL, "--allow-plaintext-reads"}},
		"a listener for all":   {3, "configuration", "warning", "plaintext-listen", nil, []string{"--upstream", k.store.URL, "--listen", "0.0.0.0:8080"}},
		"secrets for all":      {3, "clients", "failed", "0644", nil, []string{"--upstream", k.store.URL, "--credentials", open}},
		"no temporary folder":  {3, "temp-folder", "failed", "TMPDIR", []string{"TMPDIR=/there/is/none"}, []string{"--upstream", k.store.URL}},
		"no certificate":       {3, "certificate", "failed", "no such file", nil, []string{"--upstream", k.store.URL, "--tls-cert", "/there/is/none", "--tls-key", "/there/is/none"}},
		"a certificate":        {0, "certificate", "ok", "it lasts until", nil, []string{"--upstream", k.store.URL, "--listen", "0.0.0.0:8080", "--tls-cert", cert, "--tls-key", certKey}},
		"few files":            {3, "open-files", "warning", "LimitNOFILE", nil, []string{"--upstream", k.store.URL, "--max-connections", "100000000"}},
		"a wrong flag":         {2, "", "", "", nil, []string{"--upstream", k.store.URL, "--etag", "loud"}},
		"a wrong endpoint":     {2, "", "", "", nil, []string{"--endpoint", "somewhere"}},
		"nothing to read only": {2, "", "", "", nil, []string{"--upstream", k.store.URL, "--read-only"}},
		"nothing yet":          {0, "store", "skipped", "first start", nil, nil},
		"plaintext in a bucket": {3, "round-trip", "warning", "without encryption", nil, []string{"--upstream", k.store.URL, "--bucket", k.bucket, "--config",
			lab.PrivateFile(t, "buckets: {"+k.bucket+": {encrypt: false}}\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := *k
			own.t = t
			if len(c.args) > 0 && !slices.Contains(c.args, "--kms") {
				c.args = append(c.args, "--kms", k.kms)
			}
			d := own.doctor(c.code, c.env, c.args...)
			if c.check != "" {
				d.want(t, c.check, c.state, c.part)
			}
		})
	}
}

// A doctor interrupted while its test objects exist removes them.
func TestDoctorCleansUpWhenItIsInterrupted(t *testing.T) {
	k := onStore(t, lab.SharedVersitygw(t))
	through, begun := lab.Count(t, k.store), make(chan struct{})
	var once sync.Once
	through.First = func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/cut") {
			once.Do(func() { close(begun) })
		}
	}
	p := lab.Start(t, "doctor", lab.S3proxy(t), []string{"doctor", "--bucket", k.bucket, "--kms", k.kms, "--upstream", through.URL}, k.store.S3().Env("HOME="+t.TempDir()))
	select {
	case <-begun:
	case <-time.After(lab.AnswerWithin):
		t.Fatalf("doctor sends no truncated body: %s", p.Log())
	}
	p.Term()
	if code, ended := p.Wait(lab.AnswerWithin); !ended || code != 1 || !strings.Contains(p.Log(), "interrupted") {
		t.Errorf("exit code %d: %s", code, p.Log())
	}
	if left := s3test.KeysOf(t, k.store.S3(), k.bucket, ""); len(left) > 0 {
		t.Errorf("left behind: %v\n%s", left, p.Log())
	}
}

// The policy of docs/STORE-POLICY.md is enough for all checks; if it allows less, doctor notices.
func TestDoctorIsContentWithTheDocumentedPolicyOfTheStore(t *testing.T) {
	k := onStore(t, lab.SharedMinIO(t))
	policy := strings.NewReplacer(":photos", ":"+k.bucket).Replace(lab.DocBlocks(t, "STORE-POLICY.md", "json")[0])
	args := []string{"--bucket", k.bucket, "--kms", k.kms, "--upstream", k.store.URL}
	d := k.doctor(0, lab.MinIOUser(t, k.store, policy), args...)
	d.want(t, "store-credentials", "ok", "")
	d.want(t, "state-objects", "ok", "")
	d.want(t, "round-trip", "ok", "")
	d.want(t, "cleanup", "ok", "are gone")
	d.want(t, "versioning", "skipped", "s3:GetBucketVersioning")
	d = k.doctor(3, lab.MinIOUser(t, k.store, strings.ReplaceAll(policy, `"s3:PutObject", `, "")), args...)
	d.want(t, "state-objects", "failed", "write, read, list and delete")
	d.want(t, "round-trip", "failed", "s3:PutObject")
	d = k.doctor(3, lab.MinIOUser(t, k.store, strings.ReplaceAll(policy, k.bucket, "other")), args...)
	d.want(t, "bucket", "failed", "s3:ListBucket")
}
