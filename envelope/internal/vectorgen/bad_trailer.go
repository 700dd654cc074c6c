package main

import (
	"slices"
)

// sealedWrong seals, with the right key, a trailer that breaks a rule, as only a faulty writer
// would.
func sealedWrong(name, comment string, table, summary func([]byte) []byte) vector {
	o := single(name, []byte("hello"))
	o.spoilTable, o.spoilSummary = table, summary
	return o.make().vector("bad_trailer_"+name, comment, "trailer", 0)
}

// set returns a function that changes one byte.
func set(at int, value byte) func([]byte) []byte {
	return func(b []byte) []byte { b = slices.Clone(b); b[at] = value; return b }
}

func badTrailers() []vector {
	// Offsets in the summary: size 0, table length 8, parts 12, table tag 16,
	// MD5 32, checksum 49, upload 115, reserved 131. In the table: count 0, entry
	// 4: number 4, length 6, id 14, MD5 26, algorithm 43, value 44, padding 108.
	out := []vector{
		sealedWrong("size", "the summary has another size", nil, set(7, 6)),
		sealedWrong("table_length", "the summary has a shorter table", nil, set(11, 200)),
		sealedWrong("table_length_none", "the summary has no table", nil, set(11, 0)),
		sealedWrong("table_length_huge", "the summary's table is longer than any", nil, set(8, 1)),
		sealedWrong("part_count", "the summary has two parts", nil, set(15, 2)),
		sealedWrong("part_count_none", "summary and table have no part", set(3, 0), set(15, 0)),
		sealedWrong("table_tag", "the summary names another table", nil, func(b []byte) []byte { return flip(b, 20) }),
		sealedWrong("md5_flag", "MD5 present: 2", nil, set(32, 2)),
		sealedWrong("md5_loose", "an MD5 that is not there and not zero", nil, set(40, 1)),
		sealedWrong("algorithm", "checksum algorithm 11", nil, set(49, 11)),
		sealedWrong("checksum_type", "a checksum type without checksum", nil, set(50, 1)),
		sealedWrong("checksum_padding", "a CRC32 of five bytes", nil, func(b []byte) []byte { return set(55, 1)(set(50, 1)(set(49, 1)(b))) }),
		sealedWrong("upload", "a single object with an upload", nil, set(120, 1)),
		sealedWrong("reserved", "reserved bytes that are not zero", nil, set(159, 1)),
		sealedWrong("summary_short", "a summary that is a byte short", nil, func(b []byte) []byte { return b[:159] }),
		sealedWrong("table_count", "the table has two parts", set(3, 2), nil),
		sealedWrong("part_number", "the part of a single object has a number", set(5, 1), nil),
		sealedWrong("part_length", "the part is longer than the object", set(13, 6), nil),
		sealedWrong("part_length_negative", "a part length of 2^63 and more", set(6, 0x80), nil),
		sealedWrong("part_id", "the part of a single object has an id", set(14, 1), nil),
		sealedWrong("part_md5", "the part of a single object has an MD5", set(26, 1), nil),
		sealedWrong("part_checksum", "the part of a single object has a checksum", set(43, 1), nil),
		sealedWrong("padding", "padding that is not zero", func(b []byte) []byte { return set(len(b)-1, 1)(b) }, nil),
	}
	out[1].expect = "tampered" // the table is cut at its front
	many := single("many", []byte("hello"))
	many.spoilTable, many.spoilSummary = set(3, 4), set(15, 4)
	gap := single("gap before the trailer", []byte("hello"))
	gap.spoilTable = func(b []byte) []byte { return b[:len(b)-10] }
	gap.make()
	gap.table = concat(make([]byte, 10), gap.table)
	out = append(out,
		many.make().vector("bad_trailer_more_parts_than_room", "summary and table have four parts, more than the table has bytes for", "trailer", 0),
		gap.vector("bad_trailer_after_a_gap", "a shorter table with ten bytes before it that belong to nothing", "trailer", 0),
	)
	return append(out, otherTrailers()...)
}

