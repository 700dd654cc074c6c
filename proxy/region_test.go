package proxy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// What a client says of the place of a bucket that it makes, and what the store is told.
func TestTheRegionThatAClientSignsForMeansTheStores(t *testing.T) {
	for _, c := range []struct{ ours, signs, asks, theirs, told string }{
		{"", "us-east-1", "", "eu-central-1", "eu-central-1"},
		{"", "eu-west-1", "", "eu-central-1", "eu-central-1"},
		{"", "eu-central-1", "", "eu-central-1", "eu-central-1"},
		{"", "eu-west-1", "eu-west-1", "eu-central-1", "eu-central-1"},
		{"", "eu-west-1", "eu-west-1", "us-east-1", ""},
		{"", "eu-central-1", "eu-central-1", "eu-central-1", "eu-central-1"},
		{"", "eu-west-1", "eu-west-2", "eu-central-1", "eu-west-2"},
		{"", "", "eu-west-2", "eu-central-1", "eu-west-2"},
		{"", "", "", "us-east-1", ""},
		{"eu-west-1", "eu-west-1", "eu-west-1", "eu-central-1", "eu-central-1"},
		{"eu-west-1", "eu-west-1", "", "eu-central-1", ""},
		{"eu-west-1", "eu-west-1", "eu-west-2", "eu-central-1", "eu-west-2"},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			got := "nothing"
			store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut {
					got = string(must(io.ReadAll(r.Body)))
				}
			}))
			defer store.Close()
			s := proxyAt(t, store.URL, c.theirs, func(conf *Config) { conf.Region = c.ours })
			body, want := "", ""
			if c.asks != "" {
				body = "<CreateBucketConfiguration><LocationConstraint>" + c.asks + "</LocationConstraint></CreateBucketConfiguration>"
			}
			if c.told != "" {
				want = "<LocationConstraint>" + c.told + "</LocationConstraint>"
			}
			if resp, _ := askFor(t, s, c.signs, "PUT", "/bucket", body); resp.StatusCode != 200 || !strings.Contains(got, want) || want == "" && got != "" {
				t.Errorf("%s, the store was sent %q", resp.Status, got)
			}
			shown := cmp.Or(c.ours, c.theirs)
			if resp, _ := askFor(t, s, c.signs, "HEAD", "/bucket", ""); resp.Header.Get("X-Amz-Bucket-Region") != shown {
				t.Errorf("HEAD shows %q", resp.Header.Get("X-Amz-Bucket-Region"))
			}
			location := ">" + shown + "</LocationConstraint>"
			if shown == noRegion {
				location = "></LocationConstraint>"
			}
			if _, body := askFor(t, s, c.signs, "GET", "/bucket?location", ""); !strings.Contains(body, location) {
				t.Errorf("the location is %s", body)
			}
		})
	}
}

func TestWhatElseIsSaidOfANewBucketReachesTheStore(t *testing.T) {
	for theirs, location := range map[string]string{"us-east-1": "", "eu-central-1": "<LocationConstraint>eu-central-1</LocationConstraint>"} {
		got := ""
		store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = string(must(io.ReadAll(r.Body))) }))
		s := proxyAt(t, store.URL, theirs, func(conf *Config) { conf.Region = "" })
		askFor(t, s, "eu-west-1", "PUT", "/bucket", `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint><Tags><Tag><Key>a</Key><Value>b&amp;c</Value></Tag></Tags></CreateBucketConfiguration>`)
		var sent struct {
			LocationConstraint string
			Tags               []struct{ Key, Value string } `xml:"Tags>Tag"`
		}
		if err := xml.Unmarshal([]byte(got), &sent); err != nil || !strings.Contains(got, location) || location == "" && strings.Contains(got, "Location") || len(sent.Tags) != 1 || sent.Tags[0].Value != "b&c" {
			t.Errorf("in %s the store was sent %s (%v)", theirs, got, err)
		}
		const directory = "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>"
		if askFor(t, s, "eu-west-1", "PUT", "/bucket", directory); got != directory {
			t.Errorf("what the proxy does not know became %s", got)
		}
		store.Close()
	}
}

func TestAListOfBucketsNamesTheRegionThatClientsKnow(t *testing.T) {
	for _, c := range []struct{ ours, asks, sent, shown string }{
		{"", "", "", "eu-central-1"},
		{"", "eu-central-1", "eu-central-1", "eu-central-1"},
		{"", "eu-west-1", "eu-west-1", "eu-central-1"},
		{"eu-west-1", "", "", "eu-west-1"},
		{"eu-west-1", "eu-west-1", "eu-central-1", "eu-west-1"},
		{"eu-west-1", "eu-central-1", "eu-central-1", "eu-west-1"},
	} {
		asked := "nothing"
		store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.Query().Get("bucket-region")
			io.WriteString(w, "<ListAllMyBucketsResult><Buckets><Bucket><Name>a</Name><BucketRegion>eu-central-1</BucketRegion></Bucket></Buckets></ListAllMyBucketsResult>")
		}))
		s := proxyAt(t, store.URL, "eu-central-1", func(conf *Config) { conf.Region = c.ours })
		path := "/"
		if c.asks != "" {
			path += "?bucket-region=" + c.asks
		}
		_, body := askFor(t, s, "eu-west-1", "GET", path, "")
		if asked != c.sent || !strings.Contains(body, "<BucketRegion>"+c.shown+"</BucketRegion>") {
			t.Errorf("%+v: the store is asked for %q, the answer is %s", c, asked, body)
		}
		store.Close()
	}
}

// askFor sends a request that is signed for a region.
func askFor(t *testing.T, s *httptest.Server, region, method, path, body string) (*http.Response, string) {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	r := must(http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body)))
	r.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "client", SecretAccessKey: "secret"}, r, hash, "s3", region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp := must(http.DefaultClient.Do(r))
	defer resp.Body.Close()
	return resp, string(must(io.ReadAll(resp.Body)))
}
