"""What boto3's transfers do with a large file, by default: parts, ranges with If-Match, a copy.

Usage: boto3_parts.py ENDPOINT BUCKET
"""

import io
import os
import sys

import boto3

s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1")
bucket, body = sys.argv[2], os.urandom(30_000_000)
s3.upload_fileobj(io.BytesIO(body), bucket, "large")
s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copy")
for key in ("large", "copy"):
    got = io.BytesIO()
    s3.download_fileobj(bucket, key, got)
    if got.getvalue() != body:
        sys.exit(f"{key} is read otherwise")
part = s3.get_object(Bucket=bucket, Key="large", Range="bytes=65530-99999")["Body"].read()
if part != body[65530:100_000]:
    sys.exit("a range is read otherwise")
sizes = {o["Key"]: o["Size"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]}
if sizes != {"large": 30_000_000, "copy": 30_000_000}:
    sys.exit(f"it lists {sizes}")
