package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// reading is one GET or HEAD of an object, from the request to the answer.
type reading struct {
	*exchange
	ranged    bool
	rng       byteRange
	part      int  // 0: no partNumber
	checksums bool // x-amz-checksum-mode: ENABLED
	ifRange   string

	pinned *stored // the object that the client's conditions were resolved with; nil: the store judges them

	facts envelope.Facts // what sendHeader tells of the object
	parts int
	tag   entityTag
}

func getObject(x *exchange) error  { return x.read((*reading).get) }
func headObject(x *exchange) error { return x.read((*reading).head) }

// maxReadTries bounds how often a read begins anew because the object was replaced
// between two of its requests.
const maxReadTries = 5

// read runs a GET or HEAD; one that fails on an object's key or metadata is tried
// once more from the start, and one whose object was replaced between two requests
// a few times, as long as the client has seen nothing of it.
func (x *exchange) read(do func(*reading) error) error {
	rd := &reading{exchange: x, checksums: strings.EqualFold(x.r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED")}
	rd.rng, rd.ranged = parseRange(x.r.Header.Get("Range"))
	if v, ok := x.query["partNumber"]; ok {
		n, err := strconv.Atoi(v[0])
		if err != nil || n < 1 || n > envelope.MaxParts {
			return errPartNumber.Argument("partNumber", v[0])
		}
		if x.r.Header.Get("Range") != "" {
			return s3err.InvalidRequest.WithMessage("Cannot specify both Range header and partNumber query parameter")
		}
		rd.part = n
	}
	rd.ifRange = x.r.Header.Get("If-Range")
	for tries := 1; ; tries++ {
		fresh := *rd
		err := fresh.resolve()
		if err == nil {
			err = do(&fresh)
		}
		most := 1
		switch {
		case errors.Is(err, errChanged):
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
	q := rd.passedQuery()
	q.Del("partNumber") // the store's parts are not the client's
	return rd.Upstream.Do(rd.r.Context(), &upstream.Request{Method: method, Bucket: rd.bucket, Key: rd.key, VersionID: rd.version, Query: q, Header: h, Unsigned: rd.unsigned()})
}

// stat asks the store for the object's headers.
func (rd *reading) stat() (*stored, error) {
	if rd.pinned != nil && !rd.asksIfModified() {
		return rd.pinned, nil
	}
	h := rd.passedHeaders()
	rd.storeConditions(h)
	s, err := rd.statWith(h)
	switch {
	case err != nil:
		return nil, rd.refused(err)
	case rd.pinned != nil && !rd.pinned.sameAs(s):
		return nil, errReplaced
	}
	return s, nil
}

func (rd *reading) statWith(h http.Header) (*stored, error) {
	resp, err := rd.askWith(http.MethodHead, h)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return rd.readStored(rd.bucket, rd.key, rd.unsigned(), resp)
}

// inWords gives the store's answer to the GET for that to its HEAD, which has no
// error document.
func (rd *reading) inWords(err error) error {
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
	s, err := rd.stat()
	if err != nil {
		return err
	}
	if err := rd.dropRange(s); err != nil {
		return err
	}
	known := rd.setTag(s, envelope.Facts{}, nil)
	if s.meta == nil {
		offset, length, err := rd.window(s, envelope.SingleLayout(s.size))
		if err != nil {
			return err
		}
		rd.sendHeader(s, offset, length)
		return nil
	}
	layout := envelope.SingleLayout(s.size)
	if rd.checksums || rd.part > 0 || s.meta.Kind == envelope.KindMultipart || !known {
		dek, err := rd.openKey(rd.r.Context(), s)
		if err != nil {
			return err
		}
		defer dek.Destroy()
		var facts envelope.Facts
		var parts int
		if layout, facts, parts, err = rd.describe(s, dek); err != nil {
			return err
		}
		rd.setFacts(facts, parts)
	}
	offset, length, err := rd.window(s, layout)
	if err != nil {
		return err
	}
	rd.sendHeader(s, offset, length)
	return nil
}

// get answers a GET. The whole of a single object costs one request to the
// store; so does a range of it, asked for as if the object were single.
func (rd *reading) get() error {
	guess := ""
	if rd.ranged && rd.rng.first >= 0 && rd.rng.first < envelope.MaxObjectSize && rd.ifRange == "" {
		guess = guessRange(rd.rng)
	} else if rd.ranged || rd.part > 0 {
		return rd.getByStat()
	}
	resp, err := rd.ask(http.MethodGet, guess)
	if errors.Is(err, s3err.InvalidRange) {
		return rd.getByStat() // which knows the plaintext's size for the answer
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	s, err := rd.readStored(rd.bucket, rd.key, rd.unsigned(), resp)
	if err != nil {
		return err
	}
	if rd.pinned != nil && !rd.pinned.sameAs(s) {
		return errReplaced
	}
	if s.meta == nil {
		if rd.ranged {
			return rd.getByStat()
		}
		rd.setTag(s, envelope.Facts{}, nil)
		rd.sendHeader(s, 0, s.size)
		return rd.copyPlain(resp.Body, s.size)
	}
	if rd.ranged {
		if s.meta.Kind != envelope.KindSingle || resp.StatusCode != http.StatusPartialContent {
			return rd.getByStat()
		}
		return rd.sendGuessed(s, resp.Body)
	}
	return rd.sendWhole(s, resp.Body)
}

// sendGuessed answers a range from a body that begins at the guessed offset.
func (rd *reading) sendGuessed(s *stored, body io.Reader) error {
	offset, length, err := rd.rng.of(s.size)
	if err != nil {
		return err
	}
	dek, err := rd.openKey(rd.r.Context(), s)
	if err != nil {
		return err
	}
	defer dek.Destroy()
	if !rd.setTag(s, envelope.Facts{}, nil) { // asked side by side with the body
		if _, _, _, err := rd.describe(s, dek); err != nil {
			return err
		}
	}
	layout := envelope.SingleLayout(s.size)
	span := layout.Span(offset, length)
	return rd.send(s, offset, length, dek.Open(s.meta.Kind, layout, span, io.LimitReader(body, span.Length)))
}

// sendWhole answers a GET of a whole object from the store's whole answer.
func (rd *reading) sendWhole(s *stored, body io.Reader) error {
	dek, err := rd.openKey(rd.r.Context(), s)
	if err != nil {
		return err
	}
	defer dek.Destroy()
	facts, err := dek.OpenFacts(s.meta.Kind, s.bytes, s.meta.Facts)
	if err != nil {
		return err
	}
	known := rd.setTag(s, facts, nil)
	if s.meta.Kind == envelope.KindEmpty {
		rd.setFacts(facts, 0)
		rd.sendHeader(s, 0, 0)
		return nil
	}
	layout := envelope.SingleLayout(s.size)
	var want *envelope.Trailer
	if s.meta.Kind == envelope.KindMultipart || !known || rd.checksums && facts.Checksum.Algorithm == envelope.NoChecksum {
		weight := s.size
		if s.meta.Kind == envelope.KindSingle && weight <= holdLimit && rd.hold.TryAcquire(weight) {
			defer rd.hold.Release(weight)
			return rd.sendHeld(s, dek.OpenObject(s.meta.Kind, layout, s.bytes, nil, body))
		}
		if want, err = rd.trailer(rd.r.Context(), s, dek); err != nil {
			return err
		}
		layout, facts = layoutOf(want), want.Facts
		rd.setTag(s, facts, want)
	}
	rd.setFacts(facts, partsOf(want))
	return rd.send(s, 0, s.size, dek.OpenObject(s.meta.Kind, layout, s.bytes, want, body))
}

// sendHeld reads a small object whole, so that what its trailer knows can
// stand in the headers without a second request.
func (rd *reading) sendHeld(s *stored, plain *envelope.OpenReader) error {
	defer plain.Close()
	buf := bytes.NewBuffer(make([]byte, 0, s.size))
	if _, err := plain.WriteTo(buf); err != nil {
		return err
	}
	rd.setFacts(plain.Trailer().Facts, 0)
	rd.setTag(s, plain.Trailer().Facts, plain.Trailer())
	rd.sendHeader(s, 0, s.size)
	_, err := rd.patientWriter().Write(buf.Bytes())
	return err
}

// getByStat answers what one request cannot: suffix ranges, parts, ranges of
// multipart objects, and ranges past the end.
func (rd *reading) getByStat() error {
	s, err := rd.stat()
	if err != nil {
		return rd.inWords(err)
	}
	if err := rd.dropRange(s); err != nil {
		return err
	}
	layout := envelope.SingleLayout(s.size)
	if s.meta == nil {
		offset, length, err := rd.window(s, layout)
		if err != nil {
			return err
		}
		resp, err := rd.getRange(rd.r.Context(), s, offset, length)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		rd.setTag(s, envelope.Facts{}, nil)
		rd.sendHeader(s, offset, length)
		return rd.copyPlain(resp.Body, length)
	}
	dek, err := rd.openKey(rd.r.Context(), s)
	if err != nil {
		return err
	}
	defer dek.Destroy()
	single := s.meta.Kind == envelope.KindSingle
	if !single {
		if layout, err = rd.learn(s, dek); err != nil {
			return err
		}
	}
	offset, length, err := rd.window(s, layout)
	if err != nil {
		return err
	}
	if s.meta.Kind == envelope.KindEmpty {
		rd.sendHeader(s, 0, 0)
		return nil
	}
	span := layout.Span(offset, length)
	resp, err := rd.getRange(rd.r.Context(), s, span.Offset, span.Length)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if single { // what the headers need is asked side by side with the body
		if _, err := rd.learn(s, dek); err != nil {
			return err
		}
	}
	return rd.send(s, offset, length, dek.Open(s.meta.Kind, layout, span, resp.Body))
}

// learn keeps what the headers of a range or part need, and gives the layout.
func (rd *reading) learn(s *stored, dek *envelope.DEK) (envelope.Layout, error) {
	layout, facts, parts, err := rd.describe(s, dek)
	if err == nil && rd.part > 0 {
		rd.setFacts(facts, parts)
	}
	return layout, err
}

// describe gives the layout of an encrypted object, what is known of its
// checksums (a range needs none), and the number of its parts as the client uploaded them (0 if it
// was not a multipart upload).
func (rd *reading) describe(s *stored, dek *envelope.DEK) (envelope.Layout, envelope.Facts, int, error) {
	facts, err := dek.OpenFacts(s.meta.Kind, s.bytes, s.meta.Facts)
	if err != nil {
		return envelope.Layout{}, envelope.Facts{}, 0, err
	}
	known := rd.setTag(s, facts, nil)
	enough := known && (!rd.checksums || rd.ranged || facts.Checksum.Algorithm != envelope.NoChecksum)
	if s.meta.Kind == envelope.KindEmpty || s.meta.Kind == envelope.KindSingle && enough {
		return envelope.SingleLayout(s.size), facts, 0, nil
	}
	t, err := rd.trailer(rd.r.Context(), s, dek)
	if err != nil {
		return envelope.Layout{}, envelope.Facts{}, 0, err
	}
	rd.setTag(s, t.Facts, t)
	return layoutOf(t), t.Facts, partsOf(t), nil
}

func layoutOf(t *envelope.Trailer) envelope.Layout {
	if t.Kind == envelope.KindSingle {
		return envelope.SingleLayout(t.Size)
	}
	return envelope.MultipartLayout(t.Parts)
}

// partsOf is what x-amz-mp-parts-count says; 0 for an object of one PUT.
func partsOf(t *envelope.Trailer) int {
	if t == nil || t.Kind != envelope.KindMultipart {
		return 0
	}
	return len(t.Parts)
}

// window is the plaintext range that the client asked for.
func (rd *reading) window(s *stored, layout envelope.Layout) (offset, length int64, err error) {
	switch {
	case rd.ranged:
		return rd.rng.of(s.size)
	case rd.part == 0:
		return 0, s.size, nil
	case s.meta != nil && s.meta.Kind == envelope.KindMultipart:
		if offset, length, ok := layout.Part(rd.part); ok {
			return offset, length, nil
		}
	case rd.part == 1:
		return 0, s.size, nil
	}
	return 0, 0, s3err.InvalidPartNumber
}

// setFacts keeps what sendHeader tells of the object's checksum and parts.
func (rd *reading) setFacts(f envelope.Facts, parts int) { rd.facts, rd.parts = f, parts }

// setTag keeps the ETag as far as it is known.
func (rd *reading) setTag(s *stored, facts envelope.Facts, t *envelope.Trailer) (known bool) {
	rd.tag, known = rd.tagOf(s, facts, t)
	return known
}

// sendFacts puts the checksum, when it was asked for, and the parts' count into
// the answer. A range gets no checksum: it is of the whole object.
func (rd *reading) sendFacts(h http.Header) {
	if rd.checksums && !rd.ranged && (rd.part == 0 || rd.parts == 0) {
		setChecksum(h, rd.facts.Checksum, rd.parts)
	}
	if rd.part > 0 && rd.parts > 0 {
		h.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(rd.parts))
	}
}

// sendHeader begins a good answer.
func (rd *reading) sendHeader(s *stored, offset, length int64) {
	rd.passHeaders(s.header)
	h := rd.w.Header()
	setETag(h, rd.tag, s.header)
	rd.sendFacts(h)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	status := http.StatusOK
	if rd.ranged || rd.part > 0 && s.size > 0 {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, s.size))
	}
	rd.w.WriteHeader(status)
}

// send answers with length bytes of plaintext. The header goes out with the
// first authenticated bytes, so that an object that is damaged from its
// beginning on gets an error document; later damage cuts the connection.
func (rd *reading) send(s *stored, offset, length int64, plain *envelope.OpenReader) error {
	defer plain.Close()
	w := &lateHeader{w: rd.patientWriter(), send: func() { rd.sendHeader(s, offset, length) }}
	if _, err := plain.WriteTo(w); err != nil {
		return err
	}
	w.begin()
	return nil
}

// lateHeader sends the header before the first byte.
type lateHeader struct {
	w    io.Writer
	send func()
}

func (l *lateHeader) begin() {
	if l.send != nil {
		l.send()
		l.send = nil
	}
}

func (l *lateHeader) Write(b []byte) (int, error) {
	l.begin()
	return l.w.Write(b)
}

// copyPlain sends a plaintext object's bytes; too few of them cut the connection.
func (rd *reading) copyPlain(body io.Reader, length int64) error {
	n, err := io.Copy(rd.patientWriter(), body)
	if err == nil && n != length {
		err = fmt.Errorf("%w: the store sent %d of %d bytes", envelope.ErrTruncated, n, length)
	}
	return err
}
