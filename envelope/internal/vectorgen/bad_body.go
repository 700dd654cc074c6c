package main

import (
	"fmt"
	"slices"
)

// change damages a finished object of n plaintext bytes.
func change(name, comment, expect string, n, released int, how func(*object)) vector {
	o := single(name, text(n)).make()
	how(o)
	return o.vector("bad_"+name, comment, expect, released)
}

func badBodies() []vector {
	const two = segmentSize + 5 // a full segment and a short one
	var out []vector
	// One bit in each field of each piece. Everything before the last segment may be released, the
	// last segment only after the trailer.
	for _, at := range []struct {
		field string
		byte  int
	}{{"iv", 0}, {"ciphertext", 12}, {"tag", -1}} {
		out = append(out,
			change("first_segment_"+at.field, "a bit of the first segment's "+at.field, "tampered", two, 0, func(o *object) { o.segments[0] = flipAt(o.segments[0], at.byte) }),
			change("last_segment_"+at.field, "a bit of the last segment's "+at.field, "tampered", two, segmentSize, func(o *object) { o.segments[1] = flipAt(o.segments[1], at.byte) }),
			change("only_segment_"+at.field, "a bit of the only segment's "+at.field, "tampered", 5, 0, func(o *object) { o.segments[0] = flipAt(o.segments[0], at.byte) }),
			change("table_"+at.field, "a bit of the part table's "+at.field, "tampered", 5, 0, func(o *object) { o.table = flipAt(o.table, at.byte) }),
			change("summary_"+at.field, "a bit of the summary's "+at.field, "tampered", 5, 0, func(o *object) { o.summary = flipAt(o.summary, at.byte) }),
		)
	}
	out = append(out,
		change("magic", "a bit of the magic at the end", "trailer", 5, 0, func(o *object) { o.magic = flip(o.magic, 7) }),
		change("magic_behind_a_segment", "the same, with a segment that may be released", "trailer", two, segmentSize, func(o *object) { o.magic = flip(o.magic, 0) }),
		change("empty_segment_missing", "an object of no bytes without its empty segment", "trailer", 0, 0, func(o *object) { o.segments = nil }),
		change("appended_byte", "a byte behind the object, in the announced size too: that of six bytes", "trailer", 5, 0, func(o *object) { o.magic = append(o.magic, 0) }),
		change("appended_segment", "a segment more, sealed as the second", "trailer", 5, 0, func(o *object) {
			o.segments = append(o.segments, seal(o.k.dek, make([]byte, 12), []byte("more"), segmentAAD(1, make([]byte, 12), 0, 1, 1)))
		}),
	)
	behind := change("byte_behind_the_end", "a byte more than the store announced", "trailer", 5, 0, func(o *object) { o.magic = append(o.magic, 0) })
	behind.stored = int64(len(behind.body) - 1)
	out = append(out, behind)
	kindEmpty := &object{k: newKeys(), kind: "empty", seed: "kind empty with bytes"}
	v := kindEmpty.make().vector("bad_kind_empty_with_a_body", "bytes in an object of kind empty", "trailer", 0)
	v.body = hello("body").body()
	return append(append(out, v), truncated()...)
}

func flipAt(b []byte, at int) []byte {
	if at < 0 {
		at += len(b)
	}
	return flip(b, at)
}

// truncated returns objects cut at each boundary, and within each piece.
func truncated() (out []vector) {
	o := single("truncated", text(segmentSize+5)).make()
	whole := int64(len(o.body()))
	first, last := len(o.segments[0]), len(o.segments[1])
	body := first + last
	table := body + len(o.table)
	for _, cut := range []struct {
		at, released int
		where        string
	}{
		{0, 0, "before the first byte"},
		{first - 1, 0, "in the first segment"},
		{first, segmentSize, "behind the first segment"},
		{body - 1, segmentSize, "in the last segment"},
		{body, segmentSize, "behind the last segment"},
		{table - 1, segmentSize, "in the part table"},
		{table, segmentSize, "behind the part table"},
		{int(whole) - 9, segmentSize, "in the summary"},
		{int(whole) - 8, segmentSize, "behind the summary"},
		{int(whole) - 1, segmentSize, "before the last byte"},
	} {
		name := fmt.Sprintf("bad_truncated_at_%d", cut.at)
		v := o.vector(name, "the body ends "+cut.where+"; the store announced all of it", "truncated", cut.released)
		v.body = v.body[:cut.at]
		v.stored = whole
		out = append(out, v)
	}
	// The same, with a store that also lies about the size.
	small := hello("announced").vector("bad_truncated_and_announced", "cut by one byte, announced so: the size of four bytes", "trailer", 0)
	small.body = small.body[:len(small.body)-1]
	gap := single("gap", text(segmentSize+1)).make().vector("bad_truncated_to_no_legal_size", "cut by one byte, announced so: no plaintext size has that stored size", "trailer", 0)
	gap.body = gap.body[:len(gap.body)-1]
	legal := single("legal", text(segmentSize)).make()
	cut := legal.vector("bad_truncated_to_another_legal_size", "cut to what an object of 60,000 bytes has", "trailer", 0)
	cut.body = cut.body[:storedSize(60000)]
	three := single("first segment alone", text(segmentSize+5)).make()
	dropped := three.vector("bad_last_segment_dropped", "the last segment is gone and the rest moved up: the first is not the last in its part", "trailer", 0)
	dropped.body = concat(three.segments[0], three.table, three.summary, three.magic)
	none := hello("no bytes").vector("bad_no_bytes", "nothing is stored, and nothing announced", "trailer", 0)
	none.body = nil
	return append(out, small, gap, cut, dropped, none)
}

