// AWS's SDK for JavaScript with its default settings. Usage: sdk.mjs ENDPOINT BUCKET
import assert from "node:assert";
import { randomBytes } from "node:crypto";
import * as s3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";

const [endpoint, Bucket] = process.argv.slice(2);
const client = new s3.S3Client({ endpoint, region: "us-east-1", forcePathStyle: true });
const body = randomBytes(12_000_000);
const read = async (Key, more = {}) =>
  Buffer.from(await (await client.send(new s3.GetObjectCommand({ Bucket, Key, ...more }))).Body.transformToByteArray());

await new Upload({ client, params: { Bucket, Key: "parts", Body: body } }).done();
assert(body.equals(await read("parts")));
assert(body.subarray(65530, 100_000).equals(await read("parts", { Range: "bytes=65530-99999" })));

for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA256"]) {
  await client.send(new s3.PutObjectCommand({ Bucket, Key: "one", Body: body, ChecksumAlgorithm }));
  assert(body.equals(await read("one")));
}
await assert.rejects(client.send(new s3.PutObjectCommand({ Bucket, Key: "one", Body: "other", IfNoneMatch: "*" })), { name: "PreconditionFailed" });

const put = await getSignedUrl(client, new s3.PutObjectCommand({ Bucket, Key: "signed" }));
assert.equal((await fetch(put, { method: "PUT", body })).status, 200);
const get = await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key: "signed" }));
assert(body.equals(Buffer.from(await (await fetch(get)).arrayBuffer())));

const post = await createPresignedPost(client, { Bucket, Key: "form/${filename}", Conditions: [["content-length-range", 1, 20_000_000]] });
const form = new FormData();
for (const [name, value] of Object.entries(post.fields)) form.append(name, value);
form.append("file", new Blob([body]), "name");
assert.equal((await fetch(post.url, { method: "POST", body: form })).status, 204);
assert(body.equals(await read("form/name")));

await client.send(new s3.CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/parts` }));
assert(body.equals(await read("copy")));
const list = (await client.send(new s3.ListObjectsV2Command({ Bucket }))).Contents;
assert.deepEqual(list.map((o) => [o.Key, o.Size]), ["copy", "form/name", "one", "parts", "signed"].map((key) => [key, body.length]));
await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: list.map(({ Key }) => ({ Key })) } }));
