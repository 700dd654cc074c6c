package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// reading is one GET or HEAD of an object, from the request to the answer.
type reading struct {
	*exchange
	ranged    bool
	rng       byteRange
	checksums bool // x-amz-checksum-mode: ENABLED
	ifRange   string

	pinned *object.Stored // the object that the client's conditions were resolved with; nil: the store judges them
	match  string         // the client's If-Match, where only the answer to this read can tell whether it holds

	facts envelope.Facts // what sendHeader tells of the object
	parts int
	table []envelope.Part // of a multipart object, where its trailer was read
	tag   object.ETag
}

func getObject(x *exchange) error  { return x.read((*reading).get) }
func headObject(x *exchange) error { return x.read((*reading).head) }

// maxReadTries bounds how often a read begins anew because the object was replaced
// between two of its requests.
const maxReadTries = 5

// read runs a GET or HEAD. As long as the client has seen nothing of the answer, it begins again:
// once if the object's key or metadata were at fault, a few times if the object was replaced
// between two requests.
func (x *exchange) read(do func(*reading) error) error {
	rd := &reading{exchange: x, checksums: strings.EqualFold(x.r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED")}
	rd.rng, rd.ranged = parseRange(x.r.Header.Get("Range"))
	if x.part > 0 && x.r.Header.Get("Range") != "" {
		return s3err.InvalidRequest.WithMessage("Cannot specify both Range header and partNumber query parameter")
	}
	rd.ifRange = x.r.Header.Get("If-Range")
	for tries := 1; ; tries++ {
		fresh := *rd
		err := do(&fresh)
		most := 1
		switch {
		case errors.Is(err, object.ErrChanged), errors.Is(err, object.ErrSpliced): // or a HEAD of two states
			most = maxReadTries
		case errors.Is(err, envelope.ErrKey) || errors.Is(err, envelope.ErrCommitment) || errors.Is(err, envelope.ErrMetadata):
			most = 2
		}
		if tries >= most || x.begun() {
			return err
		}
	}
}

// ask sends the client's conditions, version and overrides to the store.
func (rd *reading) ask(method, ciphertextRange string) (*http.Response, error) {
	h := rd.passedHeaders()
	rd.storeConditions(h)
	if ciphertextRange != "" {
		h.Set("Range", ciphertextRange)
	}
	resp, err := rd.askWith(method, h)
	if err != nil {
		return nil, rd.refused(err)
	}
	return resp, nil
}

func (rd *reading) askWith(method string, h http.Header) (*http.Response, error) {
	return rd.askIn(rd.r.Context(), method, h)
}

func (rd *reading) askIn(ctx context.Context, method string, h http.Header) (*http.Response, error) {
	q := rd.passedQuery()
	q.Del("partNumber") // the store's parts are not the client's
	return rd.Upstream.Do(ctx, &upstream.Request{Method: method, Bucket: rd.bucket, Key: rd.key, VersionID: rd.version, Query: q, Header: h, Unsigned: rd.unsigned()})
}

// stat asks the store for the object's headers.
func (rd *reading) stat() (*object.Stored, error) {
	if rd.pinned != nil && !rd.asksIfModified() {
		return rd.pinned, nil
	}
	h := rd.passedHeaders()
	rd.storeConditions(h)
	s, err := rd.statWith(http.MethodHead, h)
	switch {
	case err != nil:
		return nil, rd.refused(err)
	case rd.pinned != nil && !rd.pinned.SameAs(s):
		return nil, object.ErrReplaced
	}
	return s, nil
}

func (rd *reading) statWith(method string, h http.Header) (*object.Stored, error) {
	resp, err := rd.askWith(method, h)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return rd.ReadStored(rd.bucket, rd.key, rd.unsigned(), resp)
}

// withErrorBody repeats a refused HEAD as a GET, whose refusal has an error document.
func (rd *reading) withErrorBody(err error) error {
	if rd.op.method == http.MethodHead {
		return err
	}
	resp, getErr := rd.ask(http.MethodGet, "")
	if getErr != nil {
		return getErr
	}
	resp.Body.Close()
	return err
}

func (rd *reading) head() error {
	if err := rd.resolve(); err != nil {
		return err
	}
	s, err := rd.stat()
	if err != nil {
		return err
	}
	if err := rd.dropRange(s); err != nil {
		return err
	}
	layout := envelope.SingleLayout(s.Size)
	if s.Meta == nil {
		rd.setTag(s, envelope.Facts{}, nil)
	} else {
		dek, known, err := rd.Unlock(rd.r.Context(), s)
		if err != nil {
			return err
		}
		defer dek.Destroy()
		var facts envelope.Facts
		var parts int
		if layout, facts, parts, err = rd.describe(s, dek, known); err != nil {
			return err
		}
		rd.setFacts(facts, parts)
	}
	offset, length, err := rd.plaintextRange(s, layout)
	if err != nil {
		return err
	}
	rd.sendHeader(s, offset, length)
	return nil
}

// get answers a GET. A whole object of one PUT costs one request to the store.
func (rd *reading) get() error {
	if rd.ranged || rd.part > 0 {
		return rd.getRanged()
	}
	if err := rd.resolveByAnswer(); err != nil {
		return err
	}
	resp, err := rd.ask(http.MethodGet, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	s, err := rd.ReadStored(rd.bucket, rd.key, rd.unsigned(), resp)
	if err != nil {
		return err
	}
	if rd.pinned != nil && !rd.pinned.SameAs(s) {
		return object.ErrReplaced
	}
	if err := rd.judge(s); err != nil {
		return err
	}
	if s.Meta == nil {
		rd.setTag(s, envelope.Facts{}, nil)
		if s.Legacy != nil {
			return rd.sendLegacy(s, s.Legacy.Read(0, s.Size, resp.Body))
		}
		rd.sendHeader(s, 0, s.Size)
		return rd.copyPlain(resp.Body, s.Size)
	}
	return rd.sendWhole(s, resp.Body)
}

// sendWhole answers a GET of a whole object, of which body has all stored bytes.
func (rd *reading) sendWhole(s *object.Stored, body io.Reader) error {
	dek, facts, err := rd.Unlock(rd.r.Context(), s)
	if err != nil {
		return err
	}
	defer dek.Destroy()
	known := rd.setTag(s, facts, nil)
	if s.Meta.Kind == envelope.KindEmpty {
		rd.setFacts(facts, 0)
		rd.sendHeader(s, 0, 0)
		return nil
	}
	var want *envelope.Trailer
	if s.Meta.Kind == envelope.KindMultipart || !known || rd.checksums && facts.Checksum.Algorithm == envelope.NoChecksum {
		weight := s.Size
		if s.Meta.Kind == envelope.KindSingle && weight <= holdLimit && rd.proxy.hold.TryAcquire(weight) {
			defer rd.proxy.hold.Release(weight)
			return rd.sendHeld(s, s.OpenWhole(dek, nil, body))
		}
		if want, err = rd.Trailer(rd.r.Context(), s, dek); err != nil {
			return err
		}
		facts = want.Facts
		rd.setTag(s, facts, want)
	}
	rd.setFacts(facts, object.PartsOf(want))
	return rd.send(s, 0, s.Size, s.OpenWhole(dek, want, body))
}

// sendHeld reads a small object to its end first, so that the answer's headers can have what
// only its trailer says, without a second request.
func (rd *reading) sendHeld(s *object.Stored, plain *envelope.OpenReader) error {
	defer plain.Close()
	buf := bytes.NewBuffer(make([]byte, 0, s.Size))
	if _, err := plain.WriteTo(buf); err != nil {
		return err
	}
	rd.setFacts(plain.Trailer().Facts, 0)
	rd.setTag(s, plain.Trailer().Facts, plain.Trailer())
	rd.sendHeader(s, 0, s.Size)
	_, err := rd.w.Write(buf.Bytes())
	return err
}

// describe gives the layout of an encrypted object, what is known of its
// checksums (a range needs none), and the number of its parts as the client uploaded them (0 if it
// was not a multipart upload). facts are those of its metadata.
func (rd *reading) describe(s *object.Stored, dek *envelope.DEK, facts envelope.Facts) (envelope.Layout, envelope.Facts, int, error) {
	known := rd.setTag(s, facts, nil)
	enough := known && (!rd.checksums || rd.ranged || facts.Checksum.Algorithm != envelope.NoChecksum)
	if s.Meta.Kind == envelope.KindEmpty || s.Meta.Kind == envelope.KindSingle && enough {
		return envelope.SingleLayout(s.Size), facts, 0, nil
	}
	t, err := rd.Trailer(rd.r.Context(), s, dek)
	if err != nil {
		return envelope.Layout{}, envelope.Facts{}, 0, err
	}
	rd.setTag(s, t.Facts, t)
	rd.table = t.Parts
	return object.LayoutOf(t), t.Facts, object.PartsOf(t), nil
}

// plaintextRange is the plaintext range that the client asked for.
func (rd *reading) plaintextRange(s *object.Stored, layout envelope.Layout) (offset, length int64, err error) {
	switch {
	case rd.ranged:
		return rd.rng.of(s.Size)
	case rd.part == 0:
		return 0, s.Size, nil
	case s.Meta != nil && s.Meta.Kind == envelope.KindMultipart:
		if offset, length, ok := layout.Part(rd.part); ok {
			return offset, length, nil
		}
	case rd.part == 1:
		return 0, s.Size, nil
	}
	return 0, 0, s3err.InvalidPartNumber
}
