package commands

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestDoctorRemovesTheStateObjectThatItCannotRead(t *testing.T) {
	k := onStore(t, lab.SharedVersitygw(t))
	hostile := lab.Hostile(t, k.store)
	hostile.Preempt(func(r *http.Request) *lab.Reply {
		if r.Method == "GET" && strings.Contains(r.URL.Path, ".s3proxy/doctor/") {
			return answer(403, "AccessDenied")
		}
		return nil
	})
	k.doctor(3, nil, "--bucket", k.bucket, "--kms", k.kms, "--upstream", hostile.URL).want(t, "state-objects", "failed", "AccessDenied")
	if left := s3test.KeysOf(t, k.store.S3(), k.bucket, ""); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// No version of the test object stays, and no delete marker, whether its PUT is acknowledged or
// not.
func TestDoctorLeavesNoVersionBehindAnEndpoint(t *testing.T) {
	k := onStore(t, lab.SharedMinIO(t))
	_, err := k.raw().PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &k.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: k.store, Args: []string{"--kms", k.kms}})
	target, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	forgets := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == "PUT" {
				r.StatusCode, r.Status = 502, "502 Bad Gateway"
			}
			return nil
		},
	})
	t.Cleanup(forgets.Close)
	for at, state := range map[string]string{proxy.URL: "ok", forgets.URL: "failed"} {
		k.doctor(map[string]int{"ok": 0, "failed": 3}[state], nil, "--endpoint", at, "--bucket", k.bucket).want(t, "endpoint-round-trip", state, "")
		k.nothingOfTheDoctor()
	}
}

// Objects written to such a bucket cannot be deleted.
func TestDoctorWritesNothingToABucketWithADefaultRetention(t *testing.T) {
	k := onStore(t, lab.SharedMinIO(t))
	k.bucket = lab.FreeName("locked")
	if _, err := k.raw().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &k.bucket, ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	_, err := k.raw().PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: &k.bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := k.doctor(0, nil, "--bucket", k.bucket, "--kms", k.kms, "--upstream", k.store.URL)
	d.want(t, "bucket", "ok", "")
	for _, check := range []string{"state-objects", "round-trip", "cut-body", "conditional-put", "cleanup"} {
		d.want(t, check, "skipped", "default retention")
	}
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: k.store, Args: []string{"--kms", k.kms}})
	k.doctor(0, nil, "--endpoint", proxy.URL, "--bucket", k.bucket).want(t, "endpoint-round-trip", "skipped", "default retention")
	k.nothingOfTheDoctor()
}

// nothingOfTheDoctor fails if any version of a test object is left.
func (k *keyed) nothingOfTheDoctor() {
	k.t.Helper()
	left, err := k.raw().ListObjectVersions(k.t.Context(), &s3.ListObjectVersionsInput{Bucket: &k.bucket})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, v := range left.Versions {
		if strings.Contains(*v.Key, "doctor/") {
			k.t.Errorf("left behind: %s", *v.Key)
		}
	}
	for _, m := range left.DeleteMarkers {
		if strings.Contains(*m.Key, "doctor/") {
			k.t.Errorf("left behind: a delete marker of %s", *m.Key)
		}
	}
}
