package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// maxUserMetadata is S3's limit of x-amz-meta-*: names and values together.
const maxUserMetadata = 2 << 10

// Headers of a CopyObject that the proxy acts on.
var copyHeaders = []string{
	"X-Amz-Copy-Source", "X-Amz-Copy-Source-If-Match", "X-Amz-Copy-Source-If-None-Match",
	"X-Amz-Copy-Source-If-Modified-Since", "X-Amz-Copy-Source-If-Unmodified-Since",
	"X-Amz-Copy-Source-Range", "X-Amz-Source-Expected-Bucket-Owner", "X-Amz-Metadata-Directive", "X-Amz-Tagging-Directive",
}

// copying is one CopyObject on its way.
type copying struct {
	*exchange
	src         *copySource
	replace     bool // x-amz-metadata-directive: REPLACE
	replaceTags bool // x-amz-tagging-directive: REPLACE
	checksum    envelope.Algorithm
	sameName    bool           // of source and destination
	facts       envelope.Facts // of the source, which a copy within the store keeps
	parts       int            // of it; 0 where it was one PUT
	tag         object.ETag    // of it, in the mode of the bucket that it goes to
	update      bool           // of the very object that is read: it must not change meanwhile
}

// copyObject copies within the store where it can: the ciphertext does not move, the
// data key is wrapped for the new name, and all metadata are sent again. A copy onto itself does
// not use the store's CopyObject (copyinplace.go). What the store cannot copy streams through the
// proxy: between stores, into or out of a bucket that is not encrypted, with another checksum.
func copyObject(x *exchange) error {
	c := &copying{exchange: x}
	if err := c.readDirectives(); err != nil {
		return err
	}
	ctx := x.r.Context()
	var raced error
	for try := range inplace.MaxTries {
		if err := upstream.Wait(ctx, time.Duration(try)*20*time.Millisecond); err != nil {
			return err
		}
		var err error
		if c.src, err = x.openSource(ctx); err != nil { // judges the client's conditions anew
			return err
		}
		if err = c.place(ctx); err != nil {
			return err
		}
		err = c.once(ctx)
		if err == nil || x.begun() || !c.raced(ctx, err) || object.Damaged(err) && try == inplace.MaxDamagedTries {
			return err
		}
		raced = err
	}
	if c.update {
		return s3err.ConditionalRequestConflict.Because(raced)
	}
	return s3err.ServiceUnavailable.WithMessage("The source was replaced each time while it was copied; please try again.").Because(raced)
}

// place finds out where the copy goes. For a copy onto the object that is read, the client's
// conditions are checked here, because the write has a condition of its own. Copying a named
// version onto its key restores it, by a write like any other, unless that is the version "null"
// and current.
func (c *copying) place(ctx context.Context) error {
	src := c.src
	c.sameName = src.Upstream == c.Upstream && src.Bucket == c.bucket && src.Key == c.key
	c.update = c.sameName && src.Named == (s3name.VersionID{})
	if !c.sameName {
		return nil
	}
	if src.Named.String() == object.NoVersion {
		s, err := c.Stat(ctx, c.bucket, c.key, s3name.VersionID{})
		if err != nil && !upstream.IsNotFound(err) {
			return err
		}
		c.update = err == nil && (s.Version == (s3name.VersionID{}) || s.Version.String() == object.NoVersion)
	}
	if !c.update {
		return nil
	}
	if src.Named == (s3name.VersionID{}) && !c.changes() {
		return errCopyOntoItself
	}
	match, noneMatch := condition(c.r.Header, "If-Match"), condition(c.r.Header, "If-None-Match")
	if match == "" && noneMatch == "" {
		return nil
	}
	tag, err := src.ObjectETag(ctx, src.Stored)
	switch {
	case err != nil:
		return err
	case match != "" && !tag.IsIn(match):
		return notMatched("If-Match")
	case noneMatch != "" && tag.IsInWeakly(noneMatch):
		return notMatched("If-None-Match")
	}
	return nil
}

