package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// Served is what is known of a request that was answered. It holds no secret, nothing of a
// body, and no header but those that are named.
type Served struct {
	ID         string // the x-amz-request-id that the client got
	UpstreamID string // the store's, of the answer that this one is made of; "" for none
	Start      time.Time
	Took       time.Duration // until the last byte was sent
	FirstByte  time.Duration // until the status was sent; 0: the connection was cut before
	Remote     string        // the client's address and port
	Client     string        // the access key id; "" for unsigned requests and refused signatures
	Operation  string        // S3's name; "" where the request is none
	Method     string
	Bucket     string // the name that the client gave; it need not exist
	Key        string
	Version    string // the version that was asked for
	KEK        string // the versioned URI of the key that wrapped the object's keys; "" where none was used
	Status     int    // HTTP's; 0: the connection was cut before
	Code       string // S3's error code; "" for success
	Received   int64  // bytes of the request's body that were read
	Sent       int64  // bytes of the answer's body
	Plaintext  bool   // an object was served that is not encrypted, or is not s3proxy's
	Legacy     bool   // an object of the older s3proxy was served: decrypted, but not authenticated
	Throttled  bool   // the client asked for more than it may, see Config.Admit
	Refused    string // why the signature was refused, as an S3 error code
	Integrity  string // what kind of damage was found in the store, see [object.Damage]
	Err        error  // the cause; only logs may see it
}

// served gathers what is known when x has been answered.
func (x *exchange) served(start time.Time, err error) Served {
	s := Served{
		ID: x.id, UpstreamID: x.upstreamID, Start: start, Took: time.Since(start), Remote: x.r.RemoteAddr,
		Method: x.r.Method, Bucket: x.bucket.String(), Key: x.key.String(), Version: x.version.String(), KEK: x.kek,
		Throttled: x.throttled, Status: x.w.status, Received: x.received.Load(), Sent: x.w.bytes.Load(), Plaintext: x.plaintext, Legacy: x.legacy, Err: err,
	}
	if !x.w.began.IsZero() {
		s.FirstByte = x.w.began.Sub(start)
	}
	if x.auth != nil {
		s.Client = x.auth.AccessKeyID
	}
	if x.op != nil {
		s.Operation = x.op.name
	}
	if err == nil {
		return s
	}
	told := asS3Error(err)
	s.Code = told.Code
	if x.refused || told.Code == s3err.SignatureDoesNotMatch.Code {
		s.Refused = told.Code
	}
	if told.Status >= http.StatusInternalServerError {
		s.Integrity = damage(err)
	}
	return s
}

// belowFloor is the kind of damage that is no error of the object's own: an object that a
// rekey has left behind, or that a thief made.
const belowFloor = "below-floor"

// IntegrityKinds are all values of Served.Integrity but "".
func IntegrityKinds() []string { return append(object.DamageKinds(), belowFloor) }

// damage is the kind of damage that err tells of; "" for none.
func damage(err error) string {
	if errors.Is(err, kms.ErrBelowFloor) {
		return belowFloor
	}
	return object.Damage(err)
}

// level is how loud a log is about a request: an operator has to look at damage, may look at
// failures of the store or the KMS, and need not look at what clients do wrong: that is quiet.
func (s *Served) level(quiet slog.Level) slog.Level {
	var told *s3err.Error
	switch {
	case s.Integrity != "":
		return slog.LevelError
	case s.Err == nil, s.Throttled, errors.As(s.Err, new(clientGone)), errors.Is(s.Err, context.Canceled), errors.As(s.Err, &told) && told.Status < http.StatusInternalServerError:
		return quiet
	}
	return slog.LevelWarn
}

// log writes the line of one request; quiet is the level where nothing failed.
func (s *Served) log(ctx context.Context, to *slog.Logger, quiet slog.Level) {
	level := s.level(quiet)
	if !to.Enabled(ctx, level) {
		return
	}
	attrs := []any{
		"id", s.ID, "client", s.Client, "remote", s.Remote, "op", s.Operation, "method", s.Method, "bucket", s.Bucket, "key", s.Key,
		"status", s.Status, "received", s.Received, "sent", s.Sent, "duration_ms", milliseconds(s.Took), "first_byte_ms", milliseconds(s.FirstByte),
	}
	for _, a := range []struct{ name, value string }{
		{"version", s.Version}, {"kek", s.KEK}, {"upstream_id", s.UpstreamID}, {"code", s.Code}, {"integrity", s.Integrity},
	} {
		if a.value != "" {
			attrs = append(attrs, a.name, a.value)
		}
	}
	if s.Legacy {
		attrs = append(attrs, "legacy", true)
	}
	if s.Err != nil {
		attrs = append(attrs, "error", s.Err)
	}
	to.Log(ctx, level, "request", attrs...)
}

// milliseconds keeps three digits behind the point.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// countedBody counts what was read of a request's body.
type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}
