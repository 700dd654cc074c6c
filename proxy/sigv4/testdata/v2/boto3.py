"""Signs requests as boto3 does with Signature Version 2, for TestASignatureOfVersion2IsBoto3s:

    python3 boto3.py >boto3.json
"""

import itertools
import json

import botocore.auth
import botocore.awsrequest
import botocore.credentials

DATE = "Fri, 24 May 2013 00:00:00 GMT"
botocore.auth.formatdate = lambda usegmt: DATE

TARGETS = [
    "/", "/bucket", "/bucket/", "/bucket/key", "/bucket/a%20key/%C3%A4%2B%25", "/bucket//a/../b", "/bucket/key?acl", "/bucket/key?versionId=a%2Fb%20c",
    "/bucket/key?uploadId=u%2F%3D&partNumber=12", "/bucket/key?partNumber=12&uploadId=u", "/bucket?delete", "/bucket/key?uploads", "/bucket?versions&prefix=a&max-keys=2",
    "/bucket?list-type=2&prefix=a%2Fb&delimiter=%2F&encoding-type=url", "/bucket?location", "/bucket?policy", "/bucket?cors", "/bucket/key?tagging",
    "/bucket/key?response-content-type=text%2Fplain&response-cache-control=no-cache", "/bucket?lifecycle", "/bucket?replication", "/bucket/key?restore",
    "/bucket?object-lock", "/bucket?notification", "/bucket?versioning", "/bucket?requestPayment", "/bucket?website", "/bucket?logging", "/bucket?accelerate",
]
HEADERS = [
    {},
    {"Content-Type": "text/plain", "Content-MD5": "4gJE4saaMU4BqNR0kLY+lw=="},
    {"x-amz-meta-b": "  two  words ", "x-amz-meta-a": "1", "x-amz-acl": "private", "x-amz-copy-source": "/other/a%20key?versionId=v"},
]

out = []
for method, target, headers in itertools.product(["GET", "PUT"], TARGETS, HEADERS):
    token = "a/token==" if method == "PUT" else None
    bucket = target[1:].partition("?")[0].partition("/")[0]
    for style in ["path", "virtual"] if bucket else ["path"]:
        url, auth_path = "http://s3.example.com" + target, None
        if style == "virtual":
            auth_path = target.partition("?")[0]
            rest = target[1 + len(bucket):]
            if not rest.startswith("/"):
                rest, auth_path = "/" + rest, auth_path + "/"
            url = f"http://{bucket}.s3.example.com{rest}"
        request = botocore.awsrequest.AWSRequest(method=method, url=url, headers=dict(headers), auth_path=auth_path)
        botocore.auth.HmacV1Auth(botocore.credentials.Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)).add_auth(request)
        out.append({"method": method, "url": url, "bucket": bucket if style == "virtual" else "", "headers": headers, "token": token or "", "authorization": request.headers["Authorization"]})
print("[\n" + ",\n".join(map(json.dumps, out)) + "\n]")
