package doctor

import (
	"context"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// otherETag is that of no object.
const otherETag = `"00000000000000000000000000000000"`

// held judges a request whose condition does not hold: "" if the store refused it for that.
func held(condition string, err error) string {
	status, refused := upstream.Status(err)
	switch {
	case refused && (status == http.StatusPreconditionFailed || status == http.StatusConflict):
		return ""
	case err == nil:
		return "it ignores " + condition
	}
	return "it answers to " + condition + ": " + oneLine(err)
}

func conditions(do string, wrong ...string) Finding {
	var all []string
	for _, one := range wrong {
		if one != "" {
			all = append(all, one)
		}
	}
	if len(all) > 0 {
		return warning(do, "%s", strings.Join(all, "; "))
	}
	return well("it holds writes to their conditions")
}

// conditionalPut looks whether a PUT is held to If-None-Match and If-Match.
func (b *Bucket) conditionalPut(ctx context.Context) Finding {
	key := b.key("conditional-put")
	if err := put(ctx, b.Store, b.Name, key, content(100), nil); err != nil {
		return failed(b.do(ctx, err), "%s", oneLine(err))
	}
	try := func(name, value string) string {
		return held(name+" of a PUT", put(ctx, b.Store, b.Name, key, content(200), http.Header{name: {value}}))
	}
	return conditions("do not let clients rely on such conditions; keys rotate --objects, keys rekey and encrypt-existing need i-am-the-only-writer, and nobody who writes meanwhile",
		try("If-None-Match", "*"), try("If-Match", otherETag))
}

// conditionalComplete looks whether the end of a multipart upload is held to If-None-Match.
func (b *Bucket) conditionalComplete(ctx context.Context) Finding {
	key := b.key("conditional-complete")
	if err := put(ctx, b.Store, b.Name, key, content(100), nil); err != nil {
		return failed(b.do(ctx, err), "%s", oneLine(err))
	}
	err := b.inParts(ctx, key, http.Header{"If-None-Match": {"*"}}, 1)
	return conditions("do not let clients rely on conditions of multipart uploads", held("If-None-Match of a CompleteMultipartUpload", err))
}

// inParts writes an object by an upload with small parts of these numbers; an upload that fails
// is aborted.
func (b *Bucket) inParts(ctx context.Context, key s3name.Key, h http.Header, numbers ...int) error {
	u := upstream.Upload{Client: b.Store, Bucket: b.Name, Key: key}
	_, _, err := u.InParts(ctx, h, func(list *s3xml.CompleteUpload) error {
		for _, number := range numbers {
			etag, err := u.Part(ctx, number, &upstream.Request{Bytes: content(1000)})
			if err != nil {
				return err
			}
			list.Add(number, etag)
		}
		return nil
	})
	return err
}

// conditionalCopy looks whether a copy is held to a condition about its source, and to one about
// its destination. The second is young, and hardly a store but Amazon's knows it: that it is
// ignored is no warning.
func (b *Bucket) conditionalCopy(ctx context.Context) Finding {
	key := b.key("conditional-copy")
	if err := put(ctx, b.Store, b.Name, key, content(100), nil); err != nil {
		return failed(b.do(ctx, err), "%s", oneLine(err))
	}
	try := func(to s3name.Key, name, value string) string {
		_, err := b.Store.Result(ctx, &upstream.Request{
			Method: http.MethodPut, Bucket: b.Name, Key: to, Source: &s3name.Source{Bucket: b.Name, Key: key}, Header: http.Header{name: {value}},
		}, &s3xml.CopyObjectResult{})
		return held(name+" of a CopyObject", err)
	}
	f := conditions("do not let clients rely on conditions of copies", try(b.key("copied"), "X-Amz-Copy-Source-If-Match", otherETag))
	if f.State != OK {
		return f
	}
	other := b.key("conditional-copy-there")
	if err := put(ctx, b.Store, b.Name, other, content(100), nil); err != nil {
		return failed(b.do(ctx, err), "%s", oneLine(err))
	}
	if wrong := try(other, "If-None-Match", "*"); wrong != "" {
		return well("it holds copies to conditions about their source, and not to those about their destination, on which clients must not rely: %s", wrong)
	}
	return well("it holds copies to conditions about their source and destination")
}
