package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// A range or a part is sent only if the object's end was seen to be authentic: so the bytes of a
// refused upload never come out, whatever a store kept of it. The end is read beside the first
// range. After that the object's state is known, and each further range is one request, which
// names the ETag of that state.

// getRanged answers a GET of a range or of a part.
func (rd *reading) getRanged() error {
	if done, err := rd.getWarm(); done {
		return err
	}
	if rd.ranged && rd.rng.first >= 0 && rd.rng.first < envelope.MaxObjectSize && rd.ifRange == "" {
		return rd.getGuessed()
	}
	return rd.getByEnd()
}

// getWarm answers from an object whose state is known. done is false if it is not known, or if
// the object has changed since.
func (rd *reading) getWarm() (done bool, err error) {
	st, ok := rd.LastSeen(rd.bucket, rd.key, rd.version)
	if !ok || rd.ifRange != "" || rd.pinned != nil && (rd.pinned.Meta == nil || !st.Is(rd.pinned)) {
		return false, nil
	}
	known := &object.Stored{Meta: &envelope.Metadata{Kind: st.Trailer.Kind}, Size: st.Trailer.Size}
	layout := object.LayoutOf(st.Trailer)
	offset, length, err := rd.plaintextRange(known, layout)
	if err != nil || length == 0 { // the store judges the request first
		return false, nil
	}
	span := layout.Span(offset, length)
	h := rd.passedHeaders()
	rd.storeConditions(h)
	h.Set("Range", byteSpan(span.Offset, span.Length))
	ours := !hasConditions(h)
	if ours {
		h.Set("If-Match", st.UpstreamETag)
	}
	resp, err := rd.askWith(http.MethodGet, h)
	switch {
	case ours && errors.Is(err, s3err.PreconditionFailed), errors.Is(err, s3err.InvalidRange):
		return false, nil
	case err != nil:
		return true, rd.refused(err)
	}
	defer resp.Body.Close()
	s, err := rd.ReadStored(rd.bucket, rd.key, rd.unsigned(), resp)
	if err != nil || !st.Is(s) || !isSpan(resp, span, s.Bytes) {
		return false, nil // the request starts over, which refuses what has to be refused
	}
	dek, facts, err := rd.Unlock(rd.r.Context(), s)
	if err != nil {
		return true, err
	}
	defer dek.Destroy()
	return true, rd.sendSpan(s, dek, st.Trailer, facts, resp.Body)
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

// byteSpan is the value of a Range header.
func byteSpan(offset, length int64) string {
	return fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
}

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

// getGuessed asks for a range as if the object were of one PUT, and for its end beside it.
func (rd *reading) getGuessed() error {
	ctx, cancel := context.WithCancel(rd.r.Context())
	defer cancel()
	end := make(chan objectEnd, 1)
	if !rd.SkipRangeCheck {
		go func() { end <- rd.readEnd(ctx, false) }()
	}
	resp, err := rd.ask(http.MethodGet, guessRange(rd.rng))
	if errors.Is(err, s3err.InvalidRange) {
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
	if s.Meta == nil || s.Meta.Kind != envelope.KindSingle || resp.StatusCode != http.StatusPartialContent {
		resp.Body.Close()
		if rd.SkipRangeCheck {
			return rd.getByEnd()
		}
		return rd.answerByEnd(<-end)
	}
	dek, facts, err := rd.Unlock(ctx, s)
	if err != nil {
		return err
	}
	defer dek.Destroy()
	if rd.SkipRangeCheck {
		return rd.sendUnchecked(s, dek, facts, resp.Body)
	}
	t, seen := rd.SeenTrailer(s)
	if !seen {
		e := <-end
		if e.err != nil {
			return e.err
		}
		if t, err = rd.openEnd(s, dek, e); err != nil {
			return err
		}
	}
	return rd.sendSpan(s, dek, t, facts, resp.Body)
}

// sendUnchecked answers a range of an object of one PUT without its end, if the bucket's settings
// allow that.
func (rd *reading) sendUnchecked(s *object.Stored, dek *envelope.DEK, facts envelope.Facts, body io.Reader) error {
	offset, length, err := rd.rng.of(s.Size)
	if err != nil {
		return err
	}
	if _, _, _, err := rd.describe(s, dek, facts); err != nil {
		return err
	}
	span := envelope.SingleLayout(s.Size).Span(offset, length)
	return rd.send(s, offset, length, s.OpenSpan(dek, nil, span, body))
}

// sendSpan sends the range or part that the client asked for, of an object whose trailer is t.
// body begins with its first segment.
func (rd *reading) sendSpan(s *object.Stored, dek *envelope.DEK, t *envelope.Trailer, facts envelope.Facts, body io.Reader) error {
	layout := object.LayoutOf(t)
	offset, length, err := rd.plaintextRange(s, layout)
	if err != nil {
		return err
	}
	if !rd.setTag(s, facts, nil) {
		rd.setTag(s, t.Facts, t)
	}
	if rd.part > 0 {
		rd.setFacts(t.Facts, object.PartsOf(t))
		rd.table = t.Parts
	}
	return rd.send(s, offset, length, s.OpenSpan(dek, t, layout.Span(offset, length), body))
}

// objectEnd is a store's answer to a request for the end of an object.
type objectEnd struct {
	stored *object.Stored
	suffix []byte
	err    error
}

// readEnd asks for the end of the object, with the client's conditions or without them.
// An object without bytes has no end; HEAD describes it.
func (rd *reading) readEnd(ctx context.Context, conditions bool) objectEnd {
	h := rd.passedHeaders()
	if conditions {
		rd.storeConditions(h)
	} else {
		for _, name := range readConditionNames {
			h.Del(name)
		}
	}
	h.Set("Range", fmt.Sprintf("bytes=-%d", envelope.TrailerGuess))
	resp, err := rd.askIn(ctx, http.MethodGet, h)
	if err != nil {
		return objectEnd{err: err}
	}
	defer resp.Body.Close()
	s, err := rd.ReadStored(rd.bucket, rd.key, rd.unsigned(), resp)
	if err != nil {
		return objectEnd{err: err}
	}
	want := min(s.Bytes, envelope.TrailerGuess)
	if s.Meta == nil || want == 0 || resp.ContentLength != want {
		return objectEnd{stored: s} // the store ignores suffix ranges: the end is asked for by its offset
	}
	suffix := make([]byte, want)
	if _, err := io.ReadFull(resp.Body, suffix); err != nil {
		return objectEnd{err: fmt.Errorf("%w: the end: %w", envelope.ErrTruncated, err)}
	}
	return objectEnd{stored: s, suffix: suffix}
}

// openEnd opens the trailer of s in the end that was read, which must be of the same state.
func (rd *reading) openEnd(s *object.Stored, dek *envelope.DEK, e objectEnd) (*envelope.Trailer, error) {
	if e.stored.Meta == nil || !s.SameAs(e.stored) || s.UpstreamETag != e.stored.UpstreamETag || s.Bytes != e.stored.Bytes {
		return nil, object.ErrReplaced
	}
	if t, ok := rd.SeenTrailer(s); ok {
		return t, nil
	}
	if e.suffix == nil {
		return rd.Trailer(rd.r.Context(), s, dek)
	}
	t, err := dek.OpenTrailer(s.Meta.Kind, s.Bytes, e.suffix)
	if more := (*envelope.NeedMore)(nil); errors.As(err, &more) {
		return rd.Trailer(rd.r.Context(), s, dek)
	}
	if err != nil {
		return nil, err
	}
	return t, rd.SawTrailer(s, t)
}

// getByEnd asks for the object's end first: for suffix ranges, parts, ranges of multipart
// objects, ranges past the end, and wherever a guess was wrong.
func (rd *reading) getByEnd() error {
	e := rd.readEnd(rd.r.Context(), true)
	e.err = rd.refused(e.err)
	return rd.answerByEnd(e)
}

// answerByEnd sends the range or part that the client asked for, of the object whose end was
// read.
func (rd *reading) answerByEnd(e objectEnd) error {
	if errors.Is(e.err, s3err.InvalidRange) { // of an object that has no byte
		var err error
		if e.stored, err = rd.stat(); err != nil {
			return rd.withErrorBody(err)
		}
	} else if e.err != nil {
		return e.err
	}
	s := e.stored
	if rd.pinned != nil && !rd.pinned.SameAs(s) {
		return object.ErrReplaced
	}
	if err := rd.dropRange(s); err != nil {
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
	if s.Meta.Kind == envelope.KindEmpty {
		return rd.sendEmpty(s, facts)
	}
	t, err := rd.openEnd(s, dek, e)
	if err != nil {
		return err
	}
	offset, length, err := rd.plaintextRange(s, object.LayoutOf(t))
	if err != nil {
		return err
	}
	span := object.LayoutOf(t).Span(offset, length)
	resp, err := rd.GetRange(rd.r.Context(), s, span.Offset, span.Length)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return rd.sendSpan(s, dek, t, facts, resp.Body)
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
