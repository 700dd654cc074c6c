package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

const (
	segmentSize = 65536
	mib5        = 5 << 20
)

var kinds = map[string]byte{"single": 1, "multipart": 2, "empty": 3}

// keys is everything secret or bound: the KEK (a raw AES-256-GCM key in place of a KMS), the window
// key, the DEK, and the names.
type keys struct {
	kek, window, dek    []byte
	floor               []byte // the salt of the commitment; nil for none
	bucket, key, upload string
	uri                 string
	windowZero          bool
}

func newKeys() *keys {
	s := &stream{seed: "keys"}
	return &keys{kek: s.bytes(32), window: s.bytes(32), dek: s.bytes(32),
		bucket: "photos", key: "2026/a cat.jpg", uri: "vector:#1"}
}

func (k keys) with(change func(*keys)) *keys { change(&k); return &k }

// canonical is the associated data of every wrapped key.
func canonical(pairs map[string]string) []byte {
	out := []byte("s3proxy context v1")
	out = binary.BigEndian.AppendUint32(out, uint32(len(pairs)))
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(name))), name...)
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(pairs[name]))), pairs[name]...)
	}
	return out
}

func hexSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}

func seal(key, iv, plaintext, aad []byte) []byte {
	return gcm(key).Seal(slices.Clone(iv), iv, plaintext, aad)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// metadata makes all fields; the sealed facts are used as given.
func (k *keys) metadata(ivs *stream, kind string, facts []byte) map[string]string {
	m := map[string]string{"s3proxy-format": "1", "s3proxy-kind": kind, "s3proxy-kek": k.uri}
	if k.windowZero {
		c := map[string]string{"bucket": k.bucket, "key-sha256": hexSHA256(k.key), "format": "1", "kind": kind}
		if k.upload != "" {
			c["upload-sha256"] = hexSHA256(k.upload)
		}
		m["s3proxy-dek"] = b64(seal(k.kek, ivs.bytes(12), k.dek, canonical(c)))
	} else {
		wrapped := seal(k.kek, ivs.bytes(12), k.window, canonical(map[string]string{"bucket": k.bucket}))
		id := sha256.Sum256(wrapped)
		c := map[string]string{"bucket": k.bucket, "key": k.key, "format": "1", "kind": kind, "kek": k.uri, "window": hex.EncodeToString(id[:16])}
		if k.upload != "" {
			c["upload"] = k.upload
		}
		m["s3proxy-window"] = b64(wrapped)
		m["s3proxy-dek"] = b64(seal(k.window, ivs.bytes(12), k.dek, canonical(c)))
	}
	m["s3proxy-commit"] = b64(commitment(k.dek, k.floor))
	m["s3proxy-facts"] = b64(seal(k.dek, ivs.bytes(12), facts, magicAAD(kinds[kind], 'F')))
	return m
}

func commitment(dek, floor []byte) []byte {
	out, err := hkdf.Key(sha256.New, dek, floor, "s3proxy commit v1", 32)
	if err != nil {
		panic(err)
	}
	return out
}

func magicAAD(kind, tag byte) []byte { return []byte{'S', '3', 'P', 'X', 1, kind, tag} }

func segmentAAD(kind byte, id []byte, number uint32, index uint64, last byte) []byte {
	out := append([]byte{1, kind}, id...)
	out = binary.BigEndian.AppendUint32(out, number)
	out = binary.BigEndian.AppendUint64(out, index)
	return append(out, last)
}

// part describes one part. value is a checksum of algorithm.
type part struct {
	number    int
	id        []byte
	plaintext []byte
	md5       []byte
	algorithm byte
	value     []byte
}

func (p part) segments(key []byte, kind byte, ivs *stream) (out [][]byte) {
	rest := p.plaintext
	for index := uint64(0); ; index++ {
		n := min(len(rest), segmentSize)
		last := byte(0)
		if n == len(rest) {
			last = 1
		}
		out = append(out, seal(key, ivs.bytes(12), rest[:n], segmentAAD(kind, p.id, uint32(p.number), index, last)))
		if rest = rest[n:]; last == 1 {
			return out
		}
	}
}

func md5Field(v []byte) []byte {
	if v == nil {
		return make([]byte, 17)
	}
	return append([]byte{1}, v...)
}

func padded(v []byte) []byte { return append(slices.Clone(v), make([]byte, 64-len(v))...) }

func (p part) entry() []byte {
	out := binary.BigEndian.AppendUint16(nil, uint16(p.number))
	out = binary.BigEndian.AppendUint64(out, uint64(len(p.plaintext)))
	return concat(out, p.id, md5Field(p.md5), []byte{p.algorithm}, padded(p.value))
}

// facts of the whole object.
type facts struct {
	md5       []byte
	algorithm byte
	kind      byte
	value     []byte
}

// sizeField is the plaintext size in the facts; for an upload it is not known.
func sizeField(kind string, size int) []byte {
	if kind == "multipart" {
		return []byte{0}
	}
	return binary.BigEndian.AppendUint64([]byte{1}, uint64(size))
}

func (f facts) encode() []byte {
	out := []byte{0}
	if f.md5 != nil {
		out = md5Field(f.md5)
	}
	if out = append(out, f.algorithm); f.algorithm != 0 {
		out = append(append(out, f.kind), f.value...)
	}
	return out
}

// object is one stored object in pieces, so that a case can damage any of them.
type object struct {
	k        *keys
	kind     string
	seed     string
	parts    []part
	known    facts // before the body: in the metadata
	facts    facts // after it: in the summary
	meta     map[string]string
	segments [][]byte // of all parts, in order
	table    []byte
	summary  []byte
	magic    []byte
	// The spoil hooks change plaintexts of the trailer before they are sealed.
	spoilTable, spoilSummary func([]byte) []byte
}

func (o *object) make() *object {
	ivs := &stream{seed: o.seed}
	kind := kinds[o.kind]
	o.meta = o.k.metadata(ivs, o.kind, concat(sizeField(o.kind, len(o.plaintext())), o.known.encode()))
	if o.kind == "empty" {
		return o
	}
	o.segments = nil
	for _, p := range o.parts {
		o.segments = append(o.segments, p.segments(o.k.dek, kind, ivs)...)
	}
	o.sealTrailer(ivs)
	o.magic = []byte("S3PXYEND")
	return o
}

func (o *object) sealTrailer(ivs *stream) {
	kind := kinds[o.kind]
	size, body := 0, 0
	table := binary.BigEndian.AppendUint32(nil, uint32(len(o.parts)))
	for _, p := range o.parts {
		size += len(p.plaintext)
		body += storedPart(len(p.plaintext))
		table = append(table, p.entry()...)
	}
	room := storedSize(size) - body - (160 + 28) - 8 - 28
	table = append(table, make([]byte, room-len(table))...)
	if o.spoilTable != nil {
		table = o.spoilTable(table)
	}
	o.table = seal(o.k.dek, ivs.bytes(12), table, magicAAD(kind, 'T'))
	summary := binary.BigEndian.AppendUint64(nil, uint64(size))
	summary = binary.BigEndian.AppendUint32(summary, uint32(len(o.table)))
	summary = binary.BigEndian.AppendUint32(summary, uint32(len(o.parts)))
	upload := make([]byte, 16)
	if o.kind == "multipart" {
		sum := sha256.Sum256([]byte(uploadID))
		upload = sum[:16]
	}
	summary = concat(summary, o.table[len(o.table)-16:], md5Field(o.facts.md5),
		[]byte{o.facts.algorithm, o.facts.kind}, padded(o.facts.value), upload, make([]byte, 29))
	if o.spoilSummary != nil {
		summary = o.spoilSummary(summary)
	}
	o.summary = seal(o.k.dek, ivs.bytes(12), summary, magicAAD(kind, 'S'))
}

const uploadID = "2~upload.example"

func storedPart(n int) int { return n + 28*max(1, (n+segmentSize-1)/segmentSize) }

func storedSize(n int) int { return storedPart(n) + 256 + 160*(min(n/mib5, 9999)+1) }

func (o *object) body() []byte {
	return concat(concat(o.segments...), o.table, o.summary, o.magic)
}

func (o *object) plaintext() (out []byte) {
	for _, p := range o.parts {
		out = append(out, p.plaintext...)
	}
	return out
}

func (o *object) vector(name, comment, expect string, released int) vector {
	v := vector{name: name, comment: comment, what: "object", expect: expect, k: o.k, meta: o.meta, body: o.body()}
	v.released = o.plaintext()[:released]
	if expect == "ok" {
		v.seed = o.seed
	}
	return v
}
