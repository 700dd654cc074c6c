package main

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

func single(seed string, plaintext []byte) *object {
	return &object{k: newKeys(), kind: "single", seed: seed, parts: []part{{id: make([]byte, 12), plaintext: plaintext}}}
}

func multipart(seed string, parts ...part) *object {
	return &object{k: newKeys(), kind: "multipart", seed: seed, parts: parts}
}

func newPart(number int, plaintext []byte) part {
	id := (&stream{seed: "part id " + string(rune('a'+number))}).bytes(12)
	return part{number: number, id: id, plaintext: plaintext}
}

func md5Of(b []byte) []byte { s := md5.Sum(b); return s[:] }

func crcOf(b []byte) []byte { return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }

func sha256Of(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

func sha1Of(b []byte) []byte { s := sha1.Sum(b); return s[:] }

// good turns an object into a vector that must open.
func (o *object) good(name, comment string) vector {
	o.make()
	return o.vector(name, comment, "ok", len(o.plaintext()))
}

func goodObjects() []vector {
	hello := []byte("hello")
	worked := single("hello", hello)
	worked.known = facts{md5: md5Of(hello)}
	worked.facts = facts{md5: md5Of(hello), algorithm: 1, kind: 1, value: crcOf(hello)}
	out := []vector{
		worked.good("good_hello", "the worked example of docs/FORMAT.md: five bytes, MD5 known before, MD5 and CRC32 after the body"),
		single("zero", nil).good("good_zero_bytes", "no plaintext: one empty segment and a trailer"),
		single("one", text(1)).good("good_one_byte", "one byte"),
	}
	for _, n := range []int{segmentSize - 1, segmentSize, segmentSize + 1} {
		name := map[int]string{segmentSize - 1: "one_short_of_a_segment", segmentSize: "a_full_segment", segmentSize + 1: "one_more_than_a_segment"}[n]
		out = append(out, single(name, text(n)).good("good_"+name, sentence(name)))
	}
	for algorithm, value := range map[byte][]byte{1: crcOf(hello), 2: text(4), 3: text(8), 4: sha1Of(hello), 5: sha256Of(hello),
		6: text(64), 7: md5Of(hello), 8: text(8), 9: text(8), 10: text(16)} {
		o := single("algorithm", hello)
		name := fmt.Sprintf("good_facts_algorithm_%d", algorithm)
		o.known = facts{md5: md5Of(hello), algorithm: algorithm, kind: 1, value: value}
		o.facts = o.known
		out = append(out, o.good(name, fmt.Sprintf("facts with checksum algorithm %d; a reader does not compare the value", algorithm)))
	}
	zero := single("window zero", hello)
	zero.k = zero.k.with(func(k *keys) { k.windowZero = true })
	out = append(out, zero.good("good_window_zero", "no window key: the KEK wraps the DEK itself"))
	floored := single("floor", hello)
	floored.k = floored.k.with(func(k *keys) { k.floor = text(32) })
	out = append(out, floored.good("good_floor", "a commitment that is made with the bucket's floor"))
	long := single("long kek", hello)
	long.k = long.k.with(func(k *keys) { k.uri = "vector:" + strings.Repeat("u", 191) + "#1" })
	out = append(out, long.good("good_longest_kek_uri", "a KEK URI of 200 characters"))
	empty := &object{k: newKeys(), kind: "empty", seed: "empty"}
	empty.k = empty.k.with(func(k *keys) { k.key = "folder/" })
	out = append(out, empty.good("good_kind_empty", "kind empty: metadata and no stored byte"))
	out = append(out, goodMultipart()...)

	state := single("upload state", nil)
	state.kind = "multipart"
	state.k = state.k.with(func(k *keys) { k.upload = uploadID })
	state.parts = []part{newPart(1, nil)}
	v := state.good("good_upload_state", "metadata of an upload's state object: the context has the upload id too")
	v.what, v.body, v.released, v.seed = "key", nil, nil, ""
	out = append(out, v)
	stateZero := *state
	stateZero.k = state.k.with(func(k *keys) { k.windowZero = true })
	v = stateZero.good("good_upload_state_window_zero", "the same in window 0")
	v.what, v.body, v.released, v.seed = "key", nil, nil, ""
	return append(out, v)
}

func goodMultipart() []vector {
	p := newPart(7, []byte("seventh"))
	p.md5, p.algorithm, p.value = md5Of(p.plaintext), 5, sha256Of(p.plaintext)
	one := multipart("one part", p)
	one.facts = facts{algorithm: 5, kind: 2, value: sha256Of(p.value)}
	return []vector{
		one.good("good_multipart_one_part", "a multipart object of one small part, number 7, with MD5 and SHA256 and a composite checksum"),
		multipart("empty part", newPart(10000, nil)).good("good_multipart_empty_part", "a multipart object of one empty part, number 10000"),
		multipart("two segments", newPart(1, text(segmentSize+5))).good("good_multipart_two_segments", "a multipart object of one part with two segments"),
	}
}

// ranges have objects of several parts, but only those bytes that the range and the trailer need.
func ranges() []vector {
	three := func() *object {
		return multipart("ranges", newPart(2, text(mib5)), newPart(3, text(mib5 + 100)[:mib5+70]), newPart(9000, []byte("the end"))).make()
	}
	emptyLast := func() *object { return multipart("empty last", newPart(1, text(mib5+1)), newPart(2, nil)).make() }
	return []vector{
		three().rangeVector("good_range_first_byte", "the first byte needs the first segment", "ok", 0, 1),
		three().rangeVector("good_range_over_parts", "the last byte of part 2 and the first of part 3", "ok", mib5-1, 2),
		three().rangeVector("good_range_short_last_segment", "the short last segment of part 3 and all of part 9000", "ok", 2*mib5+3, 67+7),
		three().rangeVector("good_range_last_byte", "the last byte", "ok", 2*mib5+70+6, 1),
		emptyLast().rangeVector("good_range_before_an_empty_part", "the last byte, before an empty last part", "ok", mib5, 1),
		spoiled(three(), 81, func(o *object, i int) { o.segments[i] = flip(o.segments[i], 20) }).
			rangeVector("good_range_beside_a_bad_segment", "a bad segment outside of the range is not seen", "ok", 2*mib5+70, 7),
		spoiled(three(), 160, func(o *object, i int) { o.segments[i] = flip(o.segments[i], 20) }).
			rangeVector("bad_range_segment", "a bit is flipped in the one segment that the range needs", "tampered", 2*mib5+3, 4),
		spoiled(three(), 0, func(o *object, _ int) { o.segments[0], o.segments[80] = o.segments[80], o.segments[0] }).
			rangeVector("bad_range_segments_of_two_parts_swapped", "the first segments of two parts have changed places", "tampered", 10, 5),
		spoiled(three(), 0, func(o *object, _ int) { o.table = flip(o.table, 100) }).
			rangeVector("bad_range_table", "a range of a multipart object is not read without its part table", "tampered", 0, 1),
	}
}

func spoiled(o *object, i int, change func(*object, int)) *object {
	change(o, i)
	return o
}

func (o *object) rangeVector(name, comment, expect string, offset, length int64) vector {
	v := o.vector(name, comment, expect, 0)
	v.what, v.seed, v.plainRange, v.stored = "range", "", [2]int64{offset, length}, int64(len(v.body))
	if expect == "ok" {
		v.released = o.plaintext()[offset : offset+length]
	}
	begin, end := o.span(offset, offset+length)
	trailer := len(v.body) - len(o.table) - len(o.summary) - len(o.magic)
	v.chunks = [][2]int64{{int64(begin), int64(end - begin)}, {int64(trailer), int64(len(v.body) - trailer)}}
	v.body = concat(v.body[begin:end], v.body[trailer:])
	return v
}

// span walks over all segments, as a slow check of the arithmetic.
func (o *object) span(from, to int64) (begin, end int) {
	at, plain := 0, int64(0)
	begin = -1
	for _, s := range o.segments {
		n := int64(len(s) - 28)
		if plain < to && plain+n > from {
			if begin < 0 {
				begin = at
			}
			end = at + len(s)
		}
		plain += n
		at += len(s)
	}
	return begin, end
}
