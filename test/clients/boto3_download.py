"""Downloads one object as boto3 does large ones, in ranges side by side.

usage: boto3_download.py ENDPOINT BUCKET KEY FILE
"""
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

endpoint, bucket, key, file = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))
pace = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=1)
s3.download_file(bucket, key, file, Config=pace)
