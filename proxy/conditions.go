package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// In ETag mode `md5` the store cannot compare the ETag that a client names, and not all stores
// compare a list of ETags. So the proxy asks for the object, compares its ETag here, and gives
// the store its own ETag of that object: the condition stays as atomic as the store makes it.

// condition is the value of a conditional header; "" when it is not there.
func condition(h http.Header, name string) string { return strings.Join(h.Values(name), ",") }

func notMatched(name string) error {
	return s3err.PreconditionFailed.With(s3err.Field{Name: "Condition", Value: name})
}

// resolveConditions turns If-Match and If-None-Match of a write to the exchange's
// object, as the client gave them in h, into the store's. The store judges a condition on an
// object that does not exist, and what S3 itself refuses: on AWS, If-None-Match with an ETag.
// resolved says that the store's PreconditionFailed would come from a change since, and not
// from the client's condition.
func (x *exchange) resolveConditions(ctx context.Context, h http.Header) (resolved bool, err error) {
	match, noneMatch := condition(h, "If-Match"), condition(h, "If-None-Match")
	if !x.ETag.ComparedHere(match, noneMatch) {
		object.TranslateConditions(h)
		return false, nil
	}
	tag, err := x.TagAt(ctx, x.bucket, x.key, x.version, x.unsigned())
	if upstream.IsNotFound(err) {
		object.TranslateConditions(h)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if object.NamesETag(match) {
		switch {
		case tag.IsIn(match):
			h["If-Match"] = []string{tag.Upstream}
		case noneMatch == "":
			return false, notMatched("If-Match")
		default: // both headers: S3 refuses that; what is sent matches no ETag of the store
			h["If-Match"] = []string{object.UpstreamETags(match)}
		}
	}
	if object.NamesETag(noneMatch) {
		if tag.IsInWeakly(noneMatch) {
			noneMatch = tag.Upstream
		}
		h["If-None-Match"] = []string{object.UpstreamETags(noneMatch)}
	}
	return object.NamesETag(match), nil
}

// doConditional sends a write without a body, or with one in memory. The request's headers have
// the client's conditions.
func (x *exchange) doConditional(ctx context.Context, req *upstream.Request) (*http.Response, error) {
	asked := req.Header
	if condition(asked, "If-Match") == "" && condition(asked, "If-None-Match") == "" {
		return x.Upstream.Do(ctx, req)
	}
	for range object.MaxTries {
		req.Header = asked.Clone()
		resolved, err := x.resolveConditions(ctx, req.Header)
		if err != nil {
			return nil, err
		}
		resp, err := x.Upstream.Do(ctx, req)
		if !resolved || !errors.Is(err, s3err.PreconditionFailed) {
			return resp, err
		}
	}
	return nil, s3err.ConditionalRequestConflict
}

// lookAgain judges the end of a write that cannot be sent again: sent is its error, asked has the
// client's conditions. If they still hold, an equal object replaced the one that was compared,
// and the client may repeat the request.
func (x *exchange) lookAgain(ctx context.Context, asked http.Header, sent error) error {
	if !errors.Is(sent, s3err.PreconditionFailed) {
		return sent
	}
	if _, err := x.resolveConditions(ctx, asked.Clone()); err != nil {
		return err
	}
	return s3err.ConditionalRequestConflict.Because(sent)
}

// readConditions are the conditional headers of GET and HEAD.
var readConditionNames = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

// ETags are looked at in the order of RFC 9110, section 13.2.2: If-Match, or else
// If-Unmodified-Since; If-None-Match, or else If-Modified-Since. The store compares the dates.

// etags are the conditions of a GET or HEAD that may name ETags.
func (rd *reading) etags() (match, noneMatch string) {
	return condition(rd.r.Header, "If-Match"), condition(rd.r.Header, "If-None-Match")
}

// comparesETags tells whether the ETags that a GET or HEAD names are compared here.
func (rd *reading) comparesETags() bool { return rd.ETag.ComparedHere(rd.etags()) }

// holdsFor tells whether what is compared here holds for an object with this ETag, of which the
// store's ETag then says the same. It does not, where the store has to judge If-Unmodified-Since,
// which counts only without If-Match.
func (rd *reading) holdsFor(tag object.ETag) bool {
	match, noneMatch := rd.etags()
	if match == "" && condition(rd.r.Header, "If-Unmodified-Since") != "" {
		return false
	}
	return (match == "" || tag.IsIn(match)) && (noneMatch == "" || !tag.IsInWeakly(noneMatch))
}

// resolveByAnswer is resolve without a request, where If-Match is all that has to be judged: judge
// does so by the answer to the read itself.
func (rd *reading) resolveByAnswer() error {
	match, noneMatch := rd.etags()
	if match == "" || noneMatch != "" || rd.asksIfModified() || !rd.comparesETags() {
		return rd.resolve()
	}
	rd.match = match
	return nil
}

// judge compares the object that is about to be sent with what resolveByAnswer has left to it.
func (rd *reading) judge(s *object.Stored) error {
	if rd.match == "" {
		return nil
	}
	tag, err := rd.ObjectETag(rd.r.Context(), s)
	if err == nil && !tag.IsIn(rd.match) {
		err = notMatched("If-Match")
	}
	return err
}

// resolveFirst resolves what was left to an answer that did not come.
func (rd *reading) resolveFirst() error {
	if rd.match == "" {
		return nil
	}
	rd.match = ""
	return rd.resolve()
}

// resolve looks at the ETags that a GET or HEAD names, in an answer of its own. After that only the
// object that was looked at is asked for.
func (rd *reading) resolve() error {
	if !rd.comparesETags() {
		return nil
	}
	match, noneMatch := rd.etags()
	h := rd.passedHeaders()
	for _, name := range readConditionNames {
		if name != "If-Unmodified-Since" || match != "" {
			h.Del(name)
		}
	}
	s, err := rd.statWith(http.MethodHead, h)
	if upstream.IsNotFound(err) && rd.op.method == http.MethodGet && rd.version != (s3name.VersionID{}) {
		s, err = rd.statWith(http.MethodGet, h) // versitygw 1.8 finds some versions by GET alone
	}
	if err != nil {
		return rd.withErrorBody(err)
	}
	tag, err := rd.ObjectETag(rd.r.Context(), s)
	if err != nil {
		return err
	}
	if match != "" && !tag.IsIn(match) {
		return notMatched("If-Match")
	}
	if noneMatch != "" && tag.IsInWeakly(noneMatch) {
		e := s3err.NotModified.With()
		e.Header = s.Header.Clone()
		e.Header["Etag"] = []string{tag.Shown}
		return e
	}
	rd.pinned = s
	return nil
}

// storeConditions are the conditions that the store gets.
func (rd *reading) storeConditions(h http.Header) {
	if rd.match != "" {
		for _, name := range readConditionNames {
			h.Del(name)
		}
		return
	}
	if rd.pinned == nil {
		object.TranslateConditions(h)
		return
	}
	for _, name := range readConditionNames {
		if name != "If-Modified-Since" || !rd.asksIfModified() {
			h.Del(name)
		}
	}
	if rd.pinned.UpstreamETag != "" {
		h["If-Match"] = []string{rd.pinned.UpstreamETag}
	}
}

// asksIfModified tells whether If-Modified-Since counts.
func (rd *reading) asksIfModified() bool {
	return condition(rd.r.Header, "If-None-Match") == "" && condition(rd.r.Header, "If-Modified-Since") != ""
}

// refused gives the client's form of the store's answer to a conditional request.
func (rd *reading) refused(err error) error {
	if rd.pinned != nil && errors.Is(err, s3err.PreconditionFailed) {
		return object.ErrReplaced
	}
	var e *s3err.Error
	if !errors.Is(err, s3err.NotModified) || !errors.As(err, &e) {
		return err
	}
	upstream := e.Header.Get("Etag")
	e = e.With()
	e.Header.Del("Etag")
	tag := object.OpaqueETag(upstream)
	if rd.ETag == object.ETagMD5 {
		tag, err = rd.TagAt(rd.r.Context(), rd.bucket, rd.key, rd.version, rd.unsigned())
		if err != nil || upstream != "" && tag.Upstream != upstream {
			return e // without an ETag: which one it has now is not known
		}
	}
	if tag.Shown != "" {
		e.Header["Etag"] = []string{tag.Shown}
	}
	return e
}
