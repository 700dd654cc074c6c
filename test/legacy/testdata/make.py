#!/usr/bin/env python3
"""Makes objects as the older s3proxy left them in a store, from their description alone:

    stored body         IV[16] || AES-CFB128(plaintext)
    x-amz-meta-s3proxy  hex(IV[16] || AES-CFB128(0x00 || size as unsigned varint || MD5 ETag))

openssl encrypts. Run it in this folder; what is there was made by it once, and stays.
"""
import hashlib, json, os, subprocess


def plaintext(n):
    return b"".join(hashlib.sha256(b"legacy %d" % i).digest() for i in range(n // 32 + 1))[:n]


def seal(key, plain):
    iv = os.urandom(16)
    cipher = ["openssl", "enc", "-aes-%d-cfb" % (8 * len(key)), "-K", key.hex(), "-iv", iv.hex()]
    return iv + subprocess.run(cipher, input=plain, stdout=subprocess.PIPE, check=True).stdout


def varint(n):
    out = b""
    while n >= 128:
        out, n = out + bytes([n % 128 + 128]), n // 128
    return out + bytes([n])


hex16 = "00112233445566778899aabbccddeeff"
hex32 = "c8a738b7c5fa4283c0a7fda4073c1425a1681b5725781d840aaf48cc189509df"
small = [0, 1, 16, 65535, 65536]
made = []
for name, setting, key, quote, sizes in [
    ("hex32", hex32, bytes.fromhex(hex32), '"', small + [2**20 + 1]),
    ("hex16", hex16, bytes.fromhex(hex16), '"', small),
    ("hextext", hex16, hex16.encode(), '"', small),  # 32 digits that were taken for characters
    ("text24", "twenty-four characters! ", b"twenty-four characters! ", "", small),
    ("text16", "0123456789ABCDEF", b"0123456789ABCDEF", '"', small),
]:
    for size in sizes:
        body = plaintext(size)
        etag = quote + hashlib.md5(body).hexdigest() + quote
        file = "%s-%d" % (name, size)
        with open(file, "wb") as f:
            f.write(seal(key, body))
        header = seal(key, b"\0" + varint(size) + etag.encode()).hex()
        made.append({"file": file, "legacy-key": setting, "size": size, "header": header})
with open("manifest.json", "w") as f:
    json.dump(made, f, indent=1)
