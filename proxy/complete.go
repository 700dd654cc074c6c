package proxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

type completeRequest struct {
	XMLName xml.Name      `xml:"CompleteMultipartUpload"`
	Xmlns   string        `xml:"xmlns,attr,omitempty"`
	Parts   completedList `xml:"Part"`
}

type completedPart struct {
	PartNumber *int    `xml:"PartNumber"`
	ETag       *string `xml:"ETag"`
	xmlChecksums
}

// completedList is at most as long as S3 allows; see bounded.
type completedList []completedPart

// UnmarshalXML implements xml.Unmarshaler, once for each part.
func (l *completedList) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if len(*l) == envelope.MaxParts {
		return errTooManyEntries
	}
	var p completedPart
	if err := d.DecodeElement(&p, &start); err != nil {
		return err
	}
	*l = append(*l, p)
	return nil
}

type completeResult struct {
	XMLName  xml.Name `xml:"CompleteMultipartUploadResult"`
	Xmlns    string   `xml:"xmlns,attr"`
	Location string   `xml:"Location"`
	Bucket   string   `xml:"Bucket"`
	Key      xmlText  `xml:"Key"`
	ETag     string   `xml:"ETag"`
	xmlChecksums
	ChecksumType string `xml:"ChecksumType,omitempty"`
}

// completion is one CompleteMultipartUpload on its way.
type completion struct {
	*exchange
	u      *upload
	asked  completedList
	size   int64 // x-amz-mp-object-size; -1: not given
	digest envelope.Checksum
	kind   envelope.ChecksumType // x-amz-checksum-type

	resolved bool // the conditions sent are those of an object that may change
}

// completed is a finished object of an upload.
type completed struct {
	header  http.Header // of the store's answers: version, expiration
	etag    string      // the store's
	trailer *envelope.Trailer
}

// completeMultipartUpload ends an upload: every listed part is known to the store
// and by a record, the trailer goes up as the last part, and the store puts all of
// them together. No part that a client sent is overwritten, so that a repeated
// request, on any replica and after any failure, does the same again.
func completeMultipartUpload(x *exchange) error {
	c, err := x.readCompletion()
	if err != nil {
		return err
	}
	x.remember()
	alive := x.keepAlive()
	done, err := c.run(x.r.Context())
	begun := alive.stop()
	if err != nil {
		if begun {
			return x.answerLate(x.asS3Error(err))
		}
		return err
	}
	out := completeResult{Xmlns: s3Namespace, Location: x.location(x.key), Bucket: x.bucket, Key: xmlText(x.key), ETag: x.completedETag(done)}
	facts := done.trailer.Facts
	out.set(facts.Checksum, len(done.trailer.Parts))
	out.ChecksumType = typeName(facts.Checksum.Type)
	if begun {
		return x.answerXMLLate(out)
	}
	x.passHeaders(done.header)
	x.markNoMD5(x.w.Header())
	return x.answerXML(out)
}

// completedETag is the ETag that HEAD will show.
func (x *exchange) completedETag(done *completed) string {
	if x.ETag == ETagMD5 {
		if tag := multipartMD5(done.trailer.Parts); tag != "" {
			return tag
		}
	}
	return clientETag(done.etag)
}

// readCompletion reads and checks what can be checked without the store.
func (x *exchange) readCompletion() (*completion, error) {
	ofBody := http.Header{}
	for _, name := range []string{"Content-Md5"} { // the rest is of the object
		if v := x.r.Header.Values(name); len(v) > 0 {
			ofBody[name] = v
		}
	}
	body, err := x.readDocumentOf(maxDocument, ofBody)
	if err != nil {
		return nil, err
	}
	c := &completion{exchange: x, size: -1}
	var in completeRequest
	if err := xml.Unmarshal(body, &in); err != nil {
		return nil, x.refusedDocument(s3err.MalformedXML.Because(err))
	}
	if len(in.Parts) == 0 {
		return nil, x.refusedDocument(s3err.MalformedXML)
	}
	c.asked = in.Parts
	if text := x.r.Header.Get("X-Amz-Mp-Object-Size"); text != "" {
		c.size, err = strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil:
			return nil, s3err.InvalidRequest.WithMessage("Value for x-amz-mp-object-size header is invalid: '%s'", text)
		case c.size < 0:
			return nil, s3err.InvalidRequest.WithMessage("Value for x-amz-mp-object-size header is less than zero: '%d'", c.size)
		}
	}
	if c.digest, err = readFinalChecksum(x.r.Header); err != nil {
		return nil, err
	}
	c.kind, err = readChecksumType(x.r.Header)
	return c, err
}

