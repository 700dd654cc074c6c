"""Browser uploads with the forms that boto3 signs.

Usage: boto3_post.py ENDPOINT BUCKET
Credentials come from the environment. The first thing that is wrong ends it
with a message and exit code 1.
"""

import random
import sys
import xml.etree.ElementTree

import boto3
import botocore.config
import botocore.exceptions
import urllib3

endpoint, bucket = sys.argv[1], sys.argv[2]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=botocore.config.Config(signature_version="s3v4"))
http = urllib3.PoolManager()


def check(ok, what):
    if not ok:
        sys.exit(f"boto3 {boto3.__version__}: {what}")


def send(form, body, filename="a file.bin", change=(), more=()):
    fields = {**form["fields"], **dict(change)}
    parts = [*fields.items(), ("file", (filename, body, "application/octet-stream")), *more]
    return http.request("POST", form["url"], fields=parts, redirect=False, retries=False)


def missing(key):
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except botocore.exceptions.ClientError as e:
        return e.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    return False


def form(key, fields=(), conditions=(), expires=60):
    return s3.generate_presigned_post(bucket, key, Fields=dict(fields), Conditions=list(conditions), ExpiresIn=expires)


FIELDS = {
    "Content-Type": "text/x-test", "Cache-Control": "no-cache", "x-amz-meta-colour": "blue",
    "success_action_status": "201", "acl": "private",
}
CONDITIONS = [
    {"Cache-Control": "no-cache"}, ["starts-with", "$Content-Type", "text/"], ["starts-with", "$x-amz-meta-colour", ""],
    ["eq", "$success_action_status", "201"], {"acl": "private"}, ["content-length-range", 0, 8_000_000],
]

for size in [0, 1, 65536, 1_000_003, 1 << 20, (1 << 20) + 1, 6_000_000]:
    key = f"posted/{size} äß+&"
    body = random.Random(size).randbytes(size)
    r = send(form(key, FIELDS, CONDITIONS), body)
    check(r.status == 201, f"{size} bytes: {r.status} {r.data}")
    answer = {e.tag.split("}")[-1]: e.text for e in xml.etree.ElementTree.fromstring(r.data)}
    head = s3.head_object(Bucket=bucket, Key=key)
    check(answer["Bucket"] == bucket and answer["Key"] == key and answer["ETag"] == head["ETag"] == r.headers["ETag"], f"{answer} {head['ETag']}")
    check(answer["Location"] == r.headers["Location"] and answer["Location"].startswith(f"{endpoint}/{bucket}/posted%2F{size}%20"), f"{answer}")
    check((head["ContentLength"], head["ContentType"], head["CacheControl"], head["Metadata"]) == (size, "text/x-test", "no-cache", {"colour": "blue"}), f"{head}")
    check(s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body, f"{size} bytes come back changed")

# The name of the user's file, without its folders.
r = send(form("users/${filename}"), b"content", filename="C:\\folder\\pic ture.png")
check(r.status == 204 and s3.get_object(Bucket=bucket, Key="users/pic ture.png")["Body"].read() == b"content", f"filename: {r.status} {r.data}")

# Where the browser goes afterwards.
to = "https://example.com/done?from=form"
r = send(form("redirected", {"success_action_redirect": to}, [{"success_action_redirect": to}]), b"x")
etag = s3.head_object(Bucket=bucket, Key="redirected")["ETag"].replace('"', "%22")
check(r.status == 303 and r.headers["Location"] == f"{to}&bucket={bucket}&key=redirected&etag={etag}", f"redirect: {r.status} {r.headers}")

# A button behind the file, as in AWS's own example of a page.
r = send(form("button"), b"content", more=[("submit", "Upload")])
check(r.status == 204 and s3.get_object(Bucket=bucket, Key="button")["Body"].read() == b"content", f"button: {r.status} {r.data}")

# What the policy does not allow makes no object.
short = [["content-length-range", 2, 10]]
large = b"x" * 3_000_000
for what, status, code, r in [
    ("too large", 400, "EntityTooLarge", send(form("refused", (), short), b"x" * 11)),
    ("far too large", 400, "EntityTooLarge", send(form("refused", (), short), large)),
    ("too small", 400, "EntityTooSmall", send(form("refused", (), short), b"x")),
    ("another key", 403, "AccessDenied", send(form("allowed"), b"x", change={"key": "refused"})),
    ("another field", 403, "AccessDenied", send(form("refused"), b"x", change={"x-amz-meta-more": "x"})),
    ("another value", 403, "AccessDenied", send(form("refused", {"acl": "private"}, [{"acl": "private"}]), b"x", change={"acl": "public-read"})),
    ("another policy", 403, "SignatureDoesNotMatch", send(form("refused"), b"x", change={"policy": form("other")["fields"]["policy"]})),
    ("another signature", 403, "SignatureDoesNotMatch", send(form("refused"), large, change={"x-amz-signature": "0" * 64})),
    ("another access key", 403, "InvalidAccessKeyId", send(form("refused"), b"x", change={"x-amz-credential": "other/" + form("refused")["fields"]["x-amz-credential"].split("/", 1)[1]})),
    ("expired", 403, "AccessDenied", send(form("refused", expires=-5), b"x")),
    ("a checksum that is wrong", 400, "BadDigest", send(form("refused", {"x-amz-checksum-crc32": "AAAAAA=="}, [{"x-amz-checksum-crc32": "AAAAAA=="}]), b"x")),
    ("a checksum that is wrong, streamed", 400, "BadDigest", send(form("refused", {"x-amz-checksum-crc32": "AAAAAA=="}, [{"x-amz-checksum-crc32": "AAAAAA=="}]), large)),
    ("metadata of ours", 400, "InvalidArgument", send(form("refused", {"x-amz-meta-s3proxy-kind": "single"}, [{"x-amz-meta-s3proxy-kind": "single"}]), b"x")),
    ("something behind a large file", 400, "InvalidRequest", send(form("refused"), large, more=[("submit", "Upload")])),
    ("a key of ours", 403, "AccessDenied", send(form(".s3proxy/refused"), b"x")),
    ("no policy", 403, "AccessDenied", http.request("POST", f"{endpoint}/{bucket}", fields=[("key", "refused"), ("file", ("f", b"x"))])),
]:
    check(r.status == status and f"<Code>{code}</Code>".encode() in r.data, f"{what}: {r.status} {r.data}")
    check(missing("refused"), f"{what} made an object")
