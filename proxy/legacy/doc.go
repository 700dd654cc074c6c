// Package legacy reads objects of the older s3proxy (abustany/s3proxy, and alsarins/aws_s3 which
// descends from it). It writes none.
//
// Such an object is IV[16] || AES-CFB128(plaintext) in the store, and its user metadata `s3proxy` is
// the hex of IV[16] || AES-CFB128(0x00 || size as an unsigned varint || ETag), under the same key. The
// ETag is the MD5 of the plaintext in hex, in quotes (src/s3proxy/encryption.go and metadata.go there).
//
// Nothing of this is authenticated: whoever can write to the store can change single bits of what is
// read, and make objects up. The MD5 finds accidents, not attackers.
package legacy
