package main

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

func hello(seed string) *object { return single(seed, []byte("hello")).make() }

// withMeta changes one field of the metadata of a good object; if change returns "", the field is
// removed. Nothing may be released, because metadata and key come before the body.
func withMeta(name, comment, expect, field string, change func(string) string) vector {
	o := hello(name)
	if value := change(o.meta[field]); value == "" {
		delete(o.meta, field)
	} else {
		o.meta[field] = value
	}
	return o.vector("bad_"+name, comment, expect, 0)
}

func to(value string) func(string) string { return func(string) string { return value } }

// bit flips one bit of byte i of a base64url value; a negative i counts from the end. skip is the
// length of the value's prefix that is not base64url.
func bit(i, skip int) func(string) string {
	return func(s string) string {
		raw, err := base64.RawURLEncoding.DecodeString(s[skip:])
		if err != nil {
			panic(err)
		}
		if i < 0 {
			i += len(raw)
		}
		return s[:skip] + b64(flip(raw, i))
	}
}

func badMetadata() []vector {
	out := []vector{
		withMeta("format_2", "an unknown format number", "format", "s3proxy-format", to("2")),
		withMeta("format_missing", "no format number", "metadata", "s3proxy-format", to("")),
		withMeta("format_not_a_number", "a format that is no number", "metadata", "s3proxy-format", to("1 ")),
		withMeta("format_padded", "the format number 01", "format", "s3proxy-format", to("01")),
		withMeta("kind_missing", "no kind", "metadata", "s3proxy-kind", to("")),
		withMeta("kind_unknown", "an unknown kind", "metadata", "s3proxy-kind", to("singlf")),
		withMeta("kind_upper_case", "kinds are lower case", "metadata", "s3proxy-kind", to("Single")),
		withMeta("kind_flipped_to_multipart", "kind single relabelled as multipart", "key", "s3proxy-kind", to("multipart")),
		withMeta("kind_flipped_to_empty", "kind single relabelled as empty", "key", "s3proxy-kind", to("empty")),
		withMeta("kek_missing", "no KEK", "metadata", "s3proxy-kek", to("")),
		withMeta("kek_flipped", "another version in the KEK's URI", "key", "s3proxy-kek", to("vector:#0")),
		withMeta("kek_too_long", "a KEK URI of 201 characters", "metadata", "s3proxy-kek", to("vector:"+strings.Repeat("u", 192)+"#1")),
		withMeta("kek_with_a_space", "a KEK URI with a space", "metadata", "s3proxy-kek", to("vector: #1")),
		withMeta("window_missing", "the window key taken away, as if this were window 0", "key", "s3proxy-window", to("")),
		withMeta("window_with_an_id", "a window's id before its wrapped key", "metadata", "s3proxy-window", func(s string) string { return b64(make([]byte, 16)) + "." + s }),
		withMeta("window_of_an_id", "a window's id in place of its wrapped key", "key", "s3proxy-window", to(b64(make([]byte, 16)))),
		withMeta("window_key_iv_flipped", "a bit of the wrapped window key's IV", "key", "s3proxy-window", bit(0, 0)),
		withMeta("window_key_flipped", "a bit of the wrapped window key", "key", "s3proxy-window", bit(20, 0)),
		withMeta("window_key_tag_flipped", "a bit of the wrapped window key's tag", "key", "s3proxy-window", bit(-1, 0)),
		withMeta("dek_missing", "no wrapped DEK", "metadata", "s3proxy-dek", to("")),
		withMeta("dek_iv_flipped", "a bit of the wrapped DEK's IV", "key", "s3proxy-dek", bit(0, 0)),
		withMeta("dek_flipped", "a bit of the wrapped DEK", "key", "s3proxy-dek", bit(20, 0)),
		withMeta("dek_tag_flipped", "a bit of the wrapped DEK's tag", "key", "s3proxy-dek", bit(-1, 0)),
		withMeta("dek_cut", "a wrapped DEK without its last byte", "key", "s3proxy-dek", func(s string) string {
			raw, _ := base64.RawURLEncoding.DecodeString(s)
			return b64(raw[:len(raw)-1])
		}),
		withMeta("dek_in_standard_base64", "a wrapped DEK with padding", "metadata", "s3proxy-dek", func(s string) string { return s + "=" }),
		withMeta("dek_with_a_line_end", "a wrapped DEK with a line end in it", "metadata", "s3proxy-dek", func(s string) string { return s[:40] + "\n" + s[40:] }),
		withMeta("commit_missing", "no commitment", "metadata", "s3proxy-commit", to("")),
		withMeta("commit_flipped", "a bit of the commitment", "commitment", "s3proxy-commit", bit(31, 0)),
		withMeta("commit_of_another_dek", "the commitment of another DEK", "commitment", "s3proxy-commit", to(b64(commitment(make([]byte, 32), nil)))),
		withMeta("commit_short", "a commitment of 31 bytes", "metadata", "s3proxy-commit", to(b64(make([]byte, 31)))),
		withMeta("commit_with_loose_bits", "bits behind the commitment's last byte", "metadata", "s3proxy-commit", looseBits),
		withMeta("facts_missing", "no sealed facts", "metadata", "s3proxy-facts", to("")),
		withMeta("facts_iv_flipped", "a bit of the sealed facts' IV", "tampered", "s3proxy-facts", bit(0, 0)),
		withMeta("facts_flipped", "a bit of the sealed facts", "tampered", "s3proxy-facts", bit(12, 0)),
		withMeta("facts_tag_flipped", "a bit of the sealed facts' tag", "tampered", "s3proxy-facts", bit(-1, 0)),
		withMeta("facts_too_short", "sealed facts without content", "metadata", "s3proxy-facts", to(b64(make([]byte, 29)))),
		withMeta("mac_reserved", "the reserved name mac", "metadata", "s3proxy-mac", to("AAAA")),
		withMeta("unknown_name", "an unknown s3proxy name", "metadata", "s3proxy-extra", to("1")),
		withMeta("metadata_too_long", "701 bytes of metadata", "metadata", "s3proxy-window", nil2long),
	}
	none := hello("not encrypted")
	none.meta = map[string]string{"colour": "red"}
	out = append(out, none.vector("bad_not_encrypted", "no metadata of s3proxy at all", "not encrypted", 0))
	out = append(out, badFacts()...)
	return append(out, badContexts()...)
}

