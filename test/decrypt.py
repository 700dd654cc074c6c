#!/usr/bin/python3
"""Opens an object as the store holds it. Written from docs/FORMAT.md alone; shares nothing with the Go code.

    decrypt.py --key DEK --meta META.json OBJECT > plaintext
    decrypt.py --kek KEK --bucket B --name KEY [--upload ID] --meta META.json OBJECT > plaintext
    decrypt.py --ask --bucket B --name KEY [--record RECORD.json | --floor-record FLOOR.json] --meta META.json
    decrypt.py --window-key KEY --bucket B --name KEY --meta META.json OBJECT > plaintext

Keys are 64 hexadecimal digits; a KEK is a raw AES-256 key in place of a KMS. META.json maps the names of the
user metadata (s3proxy-kind ...) to values. --range OFFSET LENGTH gives a part of the plaintext. --ask prints
what a KMS has to be asked: its answer is the --window-key, in window 0 the --key, of a bucket's floor the --floor."""
import argparse, base64, hashlib, hmac, json, os, re, struct, sys
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEGMENT, MIB5, MAX = 65536, 5 << 20, 10000 * (5 << 30)
KINDS = {"single": 1, "multipart": 2, "empty": 3}
LENGTHS = [0, 4, 4, 8, 20, 32, 64, 16, 8, 8, 16]  # of a checksum's value, by algorithm

class Refused(Exception):
    pass

def need(ok, what):
    if not ok:
        raise Refused(what)

def opened(key, sealed, aad, what):
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)
    except (InvalidTag, ValueError):
        raise Refused(what + " does not authenticate")

def b64(text):
    need(re.fullmatch("[A-Za-z0-9_-]+", text, re.A), "not base64url")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise Refused("not base64url")
    need(base64.urlsafe_b64encode(raw).rstrip(b"=") == text.encode(), "not canonical base64url")
    return raw

def canonical(pairs):
    text = lambda s: struct.pack(">I", len(s.encode())) + s.encode()
    return b"s3proxy context v1" + struct.pack(">I", len(pairs)) + b"".join(text(n) + text(pairs[n]) for n in sorted(pairs))

def metadata(meta):
    own = {n: v for n, v in meta.items() if n.startswith("s3proxy-")}
    need(own, "not encrypted")
    number = own.get("s3proxy-format", "")
    need(number == "1", f"unknown format {number!r}: this program reads format 1")
    names = {"s3proxy-" + n for n in ("format", "kind", "kek", "dek", "commit", "facts")}
    need(names <= set(own) <= names | {"s3proxy-window"}, "missing or unknown metadata")
    need(sum(len(n) + len(v) for n, v in own.items()) <= 700, "metadata too long")
    need(own["s3proxy-kind"] in KINDS and re.fullmatch("[!-~]{1,200}", own["s3proxy-kek"]), "kind or KEK malformed")
    window = own.get("s3proxy-window")
    if window is not None:
        window = b64(window)
        window = [hashlib.sha256(window).digest()[:16], window]
    dek, commit, facts = (b64(own["s3proxy-" + n]) for n in ("dek", "commit", "facts"))
    need(len(commit) == 32 and 31 <= len(facts) <= 120, "commitment or facts malformed")
    return own["s3proxy-kind"], own["s3proxy-kek"], window, dek, commit, facts

def window0_context(args, kind):
    digest = lambda s: hashlib.sha256(s.encode()).hexdigest()
    c = {"bucket": args.bucket, "format": "1", "kind": kind, "key-sha256": digest(args.name)}
    return c | ({"upload-sha256": digest(args.upload)} if args.upload else {})

def ask(args, kind, kek_uri, window, dek):
    blob, c = (dek, window0_context(args, kind)) if window is None else (window[1], {"bucket": args.bucket})
    if args.floor_record:
        f = json.load(open(args.floor_record))
        kek_uri, blob = f["floor"]["kek"], base64.b64decode(f["floor"]["wrapped"])
        c = {"bucket": args.bucket, "floor": f["floor"]["id"], "state": f["state"], "previous": f.get("previous", {}).get("id", "none"),
             "refused": hashlib.sha256("\n".join(f["refused"]).encode()).hexdigest()}
    elif args.record:
        record = json.load(open(args.record))
        kek_uri, blob = record["kek"], base64.b64decode(record["wrapped"])
        if hashlib.sha256(blob).digest()[:16] != window[0]:
            c["id"] = window[0].hex()
    text = lambda b: base64.b64encode(b).decode()
    return {"kek": kek_uri, "blob": text(blob), "context": c, "associated_data": text(canonical(c)),
            "record": window and ".s3proxy/keys/" + window[0].hex()}

def unwrapped(args, kind, kek_uri, window, dek):
    """The DEK. With --key it is given, and the names that it is bound to cannot be checked."""
    if args.key:
        return args.key
    key = args.kek
    if window is None:
        c = window0_context(args, kind)
    else:
        key = args.window_key or opened(args.kek, window[1], canonical({"bucket": args.bucket}), "window key")
        c = {"bucket": args.bucket, "format": "1", "kind": kind, "key": args.name, "kek": kek_uri, "window": window[0].hex()}
        c |= {"upload": args.upload} if args.upload else {}
    raw = opened(key, dek, canonical(c), "DEK")
    need(len(raw) == 32, "DEK of another length")
    return raw

def is_md5(b):
    return b[0] == 1 or b == bytes(17)