// once tries to copy the object as it was found. Without an error it has answered the client.
func (c *copying) once(ctx context.Context) error {
	inStore := c.src.Upstream == c.Upstream
	switch {
	case c.src.Meta == nil && c.src.Legacy == nil && c.Passthrough && inStore:
		return c.byStore(ctx)
	case c.Passthrough, c.src.Meta == nil, !inStore, c.checksum != envelope.NoChecksum, object.KindOfPut(c.key.String(), c.src.Size) == envelope.KindEmpty != (c.src.Meta.Kind == envelope.KindEmpty):
		return c.stream(ctx)
	case c.sameName:
		return c.inPlace(ctx)
	}
	return c.rewrap(ctx)
}

// raced tells whether the source was replaced between the look at it and the copy. The store
// reports that by PreconditionFailed, which may also be about a condition of the client.
func (c *copying) raced(ctx context.Context, err error) bool {
	if errors.Is(err, object.ErrChanged) || object.Damaged(err) {
		return true
	}
	if !errors.Is(err, s3err.PreconditionFailed) && !errors.Is(err, s3err.ConditionalRequestConflict) {
		return false
	}
	if c.update {
		return true
	}
	if c.src.Named != (s3name.VersionID{}) {
		return false
	}
	still, asked := c.src.IsStill(ctx)
	return asked != nil || !still
}

var errCopyOntoItself = s3err.InvalidRequest.WithMessage("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")

func (c *copying) readDirectives() error {
	for name, replace := range map[string]*bool{"Metadata": &c.replace, "Tagging": &c.replaceTags} {
		header := "X-Amz-" + name + "-Directive"
		switch v := c.r.Header.Get(header); v {
		case "", "COPY":
		case "REPLACE":
			*replace = true
		default:
			return s3err.InvalidArgument.WithMessage("Unknown %s directive.", strings.ToLower(name)).Argument(strings.ToLower(header), v)
		}
	}
	size := 0
	for name, v := range c.r.Header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			size += len(name) - len(object.MetaPrefix) + len(strings.Join(v, ","))
		}
	}
	if size > maxUserMetadata { // also where they are not used, as S3
		return s3err.MetadataTooLarge
	}
	if name := c.r.Header.Get("X-Amz-Checksum-Algorithm"); name != "" {
		if c.checksum = checksum.Named(name); c.checksum == envelope.NoChecksum {
			return checksum.ErrUnknownAlgorithm
		}
	}
	return nil
}

