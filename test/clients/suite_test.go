package clients

import (
	"bufio"
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// notThroughTheProxy are the cases of versitygw's suite that pass against versitygw
// itself and cannot pass through the proxy, with the reason. docs/S3.md has the same
// list.
var notThroughTheProxy = map[string]string{
	"IAM_CreateBucket_empty_owner_header":                                     "versitygw's own admin API, which is no S3",
	"IAM_CreateBucket_non_existing_user":                                      "versitygw's own admin API, which is no S3",
	"IAM_ListBuckets":                                                         "versitygw's own admin API, which is no S3",
	"CopyObject_conditional_reads":                                            "versitygw answers 304 NotModified to a failed x-amz-copy-source-if-none-match; S3 documents 412, and so do we",
	"UploadPartCopy_conditional_reads":                                        "versitygw answers 304 NotModified to a failed x-amz-copy-source-if-none-match; S3 documents 412, and so do we",
	"Versioning_CopyObject_encoded_versionid_separator_invalid_versionId":     "versitygw decodes a copy's source before it looks for the version; on AWS and MinIO an encoded question mark belongs to the key",
	"Versioning_UploadPartCopy_encoded_versionid_separator_invalid_versionId": "versitygw decodes a copy's source before it looks for the version; on AWS and MinIO an encoded question mark belongs to the key",
	"CompleteMultipartUpload_mpu_object_size":                                 "versitygw's message exchanges the two sizes; the code and the status are the same",
	"CORSMiddleware_invalid_headers":                                          "versitygw judges Access-Control-Request-Headers in requests that are no preflight; no browser sends it with them, and we refuse none for it",
	"CORSMiddleware_invalid_method":                                           "the same for Access-Control-Request-Method",
	"PostObject_policy_access_control":                                        "versitygw tells a failed condition as the policy has it, without blanks; S3 writes it anew, and minio-go looks for that",
	"PostObject_policy_condition_key_mismatch":                                "versitygw tells a failed condition as the policy has it, without blanks; S3 writes it anew, and minio-go looks for that",
	"PreflightOPTIONS_access_granted":                                         "versitygw exposes ETag without being told to, and sends Access-Control-Allow-Credentials: false; AWS does neither",
	"PreflightOPTIONS_non_existing_bucket":                                    "AWS answers AccessForbidden (CORSResponse: Bucket not found), and so do we",
	"PutBucketCors_invalid_header":                                            "versitygw's message names AllowedHeader where an ExposeHeader is wrong; code and status are the same",
}

// onlyInMD5 are the cases that compare an ETag with an MD5: lost with --etag opaque.
var onlyInMD5 = []string{"CompleteMultipartUpload_racey_data_integrity", "PutObject_success"}

// ownRules is --etag md5 with the CORS rules of the proxy. In the other modes those of the store
// count, since some cases let anonymous clients put rules, by a policy that is the store's.
const ownRules = "own rules"

// TestWhatPassesOfVersitygwsSuitePassesThroughTheProxy runs the suite of versitygw
// (765 cases) against versitygw and through the proxy before another versitygw.
func TestWhatPassesOfVersitygwsSuitePassesThroughTheProxy(t *testing.T) {
	if lab.Direct {
		t.Skip("it compares the two by itself")
	}
	t.Parallel()
	page, err := os.ReadFile("../../docs/S3.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, why := range notThroughTheProxy {
		if !strings.Contains(string(page), "| "+name+" | "+why+" |\n") {
			t.Errorf("docs/S3.md does not tell of %s: %s", name, why)
		}
	}
	want := runSuite(t, "", nil)
	passing := 0
	for _, line := range want {
		if line == "" {
			passing++
		}
	}
	t.Logf("direct: %d of %d cases pass", passing, len(want))
	if passing < 650 {
		t.Fatalf("only %d cases pass direct", passing)
	}
	for _, mode := range []string{"md5", "opaque", ownRules} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var cases []string // nil: all
			if mode == ownRules {
				cases = slices.DeleteFunc(slices.Collect(maps.Keys(want)), func(name string) bool { return !aboutCORS.MatchString(name) })
				if len(cases) < 15 {
					t.Errorf("only %d cases are about CORS", len(cases))
				}
			}
			got := runSuite(t, mode, cases)
			lost := func() (names []string) {
				for name, failure := range want {
					if cases != nil && !slices.Contains(cases, name) {
						continue
					}
					_, ran := got[name]
					if failure == "" && (!ran || got[name] != "") && notThroughTheProxy[name] == "" && !(mode == "opaque" && slices.Contains(onlyInMD5, name)) {
						names = append(names, name)
					}
				}
				slices.Sort(names)
				return names
			}
			// In parallel and on a busy machine a case may run into its own deadline: those that
			// were lost are run again, without the others.
			for range 3 {
				again := lost()
				if len(again) == 0 || len(again) > 20 {
					break
				}
				t.Logf("run again: %s", strings.Join(again, ", "))
				maps.Copy(got, runSuite(t, mode, again))
			}
			names := lost()
			for _, name := range names {
				failure, ran := got[name]
				if !ran {
					failure = "it did not run"
				}
				t.Errorf("%s: %s", name, failure)
			}
			if cases == nil {
				t.Logf("through the proxy (--etag %s): %d of the %d cases that pass direct", mode, passing-len(names), passing)
			}
		})
	}
}

