package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// uploadsDocument writes so many uploads as MinIO does: all of them, oldest first, though
// their keys are in no order.
func uploadsDocument(w io.Writer, uploads int, initiator string) {
	fmt.Fprint(w, `<ListMultipartUploadsResult><Bucket>bucket</Bucket><EncodingType>url</EncodingType><MaxUploads>10000</MaxUploads><IsTruncated>false</IsTruncated>`)
	for n := range uploads {
		fmt.Fprintf(w, `<Upload><Key>k%%2F%05d</Key><UploadId>%064d</UploadId><Initiator><ID>%s</ID></Initiator><Initiated>2026-01-01T00:00:00Z</Initiated></Upload>`,
			n*7919%uploads/2, n, initiator)
	}
	fmt.Fprint(w, `</ListMultipartUploadsResult>`)
}

func TestUploadsThatAStoreSendsAtOnceAreReadPageByPage(t *testing.T) {
	t.Parallel()
	const uploads = 2_000
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("uploads") {
			return false
		}
		if r.URL.Query().Get("encoding-type") == "" {
			fmt.Fprint(w, "<ListMultipartUploadsResult><Upload><Key>\x01</Key></Upload>") // asks for the encoding
			return true
		}
		uploadsDocument(w, uploads, "i")
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	seen, last := 0, ""
	q := url.Values{"uploads": {""}, "key-marker": {fmt.Sprintf("k/%05d", 300)}}
	for range 2 {
		resp, body := ask(t, s, http.MethodGet, "/bucket?"+q.Encode(), nil)
		if resp.StatusCode != http.StatusOK {
			t.Fatal(body)
		}
		page := &s3xml.ListUploads{}
		page.Asked(url.Values{})
		if err := s3xml.Unmarshal([]byte(body), page); err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Uploads.Page {
			if at := string(u.Key) + u.UploadID; at <= last {
				t.Fatalf("%q behind %q", at, last)
			} else {
				last = at
			}
		}
		seen += len(page.Uploads.Page)
		if !page.IsTruncated {
			break
		}
		q.Set("key-marker", string(page.NextKeyMarker))
		q.Set("upload-id-marker", page.NextUploadIDMarker)
	}
	if seen != 1398 {
		t.Errorf("%d uploads are listed behind the marker, want 1398", seen)
	}
}

func TestALongDocumentOfUploadsIsReadAndLittleKept(t *testing.T) {
	t.Parallel()
	var doc bytes.Buffer
	uploadsDocument(&doc, 5000, strings.Repeat("i", 2000))
	if doc.Len() <= s3xml.MaxBytes {
		t.Fatalf("only %d bytes", doc.Len())
	}
	page := &s3xml.ListUploads{}
	page.Asked(url.Values{"max-uploads": {"10"}})
	if err := s3xml.DecodeLong(&doc, page); err != nil {
		t.Fatal(err)
	}
	if kept := cap(page.Uploads.Page); kept > 50 {
		t.Errorf("%d uploads are kept for a page of 10", kept)
	}
	page.End()
	if got := page.Uploads.Page; len(got) != 10 || got[0].Key != "k%2F00000" || got[9].Key != "k%2F00004" || !page.IsTruncated || page.NextUploadIDMarker != got[9].UploadID {
		t.Errorf("the page is %v, truncated %v, behind it %q", got, page.IsTruncated, page.NextUploadIDMarker)
	}
}