// changes tells whether a copy onto itself asks for anything.
func (c *copying) changes() bool {
	if c.replace || c.replaceTags {
		return true
	}
	for _, name := range []string{"X-Amz-Storage-Class", "X-Amz-Website-Redirect-Location", object.SSEHeader, "X-Amz-Checksum-Algorithm"} {
		if c.r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// headers are those of the new object: the client's, and the source's as far as the directives
// ask for them. If the store copies, it copies the tags.
func (c *copying) headers() http.Header {
	h := c.passedHeaders()
	if !c.replace {
		for name := range h {
			if strings.HasPrefix(strings.ToLower(name), object.MetaPrefix) {
				delete(h, name)
			}
		}
		for _, name := range inplace.ContentHeaders {
			h.Del(name)
			if v := c.src.Header.Values(name); len(v) > 0 {
				h[name] = v
			}
		}
		for name, v := range c.src.Header {
			if strings.HasPrefix(name, "X-Amz-Meta-") && !object.IsOwnMetadata(name) {
				h[object.MetaName(name)] = v
			}
		}
	}
	object.TrimChunkedEncoding(h)
	if !c.replaceTags {
		h.Del("X-Amz-Tagging")
	}
	return h
}

// byStore forwards a copy between buckets that are not encrypted.
func (c *copying) byStore(ctx context.Context) error {
	h := c.passedHeaders()
	for name, v := range c.r.Header {
		if strings.HasPrefix(name, "X-Amz-Copy-Source-If-") || name == "X-Amz-Metadata-Directive" || name == "X-Amz-Tagging-Directive" || name == "X-Amz-Checksum-Algorithm" || name == "X-Amz-Source-Expected-Bucket-Owner" {
			h[name] = v
		}
	}
	result, header, err := c.copyUpstream(ctx, h)
	if err != nil {
		return err
	}
	c.passHeaders(header)
	c.src.tellVersion(c.w.Header())
	result.Xmlns = s3xml.Namespace
	return c.answerXML(result)
}

// copyUpstream asks the store for a copy.
func (c *copying) copyUpstream(ctx context.Context, h http.Header) (*s3xml.CopyObjectResult, http.Header, error) {
	result := &s3xml.CopyObjectResult{}
	header, err := c.src.Copy(ctx, c.Upstream, &upstream.Request{Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Header: h, Unsigned: c.unsigned()}, result)
	if err != nil {
		return nil, nil, err
	}
	return result, header, nil
}

// rewrap copies by the store, with the key wrapped for the new name.
func (c *copying) rewrap(ctx context.Context) error {
	dek, facts, err := c.src.Unlock(ctx, c.src.Stored)
	if err != nil {
		return err
	}
	defer dek.Destroy()
	// An object below the floor of the target bucket is sealed under a new key.
	if current, err := c.Keyring.IsCurrent(ctx, c.KeyBucket(c.bucket), dek); err != nil {
		return err
	} else if !current {
		return c.stream(ctx)
	}
	kind := c.src.Meta.Kind
	if _, err := c.prove(ctx, dek, facts); err != nil {
		return err
	}
	h := c.headers()
	if _, err := c.resolveConditions(ctx, h); err != nil {
		return err
	}
	if err := c.wrapFor(ctx, h, dek, kind, facts); err != nil {
		return err
	}
	if c.src.Bytes > c.src.Limits.CopyObject {
		if err := c.copyTags(ctx, h); err != nil {
			return err
		}
		made, header, err := c.src.CopyParts(ctx, c.Upstream, c.bucket, c.key, h, nil, dek, nil)
		if err == nil {
			err = c.UnderFloor(ctx, c.bucket, dek)
		}
		if err != nil {
			return err
		}
		return c.answerCopy(made, header)
	}
	h.Set("X-Amz-Copy-Source-If-Match", c.src.UpstreamETag)
	h.Set("X-Amz-Metadata-Directive", "REPLACE")
	h.Set("X-Amz-Tagging-Directive", map[bool]string{true: "REPLACE", false: "COPY"}[c.replaceTags])
	if v := c.r.Header.Get("X-Amz-Source-Expected-Bucket-Owner"); v != "" {
		h.Set("X-Amz-Source-Expected-Bucket-Owner", v)
	}
	result, header, err := c.copyUpstream(ctx, h)
	if err == nil {
		err = c.UnderFloor(ctx, c.bucket, dek)
	}
	if err != nil {
		return err
	}
	return c.answerCopy(result, header)
}

// prove authenticates the end of the source, and keeps what the copy takes over from it.
func (c *copying) prove(ctx context.Context, dek *envelope.DEK, facts envelope.Facts) (*envelope.Trailer, error) {
	t, err := c.src.Prove(ctx, dek)
	if err != nil {
		return nil, err
	}
	c.tag, _ = c.TagOf(c.src.Stored, facts, t)
	c.facts, c.parts = facts, 0
	if t != nil {
		c.facts, c.parts = t.Facts, object.PartsOf(t)
	}
	return t, nil
}

// wrapFor adds the metadata to h by which dek can be opened at the name of the copy.
func (c *copying) wrapFor(ctx context.Context, h http.Header, dek *envelope.DEK, kind envelope.Kind, facts envelope.Facts) error {
	meta, err := c.Keyring.WrapKey(ctx, kms.Name{Bucket: c.KeyBucket(c.bucket), Key: c.key.String(), Kind: kind}, dek)
	if err != nil {
		return err
	}
	fields, err := object.EncodeMetadata(dek, meta, c.src.Size, facts)
	if err != nil {
		return err
	}
	for name, value := range fields {
		h[object.MetaPrefix+name] = []string{value}
	}
	return nil
}

// answerCopy answers a copy within the store, with the ETag that HEAD will show: the source's if
// that is one of the plaintext.
func (c *copying) answerCopy(result *s3xml.CopyObjectResult, header http.Header) error {
	tag := object.OpaqueETag(result.ETag)
	if c.tag.Plain {
		tag = c.tag
	}
	out := s3xml.CopyObjectResult{Xmlns: s3xml.Namespace, LastModified: result.LastModified, ETag: tag.Shown}
	checksum.SetElement(&out.Checksums, c.facts.Checksum, c.parts)
	out.ChecksumType = checksum.TypeName(c.facts.Checksum.Type)
	c.passHeaders(header)
	c.src.tellVersion(c.w.Header())
	c.setETag(c.w.Header(), tag, header)
	delete(c.w.Header(), "ETag") // S3 has it in the document alone
	return c.answerXML(out)
}

// stream copies by reading and writing anew: verified, sealed under a new key.
func (c *copying) stream(ctx context.Context) error {
	h := c.headers()
	if c.update {
		if err := inplace.DemandConditions(ctx, c.Objects, c.bucket); err != nil {
			return err
		}
		h.Del("If-None-Match")
		h.Set("If-Match", c.src.UpstreamETag)
	}
	if err := c.copyTags(ctx, h); err != nil {
		return err
	}
	body, err := c.src.Read(ctx, c.src.Stored, 0, c.src.Size)
	if err != nil {
		return err
	}
	defer body.Close()
	p := &checksum.Declared{Algorithm: c.checksum, WantsMD5: c.ETag == object.ETagMD5}
	if p.Algorithm == envelope.NoChecksum {
		p.Algorithm = envelope.CRC64NVME
	}
	plain := checksum.NewReader(body, nil, p)
	if c.Passthrough {
		err = c.putPassthrough(ctx, h, plain)
	} else {
		err = c.putAnew(h, plain)
	}
	if err := copyFailure(plain, err); err != nil {
		return err
	}
	out := s3xml.CopyObjectResult{Xmlns: s3xml.Namespace, LastModified: s3xml.ISOTime(c.written(ctx))}
	for name, v := range c.w.Header() {
		if strings.EqualFold(name, "ETag") { // setETag spells it as S3 does
			out.ETag = v[0]
			delete(c.w.Header(), name)
		}
		if strings.HasPrefix(name, checksum.HeaderPrefix) {
			delete(c.w.Header(), name)
		}
	}
	checksum.SetElement(&out.Checksums, plain.Facts().Checksum, 0)
	out.ChecksumType = checksum.TypeName(envelope.FullObject)
	c.src.tellVersion(c.w.Header())
	return c.answerXML(out)
}

// written is the date of a copy that was just made. If the store does not tell it, the copy has
// succeeded all the same: another client may have deleted it since.
func (c *copying) written(ctx context.Context) string {
	head, err := c.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: c.bucket, Key: c.key})
	if err != nil {
		return time.Now().UTC().Format(http.TimeFormat)
	}
	head.Body.Close()
	return head.Header.Get("Last-Modified")
}

