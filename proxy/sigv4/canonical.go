package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// Room for most canonical requests, and for what is signed of one or of a chunk, in bytes.
const (
	canonicalSize = 1 << 10
	textSize      = 384
)

// appendCanonical appends the canonical request: the text that is signed for r. A caller's buffer of
// canonicalSize is enough for most.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html#canonical-request
func appendCanonical(text []byte, r *http.Request, query string, signedHeaders []string, payload string) ([]byte, error) {
	path, err := url.PathUnescape(rawPath(r))
	if err != nil {
		return nil, s3err.InvalidURI.Because(err)
	}
	text = appendTexts(text, r.Method, "\n", EncodePath(path), "\n", query, "\n")
	for _, name := range signedHeaders {
		text = appendTexts(text, name, ":", headerValue(r, name), "\n")
	}
	return appendTexts(text, "\n", strings.Join(signedHeaders, ";"), "\n", payload), nil
}

func appendTexts(b []byte, texts ...string) []byte {
	for _, text := range texts {
		b = append(b, text...)
	}
	return b
}

// rawPath is the path as it came: the caller may have rewritten net/url's own
// forms of it.
func rawPath(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		return path
	}
	if path := r.URL.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// headerValue is the canonical value of a header, from where net/http put it.
func headerValue(r *http.Request, name string) string {
	var values []string
	switch name {
	case "host":
		values = []string{r.Host}
	case "transfer-encoding":
		values = r.TransferEncoding
	case "content-length":
		if values = r.Header.Values(name); len(values) == 0 && r.ContentLength >= 0 {
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
	case "expect":
		// net/http's HTTP/2 takes this value out of the header, and no other.
		if values = r.Header.Values(name); len(values) == 0 && r.ProtoMajor == 2 {
			values = []string{"100-continue"}
		}
	default:
		values = r.Header.Values(name)
	}
	if len(values) == 1 {
		return oneSpaced(strings.TrimSpace(values[0]))
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = oneSpaced(strings.TrimSpace(v))
	}
	return strings.Join(trimmed, ",")
}

func oneSpaced(s string) string {
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return s
}

// requireSigned refuses a request with headers that change its meaning and that
// the signature does not cover: host, x-amz-* and Content-MD5. As in S3,
// x-amz-content-sha256 needs no signature of its own; its value is the last line
// of the canonical request.
func requireSigned(r *http.Request, signed []string) error {
	var missing []string
	if !slices.Contains(signed, "host") {
		missing = append(missing, "host")
	}
	for name := range r.Header {
		if !hasPrefixFold(name, "x-amz-") && !strings.EqualFold(name, "content-md5") {
			continue
		}
		if lower := strings.ToLower(name); lower != "x-amz-content-sha256" && !slices.Contains(signed, lower) {
			missing = append(missing, lower)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return s3err.AccessDenied.WithMessage("There were headers present in the request which were not signed").
		With(s3err.Field{Name: "HeadersNotSigned", Value: strings.Join(missing, ", ")})
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// canonical gives the query string that is signed: encoded anew and sorted.
func (q query) canonical(except ...string) string {
	encoded := make([]parameter, 0, len(q))
	for _, p := range q {
		if !slices.Contains(except, p.name) {
			encoded = append(encoded, parameter{encode(p.name, false), encode(p.value, false)})
		}
	}
	slices.SortFunc(encoded, func(a, b parameter) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	var b strings.Builder
	for i, p := range encoded {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String()
}

// EncodePath encodes a path or a key as S3 does: every byte but letters, digits
// and "-._~/" becomes %XX in capitals. Nothing is cleaned or merged.
func EncodePath(s string) string { return encode(s, true) }

func encode(s string, keepSlash bool) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(s) + len(s)/2)
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/' && keepSlash:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// chain makes signatures. Each signature of a chunked body is over the one
// before it, that of the request being the first.
type chain struct {
	key          []byte
	hmac         hash.Hash // with key; nil: not needed yet
	text         []byte    // what hmac is given at once
	stamp, scope string
	previous     string
	unchecked    bool // every signature will do
}

// is tells whether a signature is the one that was given.
func (c *chain) is(want, given string) bool { return c.unchecked || equal(want, given) }

func (c *chain) stringToSign(request []byte) string {
	return algorithm + "\n" + c.stamp + "\n" + c.scope + "\n" + hexSum(request)
}

// mac gives the signature of a text, which is given in parts.
func (c *chain) mac(parts ...string) string {
	if c.hmac == nil {
		c.hmac, c.text = hmac.New(sha256.New, c.key), make([]byte, 0, textSize)
	} else {
		c.hmac.Reset()
	}
	c.text = appendTexts(c.text[:0], parts...)
	c.hmac.Write(c.text)
	return hexText(c.hmac.Sum(c.text[:0]))
}

// chunk gives the signature of the next chunk, whose data has this SHA-256.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html#sigv4-chunked-body-definition
func (c *chain) chunk(sum []byte) string {
	c.previous = c.mac("AWS4-HMAC-SHA256-PAYLOAD\n", c.stamp, "\n", c.scope, "\n", c.previous, "\n", emptySum, "\n", hexText(sum))
	return c.previous
}

// trailer gives the signature of the trailers, "name:value\n" each.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func (c *chain) trailer(text []byte) string {
	c.previous = c.mac("AWS4-HMAC-SHA256-TRAILER\n", c.stamp, "\n", c.scope, "\n", c.previous, "\n", hexSum(text))
	return c.previous
}

// emptySum is the SHA-256 of nothing.
const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hexText(sum[:])
}

// hexText is hex.EncodeToString for a SHA-256, but allocates only once.
func hexText(sum []byte) string {
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum)
	return string(text[:])
}

// signingKey derives the key for a day and a region.
func signingKey(secret, date, region string) []byte {
	key := mac([]byte("AWS4"+secret), date)
	key = mac(key, region)
	key = mac(key, service)
	return mac(key, terminator)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
