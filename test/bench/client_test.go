package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const unsignedPayload = "UNSIGNED-PAYLOAD"

// target is where requests go, and who signs them.
type target struct {
	name, url, key, secret string
	client                 *http.Client
}

func (t *target) sign(req *http.Request, payload string, now time.Time) error {
	req.Header.Set("X-Amz-Content-Sha256", payload)
	creds := aws.Credentials{AccessKeyID: t.key, SecretAccessKey: t.secret}
	return v4.NewSigner().SignHTTP(context.Background(), creds, req, payload, "s3", region, now)
}

// send signs a request and sends it.
func (t *target) send(method, path string, body []byte, headers ...string) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequest(method, t.url+path, reader)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if err := t.sign(req, unsignedPayload, time.Now()); err != nil {
		return nil, err
	}
	return t.client.Do(req)
}

// text sends a request and gives the answer's body.
func (t *target) text(method, path string, body []byte) ([]byte, error) {
	resp, err := t.send(method, path, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode/100 != 2 || bytes.Contains(text, []byte("<Error>"))) {
		err = fmt.Errorf("%s %s %s: %s: %.300s", t.name, method, path, resp.Status, text)
	}
	return text, err
}

func (t *target) do(method, path string, body []byte) error {
	_, err := t.text(method, path, body)
	return err
}

// put sends content as an SDK does: in chunks, signed or with a checksum behind them.
func (t *target) put(path string, c content, off, n int64, trailer bool) (etag string, err error) {
	how := sending{}
	if trailer {
		how.trailer = "crc32"
	}
	return t.putAs(path, c, off, n, how)
}

// putAs sends content in a given way.
func (t *target) putAs(path string, c content, off, n int64, how sending) (etag string, err error) {
	req, err := http.NewRequest(http.MethodPut, t.url+path, http.NoBody)
	if err != nil {
		return "", err
	}
	for i := 0; i < len(how.headers); i += 2 {
		req.Header.Set(how.headers[i], how.headers[i+1])
	}
	if err := t.stream(req, c, off, n, how); err != nil {
		return "", err
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = refusal(t, resp, "PUT", path, text)
	}
	return resp.Header.Get("ETag"), err
}

// errSlowDown says that a client is to come again later.
var errSlowDown = errors.New("slow down")

func refusal(t *target, resp *http.Response, method, path string, text []byte) error {
	err := fmt.Errorf("%s %s %s: %s: %.300s", t.name, method, path, resp.Status, text)
	if resp.StatusCode == http.StatusServiceUnavailable {
		err = fmt.Errorf("%w: %w", errSlowDown, err)
	}
	return err
}

// get reads content, whole if n is its size, and compares it.
func (t *target) get(path string, c content, off, n int64) error {
	var headers []string
	if n != c.size {
		headers = []string{"Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1)}
	}
	resp, err := t.send(http.MethodGet, path, nil, headers...)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		return refusal(t, resp, "GET", path, text)
	}
	if err := c.compare(resp.Body, off, n); err != nil {
		return fmt.Errorf("%s GET %s: %w", t.name, path, err)
	}
	return nil
}

// listing is a kind of list: where its next page begins, and what each entry has.
type listing struct{ next, parameter, entry string }

var (
	objectList = listing{"NextContinuationToken", "continuation-token", "<Key>"}
	partList   = listing{"NextPartNumberMarker", "part-number-marker", "<PartNumber>"}
)

// list goes through a list to its end, and counts.
func (t *target) list(path string, l listing, want int) error {
	n := 0
	for next := ""; ; {
		text, err := t.text(http.MethodGet, path+next, nil)
		if err != nil {
			return err
		}
		page := string(text)
		n += strings.Count(page, l.entry)
		if strings.Contains(page, "<IsTruncated>false<") {
			break
		}
		token := between(page, "<"+l.next+">", "</")
		if token == "" {
			return errors.New("a list that goes on does not say where")
		}
		next = "&" + l.parameter + "=" + url.QueryEscape(token)
	}
	if n != want {
		return fmt.Errorf("%s GET %s: %d entries, want %d", t.name, path, n, want)
	}
	return nil
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}