// readFinalChecksum reads the checksum of the whole object among the headers, in
// either form: "value", or "value-parts" of a composite one.
func readFinalChecksum(h http.Header) (c envelope.Checksum, err error) {
	for name, values := range h {
		a := algorithmNamed(strings.TrimPrefix(name, checksumHeaderPrefix))
		if !strings.HasPrefix(name, checksumHeaderPrefix) || a == envelope.NoChecksum {
			continue
		}
		if c.Algorithm != envelope.NoChecksum || len(values) != 1 {
			return c, errManyChecksums
		}
		text, count, composite := strings.Cut(values[0], "-")
		c.Algorithm, c.Type = a, envelope.FullObject
		if composite {
			c.Type = envelope.Composite
			if _, err := strconv.ParseUint(count, 10, 32); err != nil || a == envelope.CRC64NVME {
				return c, invalidHeader(name)
			}
		}
		if c.Value, err = base64.StdEncoding.DecodeString(text); err != nil || len(c.Value) != a.Size() {
			return c, invalidHeader(name)
		}
	}
	return c, nil
}

// maxCompleteTries bounds how often a Complete begins anew because another request
// for the same upload, at another replica, came between its steps.
const maxCompleteTries = 8

// run goes through the steps. What the client asked for is checked anew in each
// try, since parts may be sent again meanwhile.
func (c *completion) run(ctx context.Context) (*completed, error) {
	// One at a time in this process: each would replace the other's trailer.
	release, err := c.completing.acquire(ctx, [3]string{c.bucket, c.key, c.query.Get("uploadId")})
	if err != nil {
		return nil, err
	}
	defer release()
	u, err := c.openUpload(ctx)
	if errors.Is(err, s3err.NoSuchUpload) {
		// The state is gone: by an Abort, or by a Complete that succeeded.
		return c.finishedBefore(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	defer u.close()
	c.u = u
	for try := range maxCompleteTries {
		done, err := c.try(ctx)
		if errors.Is(err, s3err.NoSuchUpload) {
			c.forgetEnded(u, err)
			done, err = c.ended(ctx, err)
		}
		if errors.Is(err, errAgain) {
			if err := pause(ctx, time.Duration(rand.Int64N(int64(try+1)*int64(100*time.Millisecond)))); err != nil {
				return nil, err
			}
			continue
		}
		if err == nil {
			c.removeState(ctx)
		}
		return done, err
	}
	return nil, s3err.OperationAborted.Because(errors.New("other requests for this upload come between"))
}

// ended looks for the object of an upload that the store no longer has. While
// another request's Complete puts the parts together, versitygw 1.8 hides the
// upload, and shows it again when that fails: as long as nobody took the state
// away, the object may still come.
func (c *completion) ended(ctx context.Context, gone error) (*completed, error) {
	for _, wait := range settleWaits {
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		done, err := c.finishedBefore(ctx, gone)
		if !errors.Is(err, s3err.NoSuchUpload) {
			return done, err
		}
		_, err = c.loadUpload(ctx, c.u.bucket, c.u.key, c.u.id)
		if errors.Is(err, errNoState) {
			// Whoever took it away may have done so because the object is there.
			return c.finishedBefore(ctx, gone)
		}
		if err != nil {
			return nil, during(stepCheckObject, err)
		}
	}
	return nil, gone
}

func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// errAgain says that another request for the same upload came between two steps.
var errAgain = errors.New("the upload changed meanwhile")

func (c *completion) try(ctx context.Context) (*completed, error) {
	u := c.u
	sent, err := u.sentParts(ctx, nil, false)
	if err != nil {
		return nil, during(stepListParts, err)
	}
	parts, err := c.choose(sent)
	if errors.Is(err, s3err.InvalidPart) {
		return nil, c.unlessEnded(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	trailer, err := c.trailer(parts)
	if err != nil {
		return nil, err
	}
	if sent.marked {
		// versitygw 1.8 hides the upload while it completes it: a sweep that comes
		// then must begin to count anew.
		stateBucket, folder := u.folder(u.bucket, u.key, u.id)
		if err := u.removeState(ctx, stateBucket, folder+goneMark); err != nil {
			return nil, during(stepForgetGone, err)
		}
	}
	sealed, err := u.dek.SealTrailer(trailer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stepSendTrailer, err)
	}
	list := completeRequest{Xmlns: s3Namespace}
	last := parts[len(parts)-1]
	number := last.Part.Number + 1
	// A part that the client sent and does not list, or is sending. Number 10,000
	// is never one: what stands there is the trailer of an earlier try.
	for number < envelope.MaxParts && sent.used[number] {
		number++
	}
	req := &upstream.Request{Bytes: sealed}
	again := last.Part.Size < envelope.MinPartSize || last.Part.Number == envelope.MaxParts
	if again {
		parts = parts[:len(parts)-1]
		if last.Part.Number == envelope.MaxParts {
			number = envelope.MaxParts
		}
		body, err := u.keptBody(ctx, last)
		if errors.Is(err, s3err.NoSuchKey) {
			return nil, c.unlessEnded(ctx, during(stepSendTrailer, fmt.Errorf("%w: %w", errAgain, err)))
		}
		if err != nil {
			return nil, during(stepSendTrailer, err)
		}
		defer body.Close()
		req = &upstream.Request{Body: io.MultiReader(body, bytes.NewReader(sealed)), Length: envelope.StoredPartSize(last.Part.Size) + int64(len(sealed))}
	}
	etag, err := u.sendUpstream(ctx, number, req)
	if err != nil {
		return nil, during(stepSendTrailer, err)
	}
	for _, p := range parts {
		list.add(p.Part.Number, p.ETag)
	}
	list.add(number, etag)
	return c.complete(ctx, list, trailer)
}

// unlessEnded gives err, or what says that the upload was ended meanwhile: its
// records go with it.
func (c *completion) unlessEnded(ctx context.Context, err error) error {
	u := c.u
	if _, gone := c.loadUpload(ctx, u.bucket, u.key, u.id); errors.Is(gone, errNoState) {
		return s3err.NoSuchUpload.Because(gone)
	}
	q := url.Values{"uploadId": {u.id}, "max-parts": {"1"}}
	resp, gone := u.Upstream.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: u.bucket, Key: u.key, Query: q, Unsigned: u.unsigned})
	if errors.Is(gone, s3err.NoSuchUpload) {
		return gone
	}
	if gone == nil {
		resp.Body.Close()
	}
	return err
}

func (l *completeRequest) add(number int, etag string) {
	quoted := `"` + etag + `"`
	l.Parts = append(l.Parts, completedPart{PartNumber: &number, ETag: &quoted})
}

// keptBody opens the body of a part that is sent again with the trailer behind it.
func (u *upload) keptBody(ctx context.Context, p partRecord) (io.ReadCloser, error) {
	stateBucket, folder := u.folder(u.bucket, u.key, u.id)
	name := p.name
	if p.Part.Number == envelope.MaxParts {
		name = bodyPrefix + fmt.Sprintf("%x", p.Part.ID[:])
	}
	resp, err := u.Upstream.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: stateBucket, Key: folder + name})
	if err != nil {
		return nil, err
	}
	if resp.ContentLength != envelope.StoredPartSize(p.Part.Size) {
		resp.Body.Close()
		return nil, fmt.Errorf("%w: the kept body of part %d has %d bytes", errStored, p.Part.Number, resp.ContentLength)
	}
	return resp.Body, nil
}

