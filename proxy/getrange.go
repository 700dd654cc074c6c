package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/cors"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// A range or a part is sent only if the object's end was seen to be authentic: so the bytes of a
// refused upload never come out, whatever a store kept of it. The end is read beside the first
// range, once for all who ask at the same time; a short suffix range comes with it. After that the
// object's state is known, and each further range is one request, which names the ETag of that state.

// getRanged answers a GET of a range or of a part.
func (rd *reading) getRanged() error {
	if done, err := rd.getWarm(); done {
		return err
	}
	if rd.ranged && rd.rng.first >= 0 && rd.rng.first < envelope.MaxObjectSize && rd.ifRange == "" {
		return rd.getGuessed()
	}
	if err := rd.resolve(); err != nil {
		return err
	}
	return rd.getByEnd()
}

// getWarm answers from an object whose state is known. done is false if it is not known, or if
// the object has changed since.
func (rd *reading) getWarm() (done bool, err error) {
	st, ok := rd.LastSeen(rd.bucket, rd.key, rd.version)
	if !ok || rd.ifRange != "" {
		return false, nil
	}
	known := st.Stored()
	offset, length, err := rd.plaintextRange(known, st.Layout)
	if err != nil || length == 0 { // the store judges the request first
		return false, nil
	}
	span := st.Layout.Span(offset, length)
	warm := *rd
	if warm.comparesETags() {
		if !warm.holdsFor(st.Tag) {
			return false, nil
		}
		warm.pinned = known
	}
	h := warm.passedHeaders()
	warm.storeConditions(h)
	h.Set("Range", rangeHeader(span.Offset, span.Offset+span.Length-1))
	ours := warm.pinned != nil || !hasConditions(h)
	if ours {
		h.Set("If-Match", st.Tag.Upstream)
	}
	resp, err := warm.askWith(http.MethodGet, h)
	switch {
	case ours && errors.Is(err, s3err.PreconditionFailed), errors.Is(err, s3err.InvalidRange):
		return false, nil
	case err != nil:
		return true, warm.refused(err)
	}
	defer resp.Body.Close()
	s, err := rd.ReadStored(rd.bucket, rd.key, rd.unsigned(), resp)
	if err != nil || !st.Is(s) || !isSpan(resp, span, s.Bytes) {
		return false, nil // the request starts over, which refuses what has to be refused
	}
	dek, _, err := rd.Unlock(rd.r.Context(), s)
	if err != nil {
		return true, err
	}
	defer dek.Destroy()
	rd.tag = st.Tag
	return true, rd.sendSpan(s, dek, st.Trailer, st.Layout, stretch{span.Offset, span.Length, resp.Body})
}

