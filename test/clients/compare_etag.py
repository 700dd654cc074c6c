"""Compares ETags with MD5s as libcloud and the Java and PHP SDKs do.

usage: compare_etag.py ENDPOINT BUCKET MODE
"""
import hashlib
import os
import sys

import boto3
from botocore.config import Config

endpoint, bucket, mode = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}))


def compare(what, answer, body):
    etag = answer["ETag"].strip('"')
    if answer.get("ServerSideEncryption") == "aws:kms":
        assert mode == "opaque", f"{what}: aws:kms in mode {mode}"
        return
    assert mode == "md5", f"{what}: no aws:kms in mode {mode}"
    assert etag == hashlib.md5(body).hexdigest(), f"{what} of {len(body)} bytes: ETag {etag}"


for size in (0, 1, 65536, 1 << 20, (1 << 20) + 1, 3 << 20):
    body = os.urandom(size)
    compare("put", s3.put_object(Bucket=bucket, Key="k", Body=body), body)
    compare("head", s3.head_object(Bucket=bucket, Key="k"), body)
    answer = s3.get_object(Bucket=bucket, Key="k")
    assert answer["Body"].read() == body
    compare("get", answer, body)
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"].strip('"')
    assert listed == answer["ETag"].strip('"')
    # Without aws:kms to look at, a client goes by the form: 32 digits are an MD5.
    if len(listed) == 32:
        assert listed == hashlib.md5(body).hexdigest(), f"listed: ETag {listed}"

# The SDKs for Java compare that of each part, too (version 1 decodes it as hex, and so fails with a
# dash; version 2 up to 2.29 compares it with a dash as well).
upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
sent = []
for number, size in (1, 5 << 20), (2, 100):
    body = os.urandom(size)
    answer = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number, Body=body)
    compare(f"part {number}", answer, body)
    sent.append({"PartNumber": number, "ETag": answer["ETag"]})
listed = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in s3.list_parts(Bucket=bucket, Key="parts", UploadId=upload)["Parts"]]
assert listed == sent, f"ListParts tells {listed}, the answers told {sent}"
whole = s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": listed})
assert (whole.get("ServerSideEncryption") == "aws:kms") == (mode == "opaque"), whole
