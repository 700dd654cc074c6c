package oldconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// MaxBytes bounds the file that is read.
const MaxBytes = 4 << 20

// Old is what the older program was configured to.
type Old struct {
	Address           string
	Port              int64
	DisableKeepAlives bool
	AwsDomain         string // with a port or without
	InsecureTLS       bool
	Buckets           map[string]*Bucket
}

// Bucket has the settings of one bucket.
type Bucket struct {
	AccessKeyID     string // "": the role of the machine
	SecretAccessKey string
	EncryptionKey   string // "": nothing was encrypted
	RetryCount      int64  // how often a request that failed was sent again
	RetryDelay      int64  // milliseconds between two of them
	Region          string
	Protocol        string // http or https
	IAMRole         string // in abustany's program alone
}

// Defaults of the older program.
const (
	oldDomain   = "s3.amazonaws.com"
	oldRegion   = "us-west-1"
	oldProtocol = "https"
)

// Read reads the older program's configuration. Each mistake is one line, without any value.
func Read(raw []byte) (*Old, error) {
	o := &Old{Buckets: map[string]*Bucket{}}
	r := newReader(raw)
	hasServer := false
	err := r.fields("", []field{
		{"Server", func(r *reader, path string) error { hasServer = true; return r.fields(path, o.serverFields()) }},
		{"Buckets", func(r *reader, path string) error {
			return r.object(path, func(name string) error {
				b := &Bucket{}
				o.Buckets[name] = b
				return r.fields(join(path, name), b.fields())
			})
		}},
	})
	if err == nil {
		err = r.end()
	}
	switch {
	case err != nil:
		return nil, err
	case len(r.unknown) > 0:
		return nil, fmt.Errorf("the older s3proxy has no such field, and has ignored it: %s; remove it, or mend it", strings.Join(r.unknown, "; "))
	case !hasServer:
		return nil, wrong("Server", "is missing")
	}
	return o, o.check()
}

func (o *Old) serverFields() []field {
	return []field{
		{"Address", text(&o.Address)}, {"Port", number(&o.Port, 16, false)}, {"DisableKeepAlives", yesNo(&o.DisableKeepAlives)},
		{"AwsDomain", text(&o.AwsDomain)}, {"InsecureTLS", yesNo(&o.InsecureTLS)},
	}
}

func (b *Bucket) fields() []field {
	return []field{
		{"AccessKeyId", text(&b.AccessKeyID)}, {"SecretAccessKey", text(&b.SecretAccessKey)}, {"EncryptionKey", text(&b.EncryptionKey)},
		{"RetryCount", number(&b.RetryCount, 31, true)}, {"RetryDelay", number(&b.RetryDelay, 31, true)},
		{"Region", text(&b.Region)}, {"Protocol", text(&b.Protocol)}, {"IAMRole", text(&b.IAMRole)},
	}
}

// check does what the older program did when it had read the file, and refuses what this one cannot
// serve.
func (o *Old) check() error {
	switch {
	case o.Address == "" || unprintable(o.Address):
		return wrong("Server.Address", "is missing, or is no address")
	case o.Port == 0:
		return wrong("Server.Port", "is missing")
	case strings.ContainsAny(o.AwsDomain, "/@?# ") || unprintable(o.AwsDomain):
		return wrong("Server.AwsDomain", "must be a name or an address, with a port or without")
	case len(o.Buckets) == 0:
		return wrong("Buckets", "names none")
	}
	if o.AwsDomain == "" {
		o.AwsDomain = oldDomain
	}
	for _, name := range slices.Sorted(maps.Keys(o.Buckets)) {
		path := join("Buckets", name)
		if err := state.CheckBucketName(name); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := o.Buckets[name].check(); err != nil {
			return fmt.Errorf("%s.%w", path, err)
		}
	}
	return nil
}

func (b *Bucket) check() error {
	switch {
	case b.AccessKeyID != "" && b.SecretAccessKey == "":
		return wrong("SecretAccessKey", "is missing")
	case b.AccessKeyID == "" && b.SecretAccessKey != "":
		return wrong("AccessKeyId", "is missing")
	case unprintable(b.AccessKeyID), unprintable(b.SecretAccessKey):
		return wrong("AccessKeyId", "and SecretAccessKey must each be one line")
	case unprintable(b.Region):
		return wrong("Region", "is no region")
	case b.Protocol != "" && b.Protocol != "http" && b.Protocol != "https":
		return wrong("Protocol", "must be http or https")
	}
	b.RetryCount, b.RetryDelay = max(b.RetryCount, 0), max(b.RetryDelay, 0)
	if b.Region == "" {
		b.Region = oldRegion
	}
	if b.Protocol == "" {
		b.Protocol = oldProtocol
	}
	return b.checkKey()
}

// wrong says what is wrong with a field.
func wrong(field, what string) error { return fmt.Errorf("%s %s", field, what) }

// unprintable tells whether a text would not survive in a file of one line. To YAML, U+0085, U+2028
// and U+2029 end a line, too, even that of a comment.
func unprintable(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.TrimSpace(s) != s
}

// checkKey wants a key that opens the old objects.
func (b *Bucket) checkKey() error {
	if b.EncryptionKey == "" {
		return nil
	}
	if strings.ContainsAny(b.EncryptionKey, "\r\n") {
		return wrong("EncryptionKey", "has more than one line")
	}
	if _, err := legacy.ParseKey(b.EncryptionKey); err != nil {
		return fmt.Errorf("EncryptionKey: %w", err)
	}
	return nil
}
