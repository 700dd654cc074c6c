// LanceDB, whose commits are conditional writes. Usage: lancedb.mjs
import assert from "node:assert";
import * as lancedb from "@lancedb/lancedb";

// PAGE is how docs/clients/analytics.md opens a database.
const open = new (async () => {}).constructor("lancedb", `${process.env.PAGE}; return db`).bind(null, lancedb);
const rows = (from, n) => Array.from({ length: n }, (_, i) => ({ id: from + i, vector: [i, from], text: `row ${from + i}` }));
await (await open()).createTable("t", rows(0, 1000));
// Two writers, who know nothing of each other, commit at once.
const writer = async (n) => {
  const table = await (await open()).openTable("t");
  for (let i = 0; i < 5; i++) await table.add(rows(n + i * 100, 100));
};
await Promise.all([writer(10_000), writer(20_000)]);
const table = await (await open()).openTable("t");
assert.equal(await table.countRows(), 2000);
assert.equal((await table.listVersions()).length, 11);
assert.equal((await table.query().where("id = 20450").toArray())[0].text, "row 20450");
await table.optimize();
assert.equal(await table.countRows(), 2000);