def is_checksum(algorithm, type_, value):
    return algorithm <= 10 and type_ <= 2 and (type_ == 0) == (algorithm == 0) and not any(value[LENGTHS[algorithm]:])

def check_facts(b, kind):
    """The size of the plaintext; None for a multipart object, which does not know it here."""
    need(b[0] == (kind != 2), "facts with or without a size")
    size, b = (int.from_bytes(b[1:9], "big"), b[9:]) if b[0] else (None, b[1:])
    need(b and b[0] <= 1 and (size or 0) <= (0 if kind == 3 else MAX), "facts malformed")
    rest = b[17:] if b[0] else b[1:]
    need(rest and rest[0] <= 10 and len(rest) == (2 + LENGTHS[rest[0]] if rest[0] else 1), "facts malformed")
    need(rest[0] == 0 or rest[1] in (1, 2), "facts malformed")
    return size

def P(n):
    return n + 28 * max(1, -(-n // SEGMENT))

def S(n):
    return P(n) + 256 + 160 * (min(n // MIB5, 9999) + 1)

def plain_size(stored):
    low, high = 0, MAX
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if S(middle) < stored else (low, middle)
    need(S(low) == stored, "no object has this stored size")
    return low

def read(f, at, n):
    f.seek(at)
    b = f.read(n)
    need(len(b) == n, "truncated")
    return b

def trailer(f, stored, kind, dek):
    """The parts as (number, length, id)."""
    n = plain_size(stored)
    end = read(f, stored - 196, 196)
    need(end[188:] == b"S3PXYEND", "no trailer")
    magic = b"S3PX\x01" + bytes([kind])
    s = opened(dek, end[:188], magic + b"S", "summary")
    size, sealed, count = struct.unpack(">QII", s[:16])
    need(len(s) == 160 and size == n and 136 <= sealed <= stored - 196 and 1 <= count <= 10000, "summary of another object")
    need(is_md5(s[32:49]) and is_checksum(s[49], s[50], s[51:115]) and not any(s[131:]), "summary malformed")
    need(kind == 2 or not any(s[115:131]), "single object with an upload")
    b = read(f, stored - 196 - sealed, sealed)
    t = opened(dek, b, magic + b"T", "part table")
    need(b[-16:] == s[16:32], "part table of another trailer")
    need(len(t) >= 4 + 104 * count and t[:4] == s[12:16] and not any(t[4 + 104 * count:]), "part table malformed")
    parts = []
    for i in range(count):
        e = t[4 + 104 * i:][:104]
        number, length = struct.unpack(">HQ", e[:10])
        need(is_md5(e[22:39]) and is_checksum(e[39], int(e[39] > 0), e[40:]), "part malformed")
        need(length >= MIB5 or i == count - 1, "small part")
        above = parts[-1][0] if parts else 0
        legal = above < number <= 10000 if kind == 2 else count == 1 and number == 0 and not any(e[10:])
        need(legal, "part number")
        parts.append((number, length, e[10:22]))
    need(sum(p[1] for p in parts) == size, "parts of another size")
    need(sum(P(p[1]) for p in parts) + sealed + 196 == stored, "trailer of another length")
    return parts

def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--key", type=bytes.fromhex)
    a.add_argument("--kek", type=bytes.fromhex)
    a.add_argument("--window-key", type=bytes.fromhex)
    a.add_argument("--floor", type=bytes.fromhex)
    a.add_argument("--ask", action="store_true")
    for name in ("--bucket", "--name", "--upload", "--record", "--floor-record"):
        a.add_argument(name)
    a.add_argument("--meta", required=True)
    a.add_argument("--range", type=int, nargs=2)
    a.add_argument("object", nargs="?")
    args = a.parse_args()
    word, kek_uri, window, wrapped, commit, facts = metadata(json.load(open(args.meta)))
    if args.ask:
        return print(json.dumps(ask(args, word, kek_uri, window, wrapped)))
    kind, dek = KINDS[word], unwrapped(args, word, kek_uri, window, wrapped)
    own = HKDF(SHA256(), 32, salt=args.floor, info=b"s3proxy commit v1").derive(dek)
    need(hmac.compare_digest(own, commit), "commitment of another DEK")
    size = check_facts(opened(dek, facts, b"S3PX\x01" + bytes([kind]) + b"F", "facts"), kind)
    stored = os.stat(args.object).st_size
    need(size is None or stored == (0 if kind == 3 else S(size)), "stored bytes of another size")
    if kind == 3:
        return need(stored == 0, "an empty object with bytes")
    with open(args.object, "rb") as f:
        at = plain = 0  # where the next segment begins, stored and in plaintext
        first, behind = (args.range[0], sum(args.range)) if args.range else (0, MAX)
        for number, length, id_ in trailer(f, stored, kind, dek):
            for index in range(max(1, -(-length // SEGMENT))):
                n = min(SEGMENT, length - index * SEGMENT)
                if not args.range or (plain < behind and plain + n > first):
                    aad = struct.pack(">BB12sIQB", 1, kind, id_, number, index, (index + 1) * SEGMENT >= length)
                    out = opened(dek, read(f, at, n + 28), aad, f"part {number}, segment {index}")
                    sys.stdout.buffer.write(out[max(0, first - plain):max(0, behind - plain)])
                at, plain = at + n + 28, plain + n

if __name__ == "__main__":
    try:
        main()
    except Refused as e:
        sys.exit(f"decrypt.py: refused: {e}")