// choose checks the client's list against the parts that are there. All sizes are
// of the plaintext.
func (c *completion) choose(sent *sentParts) ([]partRecord, error) {
	if c.kind != envelope.NoType && c.kind != c.u.options.Type {
		mode := typeName(c.u.options.Type)
		if mode == "" {
			mode = "null"
		}
		return nil, s3err.InvalidRequest.WithMessage("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", mode)
	}
	var chosen []partRecord
	before := 0
	for i, asked := range c.asked {
		if asked.PartNumber == nil || asked.ETag == nil {
			return nil, s3err.MalformedXML
		}
		number := *asked.PartNumber
		if number < 1 {
			return nil, s3err.InvalidArgument.WithMessage("PartNumber must be >= 1").Argument("PartNumber", strconv.Itoa(number))
		}
		if number <= before {
			return nil, s3err.InvalidPartOrder
		}
		before = number
		p, ok := c.find(sent.parts[number], *asked.ETag)
		if !ok {
			return nil, c.invalidPart(asked)
		}
		if i < len(c.asked)-1 && p.Part.Size < envelope.MinPartSize {
			return nil, s3err.EntityTooSmall.With(
				s3err.Field{Name: "ProposedSize", Value: strconv.FormatInt(p.Part.Size, 10)}, s3err.Field{Name: "MinSizeAllowed", Value: strconv.Itoa(envelope.MinPartSize)},
				s3err.Field{Name: "PartNumber", Value: strconv.Itoa(number)}, s3err.Field{Name: "ETag", Value: strings.Trim(*asked.ETag, `"`)})
		}
		if err := c.checkPart(asked, p); err != nil {
			return nil, err
		}
		chosen = append(chosen, p)
	}
	return chosen, nil
}

