"""libcloud's drivers for S3 and MinIO, which compare an upload's ETag with its MD5.

Usage: libcloud_client.py ENDPOINT BUCKET
"""

import io
import os
import sys
import urllib.parse

from libcloud.storage.drivers.minio import MinIOStorageDriver
from libcloud.storage.drivers.s3 import S3StorageDriver

endpoint, bucket = urllib.parse.urlparse(sys.argv[1]), sys.argv[2]
key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
place = {"host": endpoint.hostname, "port": endpoint.port, "secure": endpoint.scheme == "https"}


def check(ok, what):
    if not ok:
        sys.exit(what)


for name, driver in {
    "s3": S3StorageDriver(key, secret, region="us-east-1", **place),
    "minio": MinIOStorageDriver(key, secret, **place),
}.items():
    container = driver.get_container(bucket)
    small, large = os.urandom(1000), os.urandom(12_000_000)
    with open(f"/tmp/{bucket}-{name}", "wb") as f:
        f.write(small)
    try:
        one = driver.upload_object(f.name, container, f"{name}/small")
    finally:
        os.remove(f.name)
    check(one.size == 1000, f"{name}: {one.size} bytes")
    # In parts of 5 MiB.
    two = driver.upload_object_via_stream(io.BytesIO(large), container, f"{name}/large")
    found = {o.name: o.size for o in container.list_objects(prefix=f"{name}/")}
    check(found == {f"{name}/small": 1000, f"{name}/large": 12_000_000}, f"{name} lists {found}")
    for wanted in (small, large):
        o = driver.get_object(bucket, f"{name}/" + ("small" if wanted is small else "large"))
        check(b"".join(driver.download_object_as_stream(o)) == wanted, f"{name}: {o.name} is read otherwise")
    part = b"".join(driver.download_object_range_as_stream(two, 65530, 100_000))
    check(part == large[65530:100_000], f"{name}: a range has {len(part)} bytes")
    for o in list(container.list_objects(prefix=f"{name}/")):
        check(driver.delete_object(o), f"{name}: {o.name} is not deleted")
