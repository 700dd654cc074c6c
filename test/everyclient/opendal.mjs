// OpenDAL with its default settings. Usage: opendal.mjs ENDPOINT BUCKET
import assert from "node:assert";
import { randomBytes } from "node:crypto";
import opendal from "opendal";

const [endpoint, bucket] = process.argv.slice(2);
const op = new opendal.Operator("s3", {
  endpoint, bucket, region: "us-east-1", access_key_id: process.env.AWS_ACCESS_KEY_ID, secret_access_key: process.env.AWS_SECRET_ACCESS_KEY,
});
const body = randomBytes(16_000_000);
await op.write("dir/one", body);
await op.write("dir/parts", body, { chunk: 5n * 1024n * 1024n, concurrent: 4 });
for (const key of ["dir/one", "dir/parts"]) {
  assert(body.equals(await op.read(key)));
  assert.equal((await op.stat(key)).contentLength, BigInt(body.length));
}
await assert.rejects(op.write("dir/one", "other", { ifNotExists: true }));
assert(body.subarray(65530, 165_530).equals(await op.read("dir/parts", { offset: 65530n, size: 100_000n })));
await op.copy("dir/parts", "dir/copy");
assert(body.equals(await op.read("dir/copy")));
const signed = await op.presignRead("dir/copy", 60);
const got = await fetch(signed.url, { method: signed.method, headers: signed.headers });
assert(body.equals(Buffer.from(await got.arrayBuffer())));
assert.deepEqual((await op.list("dir/")).map((e) => e.path()).filter((p) => p !== "dir/").sort(), ["dir/copy", "dir/one", "dir/parts"]);
await op.removeAll("dir/");
assert.deepEqual(await op.list("dir/"), []);