func (c *completion) invalidPart(asked completedPart) error {
	return s3err.InvalidPart.With(
		s3err.Field{Name: "UploadId", Value: c.u.id}, s3err.Field{Name: "PartNumber", Value: strconv.Itoa(*asked.PartNumber)},
		s3err.Field{Name: "ETag", Value: strings.Trim(*asked.ETag, `"`)})
}

// find gives the sending of a part that the client names by its ETag: as it was
// shown, or as the store has it.
func (c *completion) find(sendings []partRecord, etag string) (partRecord, bool) {
	etag = strings.Trim(etag, `"`)
	for _, p := range sendings {
		if etag == strings.Trim(c.u.partETag(p.Record), `"`) || etag == p.ETag {
			return p, true
		}
	}
	return partRecord{}, false
}

// checkPart compares the checksum that the client names for a part.
func (c *completion) checkPart(asked completedPart, p partRecord) error {
	given := asked.given()
	if len(given) > 1 {
		return errPartChecksum.Argument("Checksum", *asked.of(given[0]))
	}
	wanted := c.u.options.Checksum
	if len(given) == 0 {
		if wanted != envelope.NoChecksum {
			return s3err.InvalidRequest.WithMessage("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.", strings.ToLower(wanted.String()), p.Part.Number)
		}
		return nil
	}
	a := given[0]
	value := asked.value(a)
	switch {
	case value == nil:
		return errPartChecksum.Argument("Checksum", *asked.of(a))
	case a == p.Part.Checksum.Algorithm:
		if !bytes.Equal(value, p.Part.Checksum.Value) {
			return c.invalidPart(asked)
		}
	case wanted != envelope.NoChecksum:
		return s3err.BadDigest.WithMessage("The %s you specified for part %d did not match what we received.", strings.ToLower(a.String()), p.Part.Number)
	}
	return nil
}

var errPartChecksum = s3err.InvalidArgument.WithMessage("Invalid Base64 or multiple checksums present in request")

