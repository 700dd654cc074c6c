package audit

import (
	"context"
	"errors"
	"time"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/forward"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
)

// request is the event of a request that was answered.
type request struct {
	Time       time.Time `json:"time"` // of its headers
	Event      string    `json:"event"`
	Outcome    string    `json:"outcome"` // done, refused (4xx), failed (5xx), or cut
	ID         string    `json:"id"`
	UpstreamID string    `json:"upstream-id,omitempty"`
	Client     string    `json:"client,omitempty"`
	Remote     string    `json:"remote"`
	Operation  string    `json:"operation,omitempty"`
	Method     string    `json:"method"`
	Bucket     string    `json:"bucket,omitempty"`
	Key        string    `json:"key,omitempty"`
	Version    string    `json:"version,omitempty"`
	KEK        string    `json:"kek,omitempty"`
	Status     int       `json:"status"`
	Code       string    `json:"code,omitempty"`
	Received   int64     `json:"received"`
	Sent       int64     `json:"sent"`
	Plaintext  bool      `json:"plaintext,omitempty"`
	Legacy     bool      `json:"legacy,omitempty"`
	Integrity  string    `json:"integrity,omitempty"`
}

// Request writes the event of a request.
func (l *Log) Request(s proxy.Served) {
	if l == nil {
		return
	}
	l.write(request{
		Time: s.Start.UTC(), Event: "request", Outcome: outcome(s), ID: s.ID, UpstreamID: s.UpstreamID, Client: s.Client, Remote: s.Remote,
		Operation: s.Operation, Method: s.Method, Bucket: s.Bucket, Key: s.Key, Version: s.Version, KEK: s.KEK,
		Status: s.Status, Code: s.Code, Received: s.Received, Sent: s.Sent, Plaintext: s.Plaintext, Legacy: s.Legacy, Integrity: s.Integrity,
	})
}

func outcome(s proxy.Served) string {
	switch {
	case s.Err != nil && s.Status/100 == 2, s.Status == 0:
		return "cut"
	case s.Status >= 500:
		return "failed"
	case s.Status >= 400:
		return "refused"
	}
	return "done"
}

// reload is the event of files that were read again while the process serves.
type reload struct {
	Time   time.Time `json:"time"`
	Event  string    `json:"event"`
	What   string    `json:"what"`   // credentials or certificates
	Result string    `json:"result"` // ok, or error: the old ones stay valid
	Error  string    `json:"error,omitempty"`
}

// Reload writes the event of new credentials or certificates.
func (l *Log) Reload(what string, err error) {
	if l == nil {
		return
	}
	e := reload{Time: time.Now().UTC(), Event: "reload", What: what, Result: "ok"}
	if err != nil {
		e.Result, e.Error = "error", err.Error()
	}
	l.write(e)
}

// tunnel is the event of a CONNECT, when it has ended. What went through a tunnel that was opened
// was not encrypted by s3proxy.
type tunnel struct {
	Time      time.Time `json:"time"` // of its request
	Event     string    `json:"event"`
	Result    string    `json:"result"` // of forward
	Client    string    `json:"client,omitempty"`
	Remote    string    `json:"remote"`
	Host      string    `json:"host"`
	Status    int       `json:"status"`
	Encrypted bool      `json:"encrypted"`
	Received  int64     `json:"received"`
	Sent      int64     `json:"sent"`
	Error     string    `json:"error,omitempty"`
}

// Tunnel writes the event of a CONNECT.
func (l *Log) Tunnel(c forward.Connection) {
	if l == nil {
		return
	}
	e := tunnel{c.Start.UTC(), "connect", c.Result, c.Client, c.Remote, c.Host, c.Status, c.Result == forward.Intercepted, c.Received, c.Sent, ""}
	if c.Err != nil {
		e.Error = c.Err.Error()
	}
	l.write(e)
}

// operator is the event of an operator's look into the process.
type operator struct {
	Time   time.Time `json:"time"`
	Event  string    `json:"event"`
	Remote string    `json:"remote"`
	Path   string    `json:"path"`
}

// Operator writes the event of a profile that an operator has taken, from the admin listener.
func (l *Log) Operator(remote, path string) {
	if l != nil {
		l.write(operator{time.Now().UTC(), "admin", remote, path})
	}
}

// key is the event of a call of a KMS that gives or opens a key.
type key struct {
	Time   time.Time `json:"time"`
	Event  string    `json:"event"` // wrap or unwrap
	KEK    string    `json:"kek"`   // of a wrap that failed: the key without its version
	Bucket string    `json:"bucket,omitempty"`
	Result string    `json:"result"` // ok, or the class of the error
	Error  string    `json:"error,omitempty"`
}

// Key gives a key whose wraps and unwraps are events.
func (l *Log) Key(k kms.Key) kms.Key {
	if l == nil {
		return k
	}
	return audited{k, l}
}

type audited struct {
	kms.Key
	log *Log
}

func (a audited) Wrap(ctx context.Context, plaintext []byte, to kms.Context) (kms.Wrapped, error) {
	w, err := a.Key.Wrap(ctx, plaintext, to)
	kek := w.KEK
	if err != nil {
		kek = a.URI()
	}
	a.log.used("wrap", kek, to, err)
	return w, err
}

func (a audited) Unwrap(ctx context.Context, w kms.Wrapped, of kms.Context) ([]byte, error) {
	plaintext, err := a.Key.Unwrap(ctx, w, of)
	a.log.used("unwrap", w.KEK, of, err)
	return plaintext, err
}

func (l *Log) used(event, kek string, c kms.Context, err error) {
	e := key{Time: l.now().UTC(), Event: event, KEK: kek, Bucket: c["bucket"], Result: kms.Class(err)}
	if err != nil && !errors.Is(err, context.Canceled) {
		e.Error = err.Error()
	}
	l.write(e)
}

// process is the event of what an operator does with the process.
type process struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"` // start or stop
	Version string    `json:"version"`
	PID     int       `json:"pid"`
}

// Process writes that the process starts or stops.
func (l *Log) Process(event, version string, pid int) {
	if l != nil {
		l.write(process{l.now().UTC(), event, version, pid})
	}
}
