package proxy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// In ETag mode `md5` the store cannot compare what a client names, and in no mode do all
// stores compare a list of ETags. The object is asked for, its ETag compared here, and the
// store is given the ETag of its own that belongs to it: a condition stays as atomic as the
// store makes it.

// maxResolves bounds how often that is done anew when the object was replaced
// between the two requests.
const maxResolves = 5

// condition is the value of a conditional header; "" when it is not there.
func condition(h http.Header, name string) string { return strings.Join(h.Values(name), ",") }

func notMatched(name string) error {
	return s3err.PreconditionFailed.With(s3err.Field{Name: "Condition", Value: name})
}

// comparedHere tells whether one of these conditions, in this ETag mode, is for the proxy to
// compare.
func (m ETagMode) comparedHere(conditions ...string) bool {
	return slices.ContainsFunc(conditions, func(c string) bool {
		return namesETag(c) && (m == ETagMD5 || strings.Contains(c, ","))
	})
}

// resolveConditions turns If-Match and If-None-Match of a write to the exchange's
// object, as the client gave them in h, into the store's. A condition on what is not
// there is the store's to judge, and so is what S3 itself refuses: If-None-Match with an
// ETag on AWS. resolved says that a PreconditionFailed of the store comes from a change
// since, and not from the client's condition.
func (x *exchange) resolveConditions(ctx context.Context, h http.Header) (resolved bool, err error) {
	match, noneMatch := condition(h, "If-Match"), condition(h, "If-None-Match")
	if !x.ETag.comparedHere(match, noneMatch) {
		translateConditions(h)
		return false, nil
	}
	tag, err := x.tagAt(ctx, x.bucket, x.key, x.version, x.unsigned())
	if upstream.IsNotFound(err) {
		translateConditions(h)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if namesETag(match) {
		switch {
		case tag.isIn(match):
			h["If-Match"] = []string{tag.upstream}
		case noneMatch == "":
			return false, notMatched("If-Match")
		default: // both: S3 refuses that as it is; it matches no ETag of the store's
			h["If-Match"] = []string{upstreamETags(match)}
		}
	}
	if namesETag(noneMatch) {
		if tag.isInWeakly(noneMatch) {
			noneMatch = tag.upstream
		}
		h["If-None-Match"] = []string{upstreamETags(noneMatch)}
	}
	return namesETag(match), nil
}

// doConditional sends a write whose body, if it has one, is in memory. header gives
// its headers with the client's conditions.
func (x *exchange) doConditional(ctx context.Context, req *upstream.Request) (*http.Response, error) {
	asked := req.Header
	for range maxResolves {
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

// lookAgain is for a write that cannot be sent again: sent is how it ended, asked has
// the client's conditions. If they hold still, the object was replaced by an equal
// one meanwhile, and the client may repeat the request.
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

// resolve looks at the ETags that a GET or HEAD names, in the order of RFC 9110,
// section 13.2.2: If-Match, or else If-Unmodified-Since; If-None-Match, or else
// If-Modified-Since. The dates are compared by the store. What is asked for then is
// the very object that was looked at.
func (rd *reading) resolve() error {
	match, noneMatch := condition(rd.r.Header, "If-Match"), condition(rd.r.Header, "If-None-Match")
	if !rd.ETag.comparedHere(match, noneMatch) {
		return nil
	}
	h := rd.passedHeaders()
	for _, name := range readConditionNames {
		if name != "If-Unmodified-Since" || match != "" {
			h.Del(name)
		}
	}
	s, err := rd.statWith(h)
	if err != nil {
		return rd.inWords(err)
	}
	tag, err := rd.objectETag(rd.r.Context(), s)
	if err != nil {
		return err
	}
	if match != "" && !tag.isIn(match) {
		return notMatched("If-Match")
	}
	if noneMatch != "" && tag.isInWeakly(noneMatch) {
		e := s3err.NotModified.With()
		e.Header = s.header.Clone()
		e.Header["Etag"] = []string{tag.shown}
		return e
	}
	rd.pinned = s
	return nil
}

// storeConditions are the conditions that the store gets.
func (rd *reading) storeConditions(h http.Header) {
	if rd.pinned == nil {
		translateConditions(h)
		return
	}
	for _, name := range readConditionNames {
		if name != "If-Modified-Since" || !rd.asksIfModified() {
			h.Del(name)
		}
	}
	if rd.pinned.etag != "" {
		h["If-Match"] = []string{rd.pinned.etag}
	}
}

// asksIfModified tells whether If-Modified-Since counts.
func (rd *reading) asksIfModified() bool {
	return condition(rd.r.Header, "If-None-Match") == "" && condition(rd.r.Header, "If-Modified-Since") != ""
}

// refused gives the client's form of the store's answer to a conditional request.
func (rd *reading) refused(err error) error {
	if rd.pinned != nil && errors.Is(err, s3err.PreconditionFailed) {
		return errReplaced
	}
	var e *s3err.Error
	if !errors.Is(err, s3err.NotModified) || !errors.As(err, &e) {
		return err
	}
	upstream := e.Header.Get("Etag")
	e = e.With()
	e.Header.Del("Etag")
	tag := opaqueTag(upstream)
	if rd.ETag == ETagMD5 {
		tag, err = rd.tagAt(rd.r.Context(), rd.bucket, rd.key, rd.version, rd.unsigned())
		if err != nil || upstream != "" && tag.upstream != upstream {
			return e // without its ETag, of which nothing is known any more
		}
	}
	if tag.shown != "" {
		e.Header["Etag"] = []string{tag.shown}
	}
	return e
}