// trailer is what proves that the object has these parts and no others.
func (c *completion) trailer(parts []partRecord) (*envelope.Trailer, error) {
	t := &envelope.Trailer{Kind: envelope.KindMultipart, UploadHash: c.u.hash}
	for _, p := range parts {
		t.Parts = append(t.Parts, p.Part)
		t.Size += p.Part.Size
	}
	if c.size >= 0 && c.size != t.Size {
		return nil, s3err.InvalidRequest.WithMessage("The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", c.size, t.Size)
	}
	t.Facts.Checksum = objectChecksum(c.u.options, t.Parts)
	if want := c.digest; want.Algorithm != envelope.NoChecksum && c.u.options.Checksum != envelope.NoChecksum {
		if want.Algorithm != c.u.options.Checksum || !bytes.Equal(want.Value, t.Facts.Checksum.Value) {
			return nil, s3err.BadDigest.WithMessage("The %s you specified did not match the calculated checksum.", want.Algorithm)
		}
	}
	return t, nil
}

// objectChecksum is the checksum of an object from those of its parts, none where a
// part has another algorithm.
func objectChecksum(o envelope.Upload, parts []envelope.Part) envelope.Checksum {
	c := envelope.Checksum{Algorithm: o.Checksum, Type: o.Type}
	if o.Checksum == envelope.NoChecksum {
		c = envelope.Checksum{Algorithm: envelope.CRC64NVME, Type: envelope.FullObject}
	}
	composite := algorithms[c.Algorithm]()
	var crc uint64
	for i, p := range parts {
		if p.Checksum.Algorithm != c.Algorithm {
			return envelope.Checksum{}
		}
		composite.Write(p.Checksum.Value)
		if c.Type == envelope.FullObject {
			value := binary.BigEndian.Uint64(append(make([]byte, 8-len(p.Checksum.Value)), p.Checksum.Value...))
			if i == 0 {
				crc = value
			} else {
				crc = combineCRC(c.Algorithm, crc, value, p.Size)
			}
		}
	}
	c.Value = composite.Sum(nil)
	if c.Type == envelope.FullObject {
		c.Value = binary.BigEndian.AppendUint64(nil, crc)[8-c.Algorithm.Size():]
	}
	return c
}

// complete asks the store to put the parts together, and makes sure that it has: a
// 200 may hold an error, and versitygw 1.8 answers 200 for any upload that is gone
// when an object stands at the key.
func (c *completion) complete(ctx context.Context, list completeRequest, trailer *envelope.Trailer) (*completed, error) {
	u := c.u
	h := c.passedHeaders()
	if err := c.conditions(ctx, h); err != nil {
		return nil, err
	}
	result, header, err := u.finish(ctx, list, h)
	if err != nil {
		return nil, c.completeFailure(err)
	}
	// Whoever says the checksum of the whole has put it together; versitygw 1.8 says
	// nothing of the kind when it only finds that the upload is gone.
	return c.settle(ctx, header, result.ETag, trailer, len(result.given()) > 0)
}

// finish asks the store to put an upload together. A 200 may hold an error.
func (u *upload) finish(ctx context.Context, list completeRequest, h http.Header) (*completeResult, http.Header, error) {
	doc, err := xml.Marshal(list)
	if err != nil {
		return nil, nil, err
	}
	h.Set("Content-Type", "application/xml")
	resp, err := u.Upstream.Do(ctx, &upstream.Request{Method: http.MethodPost, Bucket: u.bucket, Key: u.key, Query: url.Values{"uploadId": {u.id}}, Header: h, Bytes: doc, Unsigned: u.unsigned})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return nil, nil, s3err.ServiceUnavailable.Because(err)
	}
	if refused := s3err.InDocument(answer); refused != nil {
		return nil, nil, refused
	}
	result := &completeResult{}
	if err := xml.Unmarshal(answer, result); err != nil {
		return nil, nil, s3err.ServiceUnavailable.Because(fmt.Errorf("the store's answer: %w", err))
	}
	return result, resp.Header, nil
}

// completeFailure turns the store's refusal into the client's: what it says of the
// parts is of ours, so they are looked at again.
func (c *completion) completeFailure(err error) error {
	if c.resolved && errors.Is(err, s3err.PreconditionFailed) {
		return fmt.Errorf("%w: %w", errAgain, err) // and its conditions are looked at again
	}
	for _, again := range []*s3err.Error{s3err.InvalidPart, s3err.InvalidPartOrder, s3err.EntityTooSmall} {
		if errors.Is(err, again) {
			return fmt.Errorf("%w: %w", errAgain, err)
		}
	}
	return during(stepComplete, err)
}

