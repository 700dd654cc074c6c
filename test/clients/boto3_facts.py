"""What boto3 is told of objects is told of the plaintext: sizes, checksums, numbers of parts, ETags.

Usage: boto3_facts.py ENDPOINT BUCKET
"""

import base64
import io
import os
import sys
import zlib

import boto3
import botocore.exceptions
from boto3.s3.transfer import TransferConfig

endpoint, bucket = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
MIB = 1 << 20


def check(ok, what):
    if not ok:
        sys.exit(f"boto3 {boto3.__version__}: {what}")


def crc32(*bodies):
    return base64.b64encode(zlib.crc32(b"".join(bodies)).to_bytes(4, "big")).decode()


def composite(bodies):
    return crc32(*(zlib.crc32(b).to_bytes(4, "big") for b in bodies)) + f"-{len(bodies)}"


def crc64nvme(body):  # bit by bit: for small bodies
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return base64.b64encode((crc ^ 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")).decode()


def refused(status, call, **args):
    try:
        call(**args)
    except botocore.exceptions.ClientError as e:
        got = e.response["ResponseMetadata"]["HTTPStatusCode"]
        check(got == status, f"{call.__name__} {args}: {got}, want {status}")
        return
    check(False, f"{call.__name__} {args} is not refused")


# One PUT.
body = os.urandom(100_000)
put = s3.put_object(Bucket=bucket, Key="one", Body=body, ChecksumAlgorithm="CRC32")
head = s3.head_object(Bucket=bucket, Key="one", ChecksumMode="ENABLED")
check(put["ChecksumCRC32"] == head["ChecksumCRC32"] == crc32(body), f"one PUT: {put} {head}")
whole = s3.head_object(Bucket=bucket, Key="one", PartNumber=1)
check(whole["ContentLength"] == len(body) and whole.get("PartsCount", 1) == 1, f"its only part: {whole}")
small = s3.put_object(Bucket=bucket, Key="small", Body=b"123456789", ChecksumCRC64NVME=crc64nvme(b"123456789"))
check(small["ChecksumCRC64NVME"] == "rosUhgp5mIg=", f"the CRC64NVME of 123456789: {small}")  # the check value of the algorithm

# In parts.
bodies = [os.urandom(5 * MIB), os.urandom(6 * MIB + 1), os.urandom(7)]
size = sum(map(len, bodies))
for kind, want in ("COMPOSITE", composite(bodies)), ("FULL_OBJECT", crc32(*bodies)):
    key = f"in parts, {kind}"
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="CRC32", ChecksumType=kind)["UploadId"]
    parts = []
    for number, part in enumerate(bodies, 1):
        sent = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part, ChecksumAlgorithm="CRC32")
        check(sent["ChecksumCRC32"] == crc32(part), f"part {number}: {sent}")
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumCRC32": sent["ChecksumCRC32"]})
    listed = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload)["Parts"]
    check([p["Size"] for p in listed] == [len(p) for p in bodies], f"ListParts: {listed}")
    check([(p["ETag"], p["ChecksumCRC32"]) for p in listed] == [(p["ETag"], p["ChecksumCRC32"]) for p in parts], f"ListParts: {listed}, sent {parts}")
    # With what ListParts tells, as s3fs, the registry and others complete an upload of somebody else's.
    told = [{name: p[name] for name in ("PartNumber", "ETag", "ChecksumCRC32")} for p in listed]
    refused(400, s3.complete_multipart_upload, Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": told}, MpuObjectSize=size + 1)
    done = s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": told}, MpuObjectSize=size)
    check(done["ChecksumCRC32"] == want, f"Complete, {kind}: {done}, want {want}")
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    check((head["ContentLength"], head["ChecksumCRC32"], head["ChecksumType"], head["ETag"]) == (size, want, kind, done["ETag"]), f"HEAD, {kind}: {head}")
    first = s3.head_object(Bucket=bucket, Key=key, PartNumber=1)
    check((first["ContentLength"], first["PartsCount"]) == (len(bodies[0]), 3), f"HEAD of part 1: {first}")
    # As S3 does, it leaves the number of parts out of a composite checksum here.
    attributes = s3.get_object_attributes(Bucket=bucket, Key=key, ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize"])
    check((attributes["ObjectSize"], attributes["ObjectParts"]["TotalPartsCount"], attributes["Checksum"]["ChecksumCRC32"]) == (size, 3, want.split("-")[0]), f"attributes: {attributes}")
    check(s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"".join(bodies), kind)

# 20 MB, by ranges that must have the ETag of the first answer; everywhere it is the same one.
large = os.urandom(20_000_000)
put = s3.put_object(Bucket=bucket, Key="large", Body=large)
got = io.BytesIO()
s3.download_fileobj(bucket, "large", got, Config=TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB))
check(got.getvalue() == large, "the download of 20 MB")
part = s3.get_object(Bucket=bucket, Key="large", Range="bytes=10000000-10000009", IfMatch=put["ETag"])
listed = {o["Key"]: o["ETag"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]}
check(put["ETag"] == part["ETag"] == listed["large"] == s3.head_object(Bucket=bucket, Key="large")["ETag"], f"PUT {put}, GET {part}, LIST {listed}")
copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "large"}, CopySourceIfMatch=listed["large"])["CopyObjectResult"]["ETag"]
check(copied == s3.head_object(Bucket=bucket, Key="copy")["ETag"], f"the copy's ETag: {copied}")
refused(412, s3.copy_object, Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "large"}, CopySourceIfMatch='"0123456789abcdef0123456789abcdef"')
refused(412, s3.get_object, Bucket=bucket, Key="large", IfMatch='"0123456789abcdef0123456789abcdef"')
