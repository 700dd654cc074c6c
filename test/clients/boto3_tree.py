"""boto3's transfer manager with its default settings: upload_file, download_file
and copy of a tree, whose largest file goes up and down in parts.

Usage: boto3_tree.py ENDPOINT BUCKET TREE DOWN
"""

import filecmp
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.config

endpoint, bucket, tree, down = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=botocore.config.Config(max_pool_connections=20))
names = [os.path.relpath(os.path.join(folder, f), tree) for folder, _, fs in os.walk(tree) for f in fs]


def there_and_back(name):
    path, back = os.path.join(tree, name), os.path.join(down, name.replace("/", "_"))
    s3.upload_file(path, bucket, name, ExtraArgs={"Metadata": {"color": "red"}})
    s3.download_file(bucket, name, back)
    head = s3.head_object(Bucket=bucket, Key=name)
    if not filecmp.cmp(path, back, shallow=False):
        return f"{name} came back changed"
    if head["ContentLength"] != os.path.getsize(path) or head["Metadata"] != {"color": "red"}:
        return f"{name}: HEAD gives {head['ContentLength']} bytes and {head['Metadata']}"
    s3.copy({"Bucket": bucket, "Key": name}, bucket, "copy/" + name)
    s3.download_file(bucket, "copy/" + name, back)
    if not filecmp.cmp(path, back, shallow=False):
        return f"the copy of {name} came back changed"
    os.remove(back)


with ThreadPoolExecutor(8) as pool:
    wrong = [w for w in pool.map(there_and_back, names) if w]
sizes = {o["Key"]: o["Size"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for o in page["Contents"]}
wrong += [f"{n}: listed with {sizes.get(n)} bytes" for n in names if sizes.get(n) != os.path.getsize(os.path.join(tree, n))]
sys.exit("\n".join(wrong) or 0)