func otherTrailers() []vector {
	trailerOf := func(name, comment, expect string, from *object) vector {
		o := hello(name)
		from.make()
		o.table, o.summary, o.magic = from.table, from.summary, from.magic
		return o.vector("bad_trailer_"+name, comment, expect, 0)
	}
	stranger := single("stranger", []byte("hello"))
	stranger.k = stranger.k.with(func(k *keys) { k.dek = flip(k.dek, 7) })
	multi := multipart("relabelled", newPart(1, []byte("hello")))
	mixed := hello("mixed")
	mixed.table = hello("mixed with").table
	moved := hello("moved")
	moved.table, moved.summary = moved.summary, moved.table
	out := []vector{
		trailerOf("of_another_object", "the trailer of another object of the same length", "tampered", stranger),
		trailerOf("of_a_multipart_object", "a trailer under the same key, sealed for a multipart object", "tampered", multi),
		trailerOf("of_another_size", "a trailer under the same key, of an object of four bytes", "trailer", single("four", text(4))),
		mixed.vector("bad_trailer_of_two", "table and summary under the same key, of two trailers", "trailer", 0),
		moved.vector("bad_trailer_reversed", "summary before table", "tampered", 0),
	}
	return append(out, multipartTrailers()...)
}

func multipartTrailers() []vector {
	wrong := func(name, comment, expect string, o *object, table, summary func([]byte) []byte) vector {
		o.spoilTable, o.spoilSummary = table, summary
		return o.make().vector("bad_trailer_"+name, comment, expect, 0)
	}
	seven := func() *object { return multipart("seven", newPart(7, []byte("seventh"))) }
	return []vector{
		wrong("part_number_zero", "part number 0", "trailer", seven(), set(5, 0), nil),
		wrong("part_number_10001", "part number 10001", "trailer", seven(), func(b []byte) []byte { return set(4, 0x27)(set(5, 0x11)(b)) }, nil),
		wrong("part_md5_flag", "a part with MD5 present: 2", "trailer", seven(), set(26, 2), nil),
		wrong("part_md5_loose", "a part with an MD5 that is not there and not zero", "trailer", seven(), set(30, 1), nil),
		wrong("part_algorithm", "a part with checksum algorithm 11", "trailer", seven(), set(43, 11), nil),
		wrong("part_value_loose", "a part with a checksum that is not there and not zero", "trailer", seven(), set(50, 1), nil),
		wrong("other_id", "the table has another sending's id", "tampered", seven(), set(14, 1), nil),
		wrong("other_number", "the table has another part number", "tampered", seven(), set(5, 8), nil),
		twoParts("small_part", "a first part of 5 bytes", newPart(1, []byte("first")), newPart(2, text(mib5+3))).make().trailerVector(mib5 + 7),
		twoParts("descending", "part 8 before part 7", newPart(8, text(mib5)), newPart(7, []byte("seventh"))).make().trailerVector(mib5),
		twoParts("number_twice", "part 7 twice", newPart(7, text(mib5)), newPart(7, []byte("seventh"))).make().trailerVector(mib5),
		droppedPart(),
	}
}

// named is an object together with its vector.
type named struct {
	*object
	name, comment string
}

func twoParts(name, comment string, first, second part) *named {
	return &named{multipart(name, first, second), "bad_trailer_" + name, comment}
}

func (n *named) make() *named { n.object.make(); return n }

// trailerVector reads one byte after 5 MiB, so that the vector is small.
func (n *named) trailerVector(offset int64) vector {
	return n.rangeVector(n.name, n.comment, "trailer", offset, 1)
}

func droppedPart() vector {
	n := twoParts("dropped_part", "the table is without the last part", newPart(1, text(mib5)), newPart(2, []byte("second")))
	n.spoilTable = func(b []byte) []byte {
		b = set(3, 1)(b)
		clear(b[4+104 : 4+2*104])
		return b
	}
	n.spoilSummary = set(15, 1)
	return n.make().trailerVector(mib5)
}
