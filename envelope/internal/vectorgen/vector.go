package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
)

// vector is one file: the input of a reader, and what the reader must do.
type vector struct {
	name, comment string
	what          string // "object", "range", "key" or "record"
	expect        string // "ok" or the class of the error
	released      []byte // the plaintext that may come out
	k             *keys
	seed          string // of the IVs, if a writer must produce the same bytes
	meta          map[string]string
	record        string // name of a part record
	etag          string // what the record must say
	plainRange    [2]int64
	stored        int64 // what the store announces; 0: the length of body
	body          []byte
	chunks        [][2]int64 // offset and length of the pieces of the object in body; nil: all of it
}

func (v vector) encode() []byte {
	var b bytes.Buffer
	line := func(name, format string, args ...any) { fmt.Fprintf(&b, name+": "+format+"\n", args...) }
	line("expect", "%s", v.expect)
	line("comment", "%s", v.comment)
	line("what", "%s", v.what)
	sum := sha256.Sum256(v.released)
	line("released", "%d %s", len(v.released), hex.EncodeToString(sum[:]))
	line("kek", "%x", v.k.kek)
	line("dek", "%x", v.k.dek)
	line("bucket", "%s", v.k.bucket)
	line("key", "%s", v.k.key)
	if v.k.upload != "" {
		line("upload", "%s", v.k.upload)
	}
	if v.k.floor != nil {
		line("floor", "%x", v.k.floor)
	}
	if v.seed != "" {
		line("seed", "%s", v.seed)
	}
	names := make([]string, 0, len(v.meta))
	for name := range v.meta {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		line("meta", "%s %q", name, v.meta[name])
	}
	if v.what == "record" {
		line("record", "%q", v.record)
		line("etag", "%q", v.etag)
	}
	if v.what == "range" {
		line("range", "%d %d", v.plainRange[0], v.plainRange[1])
	}
	stored := v.stored
	if stored == 0 {
		stored = int64(len(v.body))
	}
	line("stored", "%d", stored)
	for _, c := range v.chunks {
		line("chunk", "%d %d", c[0], c[1])
	}
	b.WriteByte('\n')
	b.Write(v.body)
	return b.Bytes()
}

// stream is reproducible randomness: SHA-256 of seed and a counter.
type stream struct {
	seed    string
	counter uint32
	left    []byte
}

func (s *stream) bytes(n int) []byte {
	for len(s.left) < n {
		sum := sha256.Sum256(append([]byte(s.seed), byte(s.counter>>24), byte(s.counter>>16), byte(s.counter>>8), byte(s.counter)))
		s.left = append(s.left, sum[:]...)
		s.counter++
	}
	out := s.left[:n:n]
	s.left = s.left[n:]
	return out
}

// text is n bytes of plaintext.
func text(n int) []byte {
	return (&stream{seed: "plaintext"}).bytes(n)
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func concat(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }

func sentence(name string) string { return strings.ReplaceAll(name, "_", " ") }
