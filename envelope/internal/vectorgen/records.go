package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

type recordSpec struct {
	number int
	etag   string
	part   part
	upload string
}

func (r recordSpec) encode() []byte {
	out := append([]byte{byte(len(r.etag))}, r.etag...)
	out = append(out, r.part.id...)
	out = binary.BigEndian.AppendUint64(out, uint64(len(r.part.plaintext)))
	md5 := []byte{0}
	if r.part.md5 != nil {
		md5 = md5Field(r.part.md5)
	}
	return concat(out, md5, []byte{r.part.algorithm}, r.part.value)
}

func (r recordSpec) seal(k *keys, plaintext []byte) []byte {
	sum := sha256.Sum256([]byte(r.upload))
	aad := binary.BigEndian.AppendUint32(append(magicAAD(2, 'R'), sum[:16]...), uint32(r.number))
	return seal(k.dek, (&stream{seed: "record"}).bytes(12), plaintext, aad)
}

func records() []vector {
	p := newPart(12, []byte("twelve"))
	p.md5, p.algorithm, p.value = md5Of(p.plaintext), 5, sha256Of(p.plaintext)
	r := recordSpec{number: 12, etag: `"0cc175b9c0f1b6a831c399e269772661"`, part: p, upload: uploadID}
	k := newKeys().with(func(k *keys) { k.upload = uploadID })
	make1 := func(name, comment, expect, record string) vector {
		v := vector{name: name, comment: comment, what: "record", expect: expect, k: k, record: record}
		if expect == "ok" {
			v.seed = "record"
		}
		return v
	}
	ok := func(name, comment string, r recordSpec) vector {
		v := make1(name, comment, "ok", fmt.Sprintf("%d-%s", r.number, b64(r.seal(k, r.encode()))))
		v.etag = r.etag
		return v
	}
	bad := func(name, comment, expect, prefix string, sealed []byte) vector {
		return make1("bad_record_"+name, comment, expect, prefix+b64(sealed))
	}
	sealed := r.seal(k, r.encode())
	longest := recordSpec{number: 10000, etag: strings.Repeat("e", 54), part: p, upload: uploadID}
	longest.part.number, longest.part.algorithm, longest.part.value = 10000, 6, text(64)
	longETag := recordSpec{number: 3, etag: strings.Repeat("e", 80), part: newPart(3, nil), upload: uploadID}
	tooLong := longest
	tooLong.etag = strings.Repeat("e", 80)
	smallest := recordSpec{number: 1, etag: "e", part: newPart(1, nil), upload: uploadID}
	otherUpload, otherKey := r, k.with(func(k *keys) { k.dek = flip(k.dek, 0) })
	otherUpload.upload = "another"
	return []vector{
		ok("good_record", "a part record with MD5 and SHA256", r),
		ok("good_record_longest", "the longest name of a part record: MD5, SHA512 and an ETag of 54 bytes", longest),
		ok("good_record_longest_etag", "an ETag of 80 bytes", longETag),
		bad("name_too_long", "a name of 288 characters", "metadata", "10000-", tooLong.seal(k, tooLong.encode())),
		ok("good_record_smallest", "an empty part with no checksum", smallest),
		bad("iv", "a bit of the IV", "tampered", "12-", flip(sealed, 0)),
		bad("ciphertext", "a bit of the ciphertext", "tampered", "12-", flip(sealed, 20)),
		bad("tag", "a bit of the tag", "tampered", "12-", flip(sealed, len(sealed)-1)),
		bad("number", "a record under another part number", "tampered", "13-", sealed),
		bad("of_another_upload", "a record of another upload", "tampered", "12-", otherUpload.seal(k, r.encode())),
		bad("of_another_key", "a record under another DEK", "tampered", "12-", r.seal(otherKey, r.encode())),
		bad("short", "a record shorter than a seal", "tampered", "12-", sealed[:20]),
		bad("number_padded", "a part number with a zero before it", "metadata", "012-", sealed),
		bad("number_zero", "part number 0", "metadata", "0-", sealed),
		bad("number_10001", "part number 10001", "metadata", "10001-", sealed),
		bad("without_dash", "no dash", "metadata", "12", sealed),
		make1("bad_record_padding", "base64 with padding", "metadata", "12-"+b64(sealed)+"="),
		make1("bad_record_line_end", "base64 with a line end", "metadata", "12-"+b64(sealed)[:20]+"\n"+b64(sealed)[20:]),
		bad("without_etag", "an ETag of no bytes", "metadata", "12-", r.seal(k, recordSpec{part: p}.encode())),
		bad("too_long", "a byte behind the record", "metadata", "12-", r.seal(k, append(r.encode(), 0))),
		bad("cut", "a record that ends in its checksum", "metadata", "12-", r.seal(k, r.encode()[:len(r.encode())-1])),
		bad("algorithm", "checksum algorithm 11", "metadata", "12-", r.seal(k, recordSpec{etag: "e", part: part{id: p.id, algorithm: 11}}.encode())),
	}
}