// settleWaits are the pauses before looking again whether the object is there.
var settleWaits = []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond, time.Second, 2 * time.Second}

// settle makes sure that the object at the key is this upload's, of this list: its
// metadata commits to this upload's key. It is not when the store said 200 for
// another reason, or when it was overwritten since.
func (c *completion) settle(ctx context.Context, header http.Header, etag string, trailer *envelope.Trailer, proven bool) (*completed, error) {
	done := &completed{header: header, etag: etag, trailer: trailer}
	finished, err := c.judge(ctx, done)
	if finished || err != nil {
		return done, err
	}
	if !proven {
		if proven, err = c.storeTellsTheTruth(ctx); err != nil {
			return nil, err
		}
	}
	if proven { // overwritten since
		return done, nil
	}
	for _, wait := range settleWaits {
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		if finished, err := c.judge(ctx, done); finished || err != nil {
			return done, err
		}
	}
	if _, err := c.u.sentParts(ctx, nil, false); err == nil {
		return nil, fmt.Errorf("%w: the store said 200 and did nothing", errAgain)
	} else if !errors.Is(err, s3err.NoSuchUpload) {
		return nil, during(stepCheckObject, err)
	}
	return nil, s3err.ServiceUnavailable.WithMessage("Whether this upload became the object is not known: another request completes it, or its object was overwritten since. Please try again.").
		Because(fmt.Errorf("%s: the store says 200 for any upload that it does not have", stepCheckObject))
}

// judge tells whether the object at the key is what this Complete asked for. An
// upload that was aborted, or completed with another list, is NoSuchUpload.
func (c *completion) judge(ctx context.Context, done *completed) (finished bool, err error) {
	u := c.u
	s, err := c.statObject(ctx, done.header.Get("X-Amz-Version-Id"))
	if err != nil && !isNotFound(err) && !errors.Is(err, envelope.ErrNotEncrypted) {
		return false, during(stepCheckObject, err)
	}
	if err == nil && s.meta != nil && s.meta.Commitment == u.dek.Commitment() {
		if made := strings.Trim(done.etag, `"`); multipartETag.MatchString(made) && made == strings.Trim(s.etag, `"`) {
			return true, nil // of these very parts, for each trailer is another
		}
		t, err := c.objects.trailer(ctx, s, u.dek)
		if err != nil {
			return false, during(stepCheckObject, err)
		}
		if !sameParts(t.Parts, done.trailer.Parts) {
			return false, s3err.NoSuchUpload.Because(errors.New("the upload was completed with another list of parts"))
		}
		done.etag, done.trailer = s.etag, t
		return true, nil
	}
	if _, err := c.loadUpload(ctx, u.bucket, u.key, u.id); errors.Is(err, errNoState) {
		return false, s3err.NoSuchUpload.Because(err) // aborted, or completed by another request: run looks
	} else if err != nil {
		return false, during(stepCheckObject, err)
	}
	return false, nil
}

// multipartETag is one that is made of the parts' ETags.
var multipartETag = regexp.MustCompile(`^[0-9a-f]{32}-[0-9]+$`)

func sameParts(a, b []envelope.Part) bool {
	return slices.EqualFunc(a, b, func(a, b envelope.Part) bool { return a.Number == b.Number && a.ID == b.ID && a.Size == b.Size })
}

