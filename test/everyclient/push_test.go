package everyclient

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// registry is a registry's API: https://distribution.github.io/distribution/spec/api/
type registry struct {
	t      *testing.T
	client *http.Client
}

// send gives the answer's headers and body; it must have the status.
func (r registry) send(method, url, kind string, body []byte, status int) (http.Header, []byte) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", kind)
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		r.t.Fatalf("%s %s: %d %.300s, %v", method, url, resp.StatusCode, got, err)
	}
	return resp.Header, got
}

// push sends a layer in three requests, and a manifest; and reads them by redirects to a store.
func push(t *testing.T, api, store string) {
	r := registry{t, &http.Client{Timeout: lab.AnswerWithin, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	const octets = "application/octet-stream"
	layer := s3test.Content(1, 25_000_000)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(layer))
	header, _ := r.send("POST", api+"app/blobs/uploads/", octets, nil, http.StatusAccepted)
	for _, piece := range [][]byte{layer[:11_000_000], layer[11_000_000:12_000_000], layer[12_000_000:]} {
		header, _ = r.send("PATCH", header.Get("Location"), octets, piece, http.StatusAccepted)
	}
	r.send("PUT", header.Get("Location")+"&digest="+digest, octets, nil, http.StatusCreated)
	r.send("POST", api+"other/blobs/uploads/?mount="+digest+"&from=app", octets, nil, http.StatusCreated)

	for _, name := range []string{"app", "other"} {
		header, _ = r.send("GET", api+name+"/blobs/"+digest, "", nil, http.StatusTemporaryRedirect)
		to := header.Get("Location")
		if !strings.HasPrefix(to, store) {
			t.Fatalf("redirected to %s", to)
		}
		if _, got := r.send("GET", to, "", nil, http.StatusOK); s3test.SameBytes(got, layer) != nil {
			t.Fatalf("the layer is read as %d bytes", len(got))
		}
	}
	manifest := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`, digest, len(layer)))
	const kind = "application/vnd.oci.image.manifest.v1+json"
	r.send("PUT", api+"app/manifests/latest", kind, manifest, http.StatusCreated)
	if _, got := r.send("GET", api+"app/manifests/latest", kind, nil, http.StatusOK); !bytes.Equal(got, manifest) {
		t.Errorf("the manifest is read as %s", got)
	}
	r.send("DELETE", api+"app/blobs/"+digest, "", nil, http.StatusAccepted)
	r.send("GET", api+"app/blobs/"+digest, "", nil, http.StatusNotFound)
}
