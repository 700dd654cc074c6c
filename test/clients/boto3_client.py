"""boto3 with its default settings: every call that a program is likely to make.

Usage: boto3_client.py ENDPOINT BUCKET LARGE
Credentials come from the environment. LARGE is the size of the largest single
PUT. The first thing that is wrong ends it with a message and exit code 1.
"""

import base64
import hashlib
import random
import sys
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

endpoint, bucket, large = sys.argv[1], sys.argv[2], int(sys.argv[3])
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")

SIZES = [0, 1, 65535, 65536, 65537, 1_000_003, 6_000_000, large]
META = {"colour": "blue", "long": "x" * 500}


def check(ok, what):
    if not ok:
        sys.exit(f"boto3 {boto3.__version__}: {what}")


def refused(status, call, **args):
    try:
        call(**args)
    except botocore.exceptions.ClientError as e:
        got = e.response["ResponseMetadata"]["HTTPStatusCode"]
        check(got == status, f"{call.__name__} {args}: {got}, want {status}")
        return
    check(False, f"{call.__name__} {args} is not refused")


def pages(version, **args):
    """All keys with sizes and all common prefixes, two a page."""
    found, prefixes = {}, []
    name = "list_objects_v2" if version == 2 else "list_objects"
    for page in s3.get_paginator(name).paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}, **args):
        found.update({o["Key"]: o["Size"] for o in page.get("Contents", [])})
        prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
    return found, prefixes


contents = {}
for size in SIZES:
    body = random.Random(size).randbytes(size)
    key = f"dir/{size}"
    contents[key] = body
    put = s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata=META, ContentType="text/x-test", CacheControl="no-cache")
    got = s3.get_object(Bucket=bucket, Key=key)
    check(got["Body"].read() == body, f"{size} bytes come back changed")
    head = s3.head_object(Bucket=bucket, Key=key)
    for name, answer in (("get", got), ("head", head)):
        check(answer["ContentLength"] == size, f"{name} of {size} bytes: ContentLength {answer['ContentLength']}")
        check(answer["Metadata"] == META, f"{name} of {size} bytes: metadata {answer['Metadata']}")
        check(answer["ContentType"] == "text/x-test", f"{name} of {size} bytes: {answer['ContentType']}")
        check(answer["CacheControl"] == "no-cache", f"{name} of {size} bytes: {answer['CacheControl']}")
        check(answer["ETag"] == put["ETag"], f"{name} of {size} bytes: ETag {answer['ETag']}, PUT gave {put['ETag']}")
    if size:
        ranges = {
            "bytes=0-0": body[:1],
            "bytes=-1": body[-1:],
            f"bytes={size // 3}-{size // 2}": body[size // 3 : size // 2 + 1],
            f"bytes={size - 1}-{size + 50}": body[-1:],
        }
        for spec, want in ranges.items():
            part = s3.get_object(Bucket=bucket, Key=key, Range=spec)
            check(part["Body"].read() == want, f"{spec} of {size} bytes is wrong")
            check(part["ContentRange"].endswith(f"/{size}"), f"{spec}: {part['ContentRange']}")
    refused(416, s3.get_object, Bucket=bucket, Key=key, Range=f"bytes={size}-")

# Through the transfer manager, as upload_file does below its multipart threshold.
s3.upload_file(__file__, bucket, "script", ExtraArgs={"Metadata": META})
with open(__file__, "rb") as f:
    check(s3.get_object(Bucket=bucket, Key="script")["Body"].read() == f.read(), "upload_file")

# Checksums that the client names are verified on the plaintext and given back.
for algorithm in ("CRC32", "SHA1", "SHA256"):
    put = s3.put_object(Bucket=bucket, Key="sum", Body=b"checked", ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
    name = "Checksum" + algorithm
    check(put.get(name) and put[name] == head.get(name), f"{name}: put {put.get(name)}, head {head.get(name)}")
    check(s3.get_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")["Body"].read() == b"checked", name)
digest = base64.b64encode(hashlib.md5(b"other").digest()).decode()
refused(400, s3.put_object, Bucket=bucket, Key="sum", Body=b"checked", ContentMD5=digest)

# Conditions.
etag = s3.head_object(Bucket=bucket, Key="script")["ETag"]
s3.get_object(Bucket=bucket, Key="script", IfMatch=etag)
refused(304, s3.get_object, Bucket=bucket, Key="script", IfNoneMatch=etag)
refused(412, s3.get_object, Bucket=bucket, Key="script", IfMatch='"0123456789abcdef0123456789abcdef"')

# Listings.
want = {key: len(body) for key, body in contents.items()}
for version in (1, 2):
    found, prefixes = pages(version, Prefix="dir/")
    check(found == want and not prefixes, f"list v{version}: {found} {prefixes}, want {want}")
    found, prefixes = pages(version, Delimiter="/")
    check(sorted(found) == ["script", "sum"] and prefixes == ["dir/"], f"list v{version} with a delimiter: {found} {prefixes}")
check(bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]], "the bucket is not listed")
s3.head_bucket(Bucket=bucket)
s3.get_bucket_location(Bucket=bucket)

# Presigned; boto3 makes version 2 signatures here unless told otherwise (boto3_v2.py).
v4 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=botocore.config.Config(signature_version="s3v4"))
url = v4.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "script"}, ExpiresIn=60)
with urllib.request.urlopen(url) as r, open(__file__, "rb") as f:
    check(r.read() == f.read(), "presigned GET")
url = v4.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "by url"}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(url, data=b"by url", method="PUT"))
check(s3.get_object(Bucket=bucket, Key="by url")["Body"].read() == b"by url", "presigned PUT")

# Deletes.
s3.delete_object(Bucket=bucket, Key="by url")
refused(404, s3.head_object, Bucket=bucket, Key="by url")
gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in [*want, "script", "sum", "never was"]]})
check(not gone.get("Errors"), f"delete_objects: {gone.get('Errors')}")
check(pages(2) == ({}, []), f"left behind: {pages(2)}")
s3.delete_bucket(Bucket=bucket)
refused(404, s3.head_bucket, Bucket=bucket)
