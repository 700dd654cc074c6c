// ClickHouse's table function s3(), in chdb. Usage: chdb.mjs ENDPOINT BUCKET
import assert from "node:assert";
import { query, Session } from "chdb";

const [endpoint, bucket] = process.argv.slice(2);
const key = `'${process.env.AWS_ACCESS_KEY_ID}', '${process.env.AWS_SECRET_ACCESS_KEY}'`;
const at = (name) => `s3('${endpoint}/${bucket}/${name}', ${key}, 'Parquet')`;
const one = (sql) => String(query(sql, "TSV")).trim();

// PAGE is what docs/clients/analytics.md shows.
const page = process.env.PAGE.split(";\n");
query(page[0], "TSV");
assert.equal(one(page[1].replace(/;\s*$/, "")), "499500");

for (let i = 0; i < 5; i++) query(`insert into function ${at(`many/${i}.parquet`)} select number as n, toString(number) as s from numbers(${i * 1000}, 1000)`, "TSV");
assert.equal(one(`select count(), sum(n) from ${at("many/*.parquet")}`), "5000\t12497500");
assert.equal(one(`select count() from ${at("many/{1,3}.parquet")} where s = '3500'`), "1");
assert.equal(one(`select count(distinct _path) from ${at("many/*.parquet")}`), "5");
// More than one part.
query(`insert into function ${at("large.parquet")} select number as n, randomString(100) as s from numbers(400000) settings s3_min_upload_part_size = 5242880, s3_max_single_part_upload_size = 5242880`, "TSV");
assert.equal(one(`select count(), sum(length(s)) from ${at("large.parquet")}`), "400000\t40000000");

// A MergeTree on an S3 disk: copies and deletes, one by one and many at once.
const session = new Session();
const run = (sql) => String(session.query(sql, "TSV")).trim();
run(`create table t (n UInt64, s String) engine = MergeTree order by n settings disk = disk(type = s3, endpoint = '${endpoint}/${bucket}/disk/', access_key_id = '${process.env.AWS_ACCESS_KEY_ID}', secret_access_key = '${process.env.AWS_SECRET_ACCESS_KEY}')`);
for (let i = 0; i < 3; i++) run(`insert into t select number, randomString(50) from numbers(${i * 100000}, 100000)`);
run("optimize table t final");
assert.equal(run("select count(), sum(length(s)) from t"), "300000\t15000000");
run("alter table t delete where n % 2 = 0 settings mutations_sync = 2");
assert.equal(run("select count() from t"), "150000");
run("drop table t sync");
session.cleanup();