// storeTellsTheTruth asks for a Complete that cannot be: of this upload at the key
// of its own state object. A store that says 200 says it always.
func (c *completion) storeTellsTheTruth(ctx context.Context) (bool, error) {
	u := c.u
	list := completeRequest{Xmlns: s3Namespace}
	list.add(1, strings.Repeat("0", 32))
	doc, err := xml.Marshal(list)
	if err != nil {
		return false, err
	}
	stateBucket, folder := u.folder(u.bucket, u.key, u.id)
	resp, err := u.Upstream.Do(ctx, &upstream.Request{
		Method: http.MethodPost, Bucket: stateBucket, Key: folder + stateKey, Query: url.Values{"uploadId": {u.id}},
		Header: http.Header{"Content-Type": {"application/xml"}}, Bytes: doc,
	})
	truth := false
	switch status, refused := refusedWith(err); {
	case err == nil:
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
		resp.Body.Close()
		if err != nil {
			return false, during(stepCheckObject, s3err.ServiceUnavailable.Because(err))
		}
		truth = s3err.InDocument(answer) != nil
	case refused && status < http.StatusInternalServerError:
		truth = true
	default:
		return false, during(stepCheckObject, err)
	}
	// A store may say 200 only where an object stands: it did, if it still does.
	if _, err := c.loadUpload(ctx, u.bucket, u.key, u.id); errors.Is(err, errNoState) {
		return false, s3err.NoSuchUpload.Because(err)
	} else if err != nil {
		return false, during(stepCheckObject, err)
	}
	return truth, nil
}

// statObject asks for the object at the upload's key, with the proxy's own credentials.
func (x *exchange) statObject(ctx context.Context, version string) (*stored, error) {
	q := url.Values{}
	if version != "" && version != "null" {
		q.Set("versionId", version)
	}
	resp, err := x.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: x.bucket, Key: x.key, Query: q})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return x.readStored(x.bucket, x.key, false, resp)
}

func isNotFound(err error) bool {
	status, refused := refusedWith(err)
	return refused && status == http.StatusNotFound
}

// finishedBefore looks whether a Complete of this upload has succeeded before: only
// the object itself can prove it, by the hash of the upload's id in its summary. An
// aborted upload is NoSuchUpload whatever stands at the key.
func (c *completion) finishedBefore(ctx context.Context, gone error) (*completed, error) {
	s, err := c.statObject(ctx, "")
	if err != nil || s.meta == nil || s.meta.Kind != envelope.KindMultipart {
		if err != nil && !isNotFound(err) && !errors.Is(err, envelope.ErrNotEncrypted) {
			return nil, during(stepCheckObject, err)
		}
		return nil, gone
	}
	dek, err := c.openKey(ctx, s)
	if err != nil {
		return nil, during(stepCheckObject, err)
	}
	defer dek.Destroy()
	t, err := c.objects.trailer(ctx, s, dek)
	if err != nil {
		return nil, during(stepCheckObject, err)
	}
	if t.UploadHash != envelope.UploadHash(c.query.Get("uploadId")) || !c.lists(t.Parts) {
		return nil, gone
	}
	return &completed{header: s.header, etag: s.etag, trailer: t}, nil
}

// lists tells whether the client's list is that of a finished object, as far as the
// object knows: the parts' ETags went with the state, but that of number 10,000.
func (c *completion) lists(parts []envelope.Part) bool {
	return slices.EqualFunc(c.asked, parts, func(asked completedPart, p envelope.Part) bool {
		if asked.PartNumber == nil || asked.ETag == nil || *asked.PartNumber != p.Number {
			return false
		}
		etag := strings.Trim(*asked.ETag, `"`)
		return p.Number != envelope.MaxParts || c.ETag == ETagMD5 || etag == ownETag(p.ID) || etag == strings.Trim(clientETag(ownETag(p.ID)), `"`)
	})
}

// removeState removes the upload's state; what is left of it is swept later.
func (c *completion) removeState(ctx context.Context) {
	if err := c.u.removeRecords(ctx); err != nil {
		c.log.Warn("what is left of a completed upload is swept later", "bucket", c.u.bucket, "error", during(stepRemoveRecords, err))
	}
	c.uploads.lru.Remove([3]string{c.u.bucket, c.u.key, c.u.id})
}

// conditions are the client's, translated for the store.
func (c *completion) conditions(ctx context.Context, h http.Header) error {
	var err error
	c.resolved, err = c.resolveConditions(ctx, h)
	return err
}