// nil2long fills the window so that the whole set of fields has 701 bytes.
func nil2long(s string) string {
	o := hello("metadata_too_long")
	total := 0
	for name, value := range o.meta {
		total += len(name) + len(value)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(s)
	for total+len(b64(raw))-len(s) < 701 {
		raw = append(raw, 0)
	}
	return b64(raw)
}

// looseBits sets the two bits that 32 bytes leave unused in base64.
func looseBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[i+1])
}

// badFacts are sealed with the right key, but are not what the format allows.
func badFacts() []vector {
	seal := func(name, comment, expect string, plaintext []byte, aad []byte) vector {
		o := hello(name)
		o.meta["s3proxy-facts"] = b64(sealWith(o.k.dek, plaintext, aad))
		return o.vector("bad_"+name, comment, expect, 0)
	}
	f := magicAAD(1, 'F')
	five := func(rest ...byte) []byte { return concat(sizeField("single", 5), rest) }
	sized := func(size uint64) []byte { return binary.BigEndian.AppendUint64([]byte{1}, size) }
	upload := multipart("facts with a size", newPart(1, []byte("hello"))).make()
	upload.meta["s3proxy-facts"] = b64(sealWith(upload.k.dek, five(0, 0), magicAAD(2, 'F')))
	folder := &object{k: newKeys(), kind: "empty", seed: "facts of a folder"}
	folder.make()
	folder.meta["s3proxy-facts"] = b64(sealWith(folder.k.dek, five(0, 0), magicAAD(3, 'F')))
	return []vector{
		seal("facts_flag", "MD5 present: 2", "metadata", five(2, 0), f),
		seal("facts_md5_cut", "an MD5 of 15 bytes", "metadata", five(append([]byte{1}, make([]byte, 15)...)...), f),
		seal("facts_unknown_algorithm", "checksum algorithm 11", "metadata", five(0, 11), f),
		seal("facts_without_type", "a CRC32 of type 0", "metadata", five(0, 1, 0, 1, 2, 3, 4), f),
		seal("facts_unknown_type", "a CRC32 of type 3", "metadata", five(0, 1, 3, 1, 2, 3, 4), f),
		seal("facts_too_long", "a byte behind the facts", "metadata", five(0, 0, 0), f),
		seal("facts_size_flag", "size present: 2", "metadata", append([]byte{2}, five(0, 0)[1:]...), f),
		seal("facts_size_cut", "a size of 7 bytes, with nothing behind it", "metadata", five()[:8], f),
		seal("facts_without_size", "no size in a single object", "metadata", []byte{0, 0, 0}, f),
		seal("facts_size_negative", "a size of 2^63", "metadata", concat(sized(1<<63), []byte{0, 0}), f),
		seal("facts_size_too_large", "a byte more than an object may have", "metadata", concat(sized(10000*(5<<30)+1), []byte{0, 0}), f),
		seal("facts_size_smaller", "a size of 4 for an object of 5 bytes", "trailer", concat(sized(4), []byte{0, 0}), f),
		seal("facts_size_larger", "a size of 6 for an object of 5 bytes", "trailer", concat(sized(6), []byte{0, 0}), f),
		seal("facts_of_another_kind", "facts sealed for a multipart object", "tampered", []byte{0, 0, 0}, magicAAD(2, 'F')),
		seal("facts_sealed_as_summary", "facts sealed with the summary's associated data", "tampered", five(0, 0), magicAAD(1, 'S')),
		upload.vector("bad_facts_multipart_with_size", "a size in a multipart object", "metadata", 0),
		folder.vector("bad_facts_empty_with_bytes", "a size of 5 in an object of kind empty", "metadata", 0),
	}
}