// badSplices combine pieces that were sealed apart.
func badSplices() []vector {
	const three = 2*segmentSize + 5
	swap := func(o *object, i, j int) { o.segments[i], o.segments[j] = o.segments[j], o.segments[i] }
	out := []vector{
		change("segments_swapped", "the first two segments have changed places", "tampered", three, 0, func(o *object) { swap(o, 0, 1) }),
		change("segment_repeated", "the first segment stands in place of the second", "tampered", three, segmentSize, func(o *object) { o.segments[1] = o.segments[0] }),
		change("segments_of_equal_length_swapped", "two full segments, the last one first", "tampered", 2*segmentSize, 0, func(o *object) { swap(o, 0, 1) }),
		change("last_flag_missing", "the last segment is sealed as one before others", "tampered", 5, 0, func(o *object) { reseal(o, 1, 1, 0, 0, 0) }),
		change("segment_index", "the first segment is sealed as the second", "tampered", 5, 0, func(o *object) { reseal(o, 1, 1, 0, 1, 1) }),
		change("segment_format", "a segment is sealed for format 2", "tampered", 5, 0, func(o *object) { reseal(o, 2, 1, 0, 0, 1) }),
		change("segment_kind", "a segment is sealed for a multipart object", "tampered", 5, 0, func(o *object) { reseal(o, 1, 2, 0, 0, 1) }),
		change("segment_part_number", "a segment is sealed for part 1", "tampered", 5, 0, func(o *object) { reseal(o, 1, 1, 1, 0, 1) }),
		change("segment_without_associated_data", "a segment is sealed with no associated data", "tampered", 5, 0, func(o *object) {
			o.segments[0] = sealWith(o.k.dek, text(5), nil)
		}),
		change("segment_of_another_object", "a segment of another object", "tampered", 5, 0, func(o *object) {
			other := single("other", text(5))
			other.k = other.k.with(func(k *keys) { k.dek = flip(k.dek, 0) })
			o.segments = other.make().segments
		}),
	}
	return append(out, badParts()...)
}

func reseal(o *object, format, kind byte, number uint32, index uint64, last byte) {
	aad := segmentAAD(kind, make([]byte, 12), number, index, last)
	aad[0] = format
	o.segments[0] = sealWith(o.k.dek, o.parts[0].plaintext, aad)
}

func badParts() []vector {
	p := newPart(3, text(segmentSize+5))
	again := newPart(3, text(segmentSize+5))
	again.id = (&stream{seed: "second sending"}).bytes(12)

	mixed := multipart("mixed", p).make()
	mixed.segments[1] = multipart("again", again).make().segments[1]
	short := func(number int) part { return newPart(number, []byte("seventh")) }
	resent := multipart("resent", short(7)).make()
	second := short(7)
	second.id = again.id
	resent.segments = multipart("resent again", second).make().segments
	number := multipart("number", short(7)).make()
	renumbered := short(7)
	renumbered.number = 8
	number.segments = multipart("renumbered", renumbered).make().segments
	other := multipart("upload", short(7)).make()
	another := multipart("another upload", short(7))
	another.k = another.k.with(func(k *keys) { k.dek = flip(k.dek, 31) })
	other.segments = slices.Clone(another.make().segments)
	return []vector{
		mixed.vector("bad_two_sendings_mixed", "the second segment is of another sending of the same part", "tampered", segmentSize),
		resent.vector("bad_part_of_another_sending", "the whole part is of a sending that was not completed", "tampered", 0),
		number.vector("bad_part_under_another_number", "part 8 in place of part 7", "tampered", 0),
		other.vector("bad_part_of_another_upload", "a part of another upload of the same object", "tampered", 0),
	}
}