var aboutCORS = regexp.MustCompile(`Cors_|^CORS|^Preflight`)

var suiteLine = regexp.MustCompile(`^(?:\x1b\[\d+m)*(PASS|FAIL)\s*(?:\x1b\[\d+m)*\s*(\w+)(?:: (.*))?$`)

// runSuite runs versitygw's suite, or the cases named, before a versitygw of its own;
// mode "" is without the proxy. It gives each case's failure, "" for a pass.
func runSuite(t *testing.T, mode string, cases []string) map[string]string {
	t.Helper()
	results := map[string]string{}
	run := func(args ...string) {
		store := lab.VersitygwForSuite(t)
		at := store.S3()
		if mode != "" {
			flags := []string{"--etag", mode, "--cors", "store"}
			if mode == ownRules {
				flags = []string{"--etag", "md5", "--cors", "own"}
			}
			at.URL = lab.Proxy(t, lab.ProxyOptions{Upstream: store, NoKeys: true, Args: append(flags, "--anonymous", "store", "--region", "us-east-1", "--auth-v2", "off"),
				// The suite signs with the store's root key.
				Env: []string{"S3PROXY_ACCESS_KEY_ID=" + at.AccessKey, "S3PROXY_SECRET_ACCESS_KEY=" + at.SecretKey}}).URL
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "./versitygw", append([]string{"test", "-a", at.AccessKey, "-s", at.SecretKey, "-e", at.URL}, args...)...)
		// It calls ./versitygw for the administration of users.
		cmd.Dir = t.TempDir()
		if err := os.Symlink(lab.VersitygwBinary(t), filepath.Join(cmd.Dir, "versitygw")); err != nil {
			t.Fatal(err)
		}
		cmd.Env = lab.Env()
		out, _ := cmd.CombinedOutput() // it fails when a case does
		for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
			if m := suiteLine.FindStringSubmatch(strings.TrimSpace(s.Text())); m != nil {
				failure := m[3]
				if m[1] == "FAIL" && failure == "" {
					failure = "failed"
				}
				results[m[2]] = failure
			}
		}
		if bytes.Contains(out, []byte("panic:")) {
			t.Errorf("the suite panicked:\n%s", out[bytes.Index(out, []byte("panic:")):])
		}
	}
	if cases == nil {
		run("full-flow", "-vs", "-p")
	}
	for _, name := range cases {
		run(name)
	}
	return results
}