// putAnew seals and writes the plaintext. Unlike putEncrypted it has no body of a client to see to.
func (c *copying) putAnew(h http.Header, plain *checksum.Reader) error {
	if c.src.Size > maxPutSize {
		return errSourceTooLarge(maxPutSize)
	}
	resp, err := c.putSealed(h, plain, c.src.Size)
	if err != nil {
		return c.explainReset(err)
	}
	defer resp.Body.Close()
	c.passHeaders(resp.Header)
	c.setETag(c.w.Header(), c.MD5Tag(resp.Header.Get("Etag"), plain.Facts().MD5), resp.Header)
	return nil
}

// errSourceTooLarge is S3's answer to a source that is too large for one request.
func errSourceTooLarge(most int64) error {
	return s3err.InvalidRequest.WithMessage("The specified copy source is larger than the maximum allowable size for a copy source: %d", most)
}

// putPassthrough writes into a bucket that is not encrypted.
func (c *copying) putPassthrough(ctx context.Context, h http.Header, plain *checksum.Reader) error {
	req := &upstream.Request{Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Header: h, Body: plain, Length: c.src.Size, Unsigned: c.unsigned()}
	if c.src.Size == 0 {
		if _, err := io.Copy(io.Discard, plain); err != nil {
			return err
		}
		req.Body = nil
	}
	resp, err := c.sendPassthrough(ctx, req, plain)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.passHeaders(resp.Header)
	c.w.Header()["ETag"] = []string{resp.Header.Get("Etag")}
	return nil
}

// copyTags adds the source's tags to h, for writes that do not use the store's CopyObject, unless
// the client replaces them.
func (c *copying) copyTags(ctx context.Context, h http.Header) error {
	if c.replaceTags {
		return nil
	}
	tags, err := c.src.Tags(ctx)
	if tags != "" {
		h.Set("X-Amz-Tagging", tags)
	}
	return err
}
