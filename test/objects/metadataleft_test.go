package objects

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// docs/S3.md says how much of S3's 2 KiB of user metadata the proxy uses.
func TestTheProxyTakesNoMoreMetadataThanTheDocsSay(t *testing.T) {
	if lab.Direct {
		t.Skip("without the proxy there is no proxy metadata")
	}
	text, err := os.ReadFile("../../docs/S3.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, kek := range map[string]func(*testing.T) lab.KEK{"a keyfile": lab.LocalKEK, "Vault": lab.VaultKEK} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := regexp.MustCompile(`about (\d+) with ` + name).FindSubmatch(text)
			if said == nil {
				t.Fatalf("docs/S3.md does not mention %s", name)
			}
			limit, err := strconv.Atoi(string(said[1]))
			if err != nil {
				t.Fatal(err)
			}
			store, k := lab.SharedVersitygw(t), kek(t)
			at := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", k.URI, "--etag", lab.ModeMD5}, Env: k.Env}).S3()
			bucket := s3test.NewBucket(t, at)
			body := s3test.Content(1, 1000)
			for header, checksum := range map[string]string{"": "", s3test.CRCTrailer: s3test.CRC32Of(body)} {
				c := s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/k", Body: body}
				if header != "" {
					c.Headers = map[string]string{header: checksum}
				}
				if a := c.Do(t, at); a.Status != http.StatusOK {
					t.Fatal(a)
				}
				taken := 0
				for name, value := range s3test.RawGet(t, store.S3(), c.Path).Meta {
					if strings.HasPrefix(name, "s3proxy-") {
						taken += len(name) + len(value)
					}
				}
				t.Logf("%d bytes", taken)
				if taken == 0 || taken > limit || taken < limit-40 {
					t.Errorf("the proxy uses %d bytes, the docs say about %d", taken, limit)
				}
			}
		})
	}
}
