"""Presigned URLs as boto3 makes them by default at an endpoint of its user's, which is with
Signature Version 2; with "all", requests and forms of version 2 too.

Usage: boto3_v2.py ENDPOINT BUCKET presigned|all
"""

import sys
import urllib.error
import urllib.parse
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import urllib3

endpoint, bucket, allowed = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
v2 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=botocore.config.Config(signature_version="s3"))
http = urllib3.PoolManager()
body = bytes(range(256)) * 300


def check(ok, what):
    if not ok:
        sys.exit(f"boto3 {boto3.__version__}: {what}")


def send(method, url, status, data=None, **headers):
    r = http.request(method, url, body=data, headers={k.replace("_", "-"): v for k, v in headers.items()}, redirect=False, retries=False)
    check(r.status == status, f"{method} {url}: {r.status} {r.data}")
    return r


def presign(operation, **params):
    url = s3.generate_presigned_url(operation, Params={"Bucket": bucket, **params}, ExpiresIn=60)
    check("AWSAccessKeyId=" in url and "X-Amz" not in url, f"not of version 2: {url}")
    return url


key = "a folder/key äß+&=%2F~"
send("PUT", presign("put_object", Key=key, ContentType="text/x", Metadata={"colour": "blue"}, CacheControl="no-store"), 200, body,
     content_type="text/x", cache_control="no-store")
r = send("GET", presign("get_object", Key=key), 200)
check(r.data == body and r.headers["content-type"] == "text/x" and r.headers["x-amz-meta-colour"] == "blue", f"{r.headers}")
r = send("GET", presign("get_object", Key=key, ResponseContentType="text/y", ResponseContentDisposition='attachment; filename="ä b&c.txt"'), 200)
check(r.headers["content-type"] == "text/y", f"{r.headers}")
send("HEAD", presign("head_object", Key=key), 200)
send("HEAD", presign("get_object", Key=key), 403)
send("PUT", presign("put_object", Key=key), 403, body, x_amz_acl="public-read")
send("PUT", presign("put_object", Key=key, ContentType="text/x"), 403, b"x", content_type="text/html")
send("GET", presign("get_object", Key=key) + "&acl", 403)
send("PUT", presign("copy_object", Key="copy", CopySource={"Bucket": bucket, "Key": key}), 200)
check(s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body, "the copy")
upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
etag = send("PUT", presign("upload_part", Key="parts", UploadId=upload, PartNumber=1), 200, body).headers["etag"]
s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
check(s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == body, "the parts")
send("DELETE", presign("delete_object", Key="copy"), 204)
send("GET", s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=-1), 403)
# What version 2 does not sign is not taken from a URL: here which keys are listed.
send("GET", presign("list_objects_v2", Prefix="a"), 403)

form = s3.generate_presigned_post(bucket, "posted/${filename}", Fields={"acl": "private"}, Conditions=[{"acl": "private"}], ExpiresIn=60)
check("signature" in form["fields"], f"not of version 2: {form}")
file = ("file", ("the file.bin", body, "application/octet-stream"))
r = http.request("POST", form["url"], fields=[*form["fields"].items(), file])
check(r.status == (204 if allowed == "all" else 400), f"form: {r.status} {r.data}")
if allowed == "presigned":
    try:
        v2.list_buckets()
        check(False, "a header of version 2 is taken")
    except botocore.exceptions.ClientError as e:
        check(e.response["Error"]["Code"] == "InvalidRequest", e)
    sys.exit()
check(s3.get_object(Bucket=bucket, Key="posted/the file.bin")["Body"].read() == body, "the form's file")
r = http.request("POST", form["url"], fields=[*{**form["fields"], "acl": "public-read"}.items(), file])
check(r.status == 403, f"a form with another ACL: {r.status} {r.data}")

v2.create_bucket(Bucket=bucket + "-v2")
v2.put_object(Bucket=bucket + "-v2", Key=key, Body=body, Metadata={"a": "b"}, ContentType="text/x")
got = v2.get_object(Bucket=bucket + "-v2", Key=key)
check(got["Body"].read() == body and got["Metadata"] == {"a": "b"}, f"{got}")
v2.delete_object(Bucket=bucket + "-v2", Key="list")
# Before 1.36 botocore signed "?tagging?tagging", with which no server agrees.
if tuple(map(int, boto3.__version__.split(".")[:2])) < (1, 36):
    v2.delete_object(Bucket=bucket + "-v2", Key=key)
    v2.delete_bucket(Bucket=bucket + "-v2")
    sys.exit()
v2.put_object_tagging(Bucket=bucket + "-v2", Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
check(v2.get_object_tagging(Bucket=bucket + "-v2", Key=key)["TagSet"] == [{"Key": "a", "Value": "b"}], "tags")
for i in range(3):
    v2.put_object(Bucket=bucket + "-v2", Key=f"list/{i}", Body=b"")
check([o["Key"] for o in v2.list_objects_v2(Bucket=bucket + "-v2", Prefix="list/", MaxKeys=2)["Contents"]] == ["list/0", "list/1"], "a list")
v2.upload_file(__file__, bucket + "-v2", "script", Config=boto3.s3.transfer.TransferConfig(multipart_threshold=1))
with open(__file__, "rb") as f:
    check(v2.get_object(Bucket=bucket + "-v2", Key="script")["Body"].read() == f.read(), "upload_file")
keys = [o["Key"] for o in v2.list_objects(Bucket=bucket + "-v2")["Contents"]]
check(not v2.delete_objects(Bucket=bucket + "-v2", Delete={"Objects": [{"Key": k} for k in keys]}).get("Errors"), "delete_objects")
v2.delete_bucket(Bucket=bucket + "-v2")