// hasConditions tells whether a request has conditions of the client, which only the store may
// judge.
func hasConditions(h http.Header) bool {
	for _, name := range readConditionNames {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

// rangeHeader is the value of a Range header; to -1: to the end.
func rangeHeader(from, to int64) string { return byteRange{from, to}.String() }

// isSpan tells whether an answer is the very range that was asked for.
func isSpan(resp *http.Response, span envelope.Span, stored int64) bool {
	if resp.ContentLength != span.Length {
		return false
	}
	if resp.StatusCode == http.StatusOK {
		return span.Offset == 0 && span.Length == stored
	}
	return resp.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", span.Offset, span.Offset+span.Length-1, stored)
}

// getGuessed asks for a range as if every segment before it were full, and for the object's end
// beside it. The guess is right for objects of one PUT, and for those whose parts are multiples of a
// segment, as nearly all clients make them; the end says whether it was.
func (rd *reading) getGuessed() error {
	if err := rd.resolveByAnswer(); err != nil {
		return err
	}
	var end func() (*object.End, error)
	if !rd.SkipRangeCheck {
		end = rd.beginEnd()
	}
	from, to := guessRange(rd.rng)
	resp, err := rd.ask(http.MethodGet, rangeHeader(from, to))
	if errors.Is(err, s3err.InvalidRange) {
		if err := rd.resolveFirst(); err != nil {
			return err
		}
		return rd.getByEnd() // which knows the plaintext's size for the answer
	}
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
	if s.Meta == nil || s.Meta.Kind == envelope.KindEmpty {
		return rd.sendUnsegmented(s)
	}
	dek, facts, err := rd.Unlock(rd.r.Context(), s)
	if err != nil {
		return err
	}
	defer dek.Destroy()
	if rd.SkipRangeCheck && s.Meta.Kind == envelope.KindSingle && resp.StatusCode == http.StatusPartialContent {
		return rd.sendUnchecked(s, dek, facts, resp.Body)
	}
	t, err := rd.guessedEnd(s, dek, end)
	if err != nil {
		return err
	}
	if err := rd.judge(s); err != nil {
		return err
	}
	rd.setTagOf(s, facts, t)
	return rd.sendSpan(s, dek, t, object.LayoutOf(t), answered(resp, from, to, s.Bytes))
}

// beginEnd asks for the object's end while the request goes on.
func (rd *reading) beginEnd() (wait func() (*object.End, error)) {
	req := rd.endRequest(false)
	req.Query = nil // nothing of the answer's headers is told
	req.Header.Del(cors.OriginHeader)
	return rd.BeginEnd(rd.r.Context(), req)
}

// guessedEnd gives the trailer of s, from the end that was asked for beside the range. end is nil if
// nobody has asked.
func (rd *reading) guessedEnd(s *object.Stored, dek *envelope.DEK, end func() (*object.End, error)) (*envelope.Trailer, error) {
	if t, seen := rd.SeenTrailer(s); seen {
		return t, nil
	}
	if end == nil {
		return rd.Trailer(rd.r.Context(), s, dek)
	}
	e, err := end()
	if errors.Is(err, s3err.InvalidRange) {
		return nil, object.ErrReplaced // by an object that has no byte
	}
	if err != nil {
		return nil, err
	}
	return rd.OpenEnd(rd.r.Context(), s, dek, e)
}

// sendUnchecked answers a range of an object of one PUT without its end, if the bucket's settings
// allow that.
func (rd *reading) sendUnchecked(s *object.Stored, dek *envelope.DEK, facts envelope.Facts, body io.Reader) error {
	if err := rd.judge(s); err != nil {
		return err
	}
	offset, length, err := rd.rng.of(s.Size)
	if err != nil {
		return err
	}
	if _, _, _, err := rd.describe(s, dek, facts); err != nil {
		return err
	}
	layout := envelope.SingleLayout(s.Size)
	return rd.send(s, offset, length, s.OpenSpan(dek, layout, layout.Span(offset, length), body))
}

// stretch is a run of stored bytes of an object that have come from the store, or are coming.
type stretch struct {
	offset, length int64
	body           io.ReadCloser
}

// answered is what an answer has of the object's stored bytes: those from..to that it was asked for
// (to -1: to the end), or nothing that is known.
func answered(resp *http.Response, from, to, stored int64) stretch {
	if to < 0 || to >= stored {
		to = stored - 1
	}
	span := envelope.Span{Offset: from, Length: to - from + 1}
	if !isSpan(resp, span, stored) {
		return stretch{body: resp.Body}
	}
	return stretch{span.Offset, span.Length, resp.Body}
}

// sendSpan sends the range or part that the client asked for, of an object whose trailer is t and
// whose ETag is known. The store is asked only for what is not in have.
func (rd *reading) sendSpan(s *object.Stored, dek *envelope.DEK, t *envelope.Trailer, layout envelope.Layout, have stretch) error {
	offset, length, err := rd.plaintextRange(s, layout)
	if err != nil {
		return err
	}
	if rd.part > 0 {
		rd.setFacts(t.Facts, object.PartsOf(t))
		rd.table = t.Parts
	}
	span := layout.Span(offset, length)
	var body io.Reader = have.body
	if span.Offset >= have.offset && span.Offset+span.Length <= have.offset+have.length {
		if _, err := io.CopyN(io.Discard, body, span.Offset-have.offset); err != nil {
			return fmt.Errorf("%w: %w", envelope.ErrTruncated, err)
		}
	} else {
		have.body.Close() // it would hold a connection until the other answer has been sent
		resp, err := rd.GetRange(rd.r.Context(), s, span.Offset, span.Length)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body = resp.Body
	}
	return rd.send(s, offset, length, s.OpenSpan(dek, layout, span, body))
}

// endRequest asks for the object's end, with the client's conditions or without them.
func (rd *reading) endRequest(conditions bool) *upstream.Request {
	req := rd.request()
	req.Query.Del("partNumber") // the store's parts are not the client's
	if conditions {
		rd.storeConditions(req.Header)
		return req
	}
	for _, name := range readConditionNames {
		req.Header.Del(name)
	}
	return req
}

// maxHeldSuffix is the longest suffix range, in bytes of plaintext, that is asked for together with
// the trailer. Both are held in memory until the trailer is open. Readers of Parquet ask for 8 bytes
// or 64 KiB.
const maxHeldSuffix = 64 << 10

// endBytes is how much of an object's end is asked for: enough for the trailer of most objects, and
// for the segments of a short suffix range.
func (rd *reading) endBytes() int64 {
	if !rd.ranged || rd.rng.first >= 0 || rd.rng.last > maxHeldSuffix {
		return envelope.TrailerGuess
	}
	return envelope.TrailerGuess + envelope.StoredPartSize(rd.rng.last) + envelope.StoredPartSize(envelope.SegmentSize)
}

// getByEnd asks for the object's end first: for suffix ranges, parts and ranges past the end. An
// object without bytes has no end; HEAD describes it.
func (rd *reading) getByEnd() error {
	e, err := rd.ReadEnd(rd.r.Context(), rd.endRequest(true), rd.endBytes())
	if err = rd.refused(err); errors.Is(err, s3err.InvalidRange) {
		e = &object.End{}
		if e.Stored, err = rd.stat(); err != nil {
			return rd.withErrorBody(err)
		}
	}
	if err != nil {
		return err
	}
	s := e.Stored
	if rd.pinned != nil && !rd.pinned.SameAs(s) {
		return object.ErrReplaced
	}
	if err := rd.dropRange(s); err != nil {
		return err
	}
	if s.Meta == nil || s.Meta.Kind == envelope.KindEmpty {
		return rd.sendUnsegmented(s)
	}
	dek, facts, err := rd.Unlock(rd.r.Context(), s)
	if err != nil {
		return err
	}
	defer dek.Destroy()
	t, err := rd.OpenEnd(rd.r.Context(), s, dek, e)
	if err != nil {
		return err
	}
	held := int64(len(e.Suffix))
	rd.setTagOf(s, facts, t)
	return rd.sendSpan(s, dek, t, object.LayoutOf(t), stretch{s.Bytes - held, held, io.NopCloser(bytes.NewReader(e.Suffix))})
}

// sendUnsegmented answers for an object that has no segments: one without bytes, or one that is not of
// format 1.
func (rd *reading) sendUnsegmented(s *object.Stored) error {
	if err := rd.judge(s); err != nil {
		return err
	}
	if s.Meta == nil {
		return rd.sendPlainRange(s)
	}
	dek, facts, err := rd.Unlock(rd.r.Context(), s)
	if err != nil {
		return err
	}
	defer dek.Destroy()
	return rd.sendEmpty(s, facts)
}

// sendEmpty answers for an object of kind empty, which has no range.
func (rd *reading) sendEmpty(s *object.Stored, facts envelope.Facts) error {
	rd.setTag(s, facts, nil)
	offset, length, err := rd.plaintextRange(s, envelope.SingleLayout(0))
	if err != nil {
		return err
	}
	if rd.part > 0 {
		rd.setFacts(facts, 0)
	}
	rd.sendHeader(s, offset, length)
	return nil
}

// sendPlainRange answers with a range of an object that is not of format 1.
func (rd *reading) sendPlainRange(s *object.Stored) error {
	rd.setTag(s, envelope.Facts{}, nil)
	offset, length, err := rd.plaintextRange(s, envelope.SingleLayout(s.Size))
	if err != nil {
		return err
	}
	if length == 0 {
		rd.sendHeader(s, offset, length)
		return nil
	}
	body, err := rd.Read(rd.r.Context(), s, offset, length)
	if err != nil {
		return err
	}
	defer body.Close()
	if s.Legacy != nil {
		return rd.sendStream(s, offset, length, body)
	}
	rd.sendHeader(s, offset, length)
	return rd.copyPlain(body, length)
}
