"""Server-side encryption as boto3 asks for it: objects, parts, copies, a bucket's default."""
import hashlib
import os
import sys

import boto3
from boto3.s3.transfer import TransferConfig

endpoint, bucket, folder = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
parts = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


for number, extra in enumerate([{"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"},
                                {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}]):
    for name in os.listdir(folder):
        path, key = os.path.join(folder, name), f"{number}/{name}"
        s3.upload_file(path, bucket, key, ExtraArgs=extra, Config=parts)
        s3.copy({"Bucket": bucket, "Key": key}, bucket, key + "-copy", ExtraArgs=extra, Config=parts)
        for read in key, key + "-copy":
            s3.download_file(bucket, read, path + ".back")
            assert digest(path) == digest(path + ".back"), read
            os.remove(path + ".back")
            assert s3.head_object(Bucket=bucket, Key=read)["ServerSideEncryption"]
    asked = s3.put_object(Bucket=bucket, Key="small", Body=b"x", BucketKeyEnabled=True, **extra)
    assert asked.get("SSEKMSKeyId") == extra.get("SSEKMSKeyId"), asked

rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}, "BucketKeyEnabled": True}]}
s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
got = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
assert got == rules, got
put = s3.put_object(Bucket=bucket, Key="small", Body=b"x")
head = s3.head_object(Bucket=bucket, Key="small")
for answer in put, head:
    assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"], answer["BucketKeyEnabled"]) == ("aws:kms", KEY, True), answer
s3.delete_bucket_encryption(Bucket=bucket)
got = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
assert got["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}, got