func sealWith(key, plaintext, aad []byte) []byte {
	return seal(key, (&stream{seed: "one"}).bytes(12), plaintext, aad)
}

// badContexts have an object in a place that it was not written to.
func badContexts() []vector {
	moved := func(name, comment string, o *object, change func(*keys)) vector {
		v := o.make().vector("bad_"+name, comment, "key", 0)
		v.k = v.k.with(change)
		return v
	}
	under := single("another floor", []byte("hello"))
	under.k = under.k.with(func(k *keys) { k.floor = text(32) })
	floored := func(name, comment string, o *object, change func(*keys)) vector {
		v := moved(name, comment, o, change)
		v.expect = "commitment"
		return v
	}
	zero := single("moved window zero", []byte("hello"))
	zero.k = zero.k.with(func(k *keys) { k.windowZero = true })
	state := multipart("state as object", newPart(1, []byte("hello")))
	state.k = state.k.with(func(k *keys) { k.upload = uploadID })
	return []vector{
		floored("floor_of_another_secret", "committed to with another floor", under, func(k *keys) { k.floor = make([]byte, 32) }),
		floored("floor_missing", "committed to with no floor, in a bucket that has one", single("below", []byte("hello")), func(k *keys) { k.floor = text(32) }),
		floored("floor_where_none_is", "committed to with a floor, in a bucket that has none", under, func(k *keys) { k.floor = nil }),
		moved("other_bucket", "moved to another bucket", single("b", []byte("hello")), func(k *keys) { k.bucket = "photos2" }),
		moved("other_key", "moved to another key", single("k", []byte("hello")), func(k *keys) { k.key = "2026/a dog.jpg" }),
		moved("other_key_window_zero", "moved to another key in window 0", zero, func(k *keys) { k.key = "2026/a dog.jpg" }),
		moved("other_kek", "another KEK", single("kek", []byte("hello")), func(k *keys) { k.kek = flip(k.kek, 0) }),
		moved("state_read_as_object", "an upload's state object in place of the object", state, func(k *keys) { k.upload = "" }),
		moved("object_read_as_state", "an object in place of an upload's state object", multipart("o", newPart(1, nil)), func(k *keys) { k.upload = uploadID }),
		moved("state_of_another_upload", "the state object of another upload", state, func(k *keys) { k.upload = "another" }),
	}
}
