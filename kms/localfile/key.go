package localfile

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/s3proxy/s3proxy/kms"
)

// Key is a keyset in a file, which is read again when it has changed. While the file is broken,
// Wrap and Unwrap go on with the keys that were last read from it; Current and Check report it.
// It is safe for concurrent use.
type Key struct {
	path    string
	options options

	state  atomic.Pointer[state]
	looked atomic.Int64 // when the file was last looked at, in Unix nanoseconds
	look   sync.Mutex   // one look at a time
}

// Option is a setting of a keyset file.
type Option func(*options)

type options struct {
	passphrase func() ([]byte, error)
	log        *slog.Logger
}

// WithPassphrase says that the file is encrypted. read gives the passphrase: it is called each
// time the file is read or written, and its result is cleared after use. If it gives nil, there
// is no passphrase.
func WithPassphrase(read func() ([]byte, error)) Option {
	return func(o *options) { o.passphrase = read }
}

// WithLog sets the log for changes of the file and its failures. The default is slog.Default.
func WithLog(log *slog.Logger) Option {
	return func(o *options) { o.log = log }
}

func gather(given []Option) options {
	var o options
	for _, set := range given {
		set(&o)
	}
	return o
}

func (o options) logger() *slog.Logger {
	if o.log == nil {
		return slog.Default()
	}
	return o.log
}

func kekName(id uint32) string {
	return identity + "#" + version(id)
}

func version(id uint32) string {
	return strconv.FormatUint(uint64(id), 10)
}

func parseKEKName(kek string) (uint32, error) {
	text, ok := strings.CutPrefix(kek, identity+"#")
	if !ok {
		return 0, fmt.Errorf("%w: %q is not the name of a local key", kms.ErrInvalid, kek)
	}
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || version(uint32(id)) != text {
		return 0, fmt.Errorf("%w: %q does not contain a key id", kms.ErrInvalid, kek)
	}
	return uint32(id), nil
}

// Scheme is the scheme of the driver's URIs.
const Scheme = "localfile"

// identity is the URI of every keyset, without a version.
const identity = Scheme + ":"
