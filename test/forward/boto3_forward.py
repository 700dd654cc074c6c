"""Writes, reads, lists and copies at an endpoint that only the proxy of the environment knows.

Usage: boto3_forward.py ENDPOINT BUCKET path|virtual
"""

import sys

import boto3
import botocore.config

endpoint, bucket, style = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=botocore.config.Config(s3={"addressing_style": style}))
body = bytes(range(256)) * 40_000  # more than one part
s3.put_object(Bucket=bucket, Key="a key/ä+", Body=body[:1000], Metadata={"color": "red"})
s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a key/ä+"})
upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
parts = []
for number, part in enumerate([body, body[:77]], 1):
    etag = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number, Body=part)["ETag"]
    parts.append({"PartNumber": number, "ETag": etag})
s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == body + body[:77]
assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body[:1000]
assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"color": "red"}
assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a key/ä+", "copy", "parts"]
s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in ("a key/ä+", "copy", "parts")]})
