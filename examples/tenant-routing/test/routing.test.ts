import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { randomUUID } from "node:crypto";

import { Fleet, until, type Answer, type Running } from "./fleet.js";

let fleet: Fleet;
let app: Running;
before(async () => {
  fleet = await Fleet.start();
  app = await fleet.app();
});
after(() => fleet.stop());

const texts = ({ body }: Answer) => body.map((note: { text: string }) => note.text);
const path = (customer: string) => `/organizations/${customer}/notes`;

test("two tenants cannot see each other's rows", async () => {
  const [a, b] = [await fleet.tenant("a"), await fleet.tenant("b")];
  assert.equal((await app.post(a.notes, a.token, { text: "of a" })).status, 201);
  assert.deepEqual(texts(await app.get(b.notes, b.token)), []);
  assert.equal((await app.post(b.notes, b.token, { text: "of b" })).status, 201);
  assert.deepEqual(texts(await app.get(a.notes, a.token)), ["of a"]);
  assert.deepEqual(texts(await app.get(b.notes, b.token)), ["of b"]);
});

test("one's token opens nothing of another, wherever the other is named", async () => {
  const [a, b] = [await fleet.tenant("c"), await fleet.tenant("d")];
  const pools = app.pools.size;
  for (const other of [b.customer, b.customer.toUpperCase(), b.database, randomUUID(), "*"]) {
    assert.equal((await app.get(path(other), a.token)).status, 403);
    assert.equal((await app.post(path(other), a.token, { text: "x" })).status, 403);
  }
  assert.equal(app.pools.size, pools);
  assert.equal((await fleet.admin("select from pg_stat_activity where datname = any ($1)", [[a.database, b.database]]))
    .length, 0);

  const spoofed = {
    "X-Organization": b.customer, "X-Tenant-Id": b.customer, "X-Forwarded-Host": b.customer,
    "X-Original-URL": b.notes, "X-HTTP-Method-Override": "DELETE", "Cookie": `org_id=${b.customer}`,
  };
  const body = { text: "of a", organization: b.customer, org_id: b.customer, database: b.database };
  assert.equal((await app.post(`${a.notes}?org_id=${b.customer}`, a.token, body, spoofed)).status, 201);
  assert.deepEqual(texts(await app.get(a.notes, a.token, spoofed)), ["of a"]);
  assert.deepEqual(texts(await app.get(b.notes, b.token)), []);
});

test("an unknown organization is refused and opens nothing", async () => {
  const pools = app.pools.size;
  const unknown = randomUUID();
  const answer = await app.get(path(unknown), await fleet.token(unknown));
  assert.deepEqual([answer.status, answer.retryAfter, app.pools.size], [403, null, pools]);
});

test("an organization is set up while it has no tenant, until create-tenant has registered one", async () => {
  const customer = await fleet.customer();
  const token = await fleet.token(customer);
  const pools = app.pools.size;
  const answer = await app.get(path(customer), token);
  assert.deepEqual([answer.status, answer.retryAfter, app.pools.size], [503, "5", pools]);
  await fleet.register(customer, await fleet.database("new"));
  assert.deepEqual(texts(await app.get(path(customer), token)), []);
});

test("an organization whose row comes before its database, or its tables, is being set up", async () => {
  const customer = await fleet.customer();
  const token = await fleet.token(customer);
  const database = `${fleet.role}_late`;
  const settingUp = async () => {
    const answer = await app.get(path(customer), token);
    assert.deepEqual([answer.status, answer.retryAfter], [503, "5"]);
    assert.match(answer.body.error, /being set up/);
  };
  await fleet.register(customer, database);
  await settingUp();
  await fleet.create(database);
  await settingUp();
  await fleet.in(database, `create table note (note_id int, text text); grant select on note to ${fleet.role}`);
  assert.deepEqual(texts(await app.get(path(customer), token)), []);
});

test("an organization whose tenant was dropped is refused, and its pool closes", async () => {
  const { customer, notes, token } = await fleet.tenant("gone");
  assert.equal((await app.get(notes, token)).status, 200);
  const pools = app.pools.size;
  await fleet.catalog("update project set dropped_at = now() where customer_id = $1", [customer]);
  assert.equal((await app.get(notes, token)).status, 403);
  await until(() => app.pools.size === pools - 1);
});

test("a catalog that is down is no reason to refuse anybody", async () => {
  const { notes, token } = await fleet.tenant("known");
  const unknown = randomUUID();
  assert.equal((await app.get(notes, token)).status, 200);
  await fleet.admin(`alter database ${fleet.role} allow_connections false`);
  await fleet.admin("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", [fleet.role]);
  const answers = [await app.get(notes, token), await app.get(path(unknown), await fleet.token(unknown))];
  await fleet.admin(`alter database ${fleet.role} allow_connections true`);
  for (const answer of answers) assert.deepEqual([answer.status, answer.retryAfter], [503, "5"]);
  assert.equal((await app.get(notes, token)).status, 200);
  assert.equal((await app.get(path(unknown), await fleet.token(unknown))).status, 403);
});

test("a tenant that is down, or whose sessions were ended, takes down nobody else", async () => {
  const [a, b] = [await fleet.tenant("e"), await fleet.tenant("f")];
  assert.equal((await app.get(a.notes, a.token)).status, 200);
  await fleet.admin(`alter database ${a.database} allow_connections false`);
  await fleet.admin("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [a.database]);
  await until(async () => (await app.get(a.notes, a.token)).status === 503); // the pool may not know at once
  assert.equal((await app.get(b.notes, b.token)).status, 200);
  await fleet.admin(`alter database ${a.database} allow_connections true`);
  assert.equal((await app.get(a.notes, a.token)).status, 200);
});

test("a database may have any name", async () => {
  const customer = await fleet.customer();
  const database = await fleet.database(`"; drop table note; -- %2f?a=b&c#d@e:f/ü 'x'`.slice(0, 45));
  await fleet.register(customer, database);
  assert.equal((await app.post(path(customer), await fleet.token(customer), { text: "x" })).status, 201);
  assert.equal((await fleet.in(database, "select from note")).length, 1);
});

test("a Neon project is reached by the connection string of its key", async () => {
  const [customer, database] = [await fleet.customer(), await fleet.database("neon")];
  await fleet.catalog("insert into project (customer_id, name, key, neon_project_id) values ($1, $2, $3, $4)",
    [customer, "ACME Corp", "acme-corp", "autumn-disk-1"]);
  const token = await fleet.token(customer);
  assert.equal((await app.get(path(customer), token)).status, 503); // until its secret is deployed
  const deployed = await fleet.app({}, { "acme-corp": fleet.url(database) });
  assert.deepEqual(texts(await deployed.get(path(customer), token)), []);
});

test("a row that leads to the catalog, or two rows, lead nowhere", async () => {
  const customer = await fleet.customer();
  await fleet.register(customer, fleet.role);
  assert.equal((await app.get(path(customer), await fleet.token(customer))).status, 500);
  assert.match(app.log.at(-1)!, /is the catalog itself/);
  const { customer: twice, notes, token } = await fleet.tenant("one");
  await fleet.register(twice, await fleet.database("two"));
  assert.equal((await app.get(notes, token)).status, 500);
  assert.match(app.log.at(-1)!, /has several tenants/);
});

test("bodies and paths that cannot be read are the client's mistake", async () => {
  const { notes, token } = await fleet.tenant("body");
  const text = [1, "", "a\0", "x".repeat(1001), ["a"], null];
  for (const body of ["{", "[]", "null", "{}", ...text.map((text) => ({ text }))]) {
    assert.equal((await app.post(notes, token, body)).status, 400, JSON.stringify(body));
  }
  assert.equal((await app.post(notes, token, { text: "x".repeat(20_000) })).status, 413);
  assert.equal((await app.get("/organizations/%zz/notes", token)).status, 400);
  assert.equal((await app.get("/nowhere")).status, 404);
  assert.deepEqual(texts(await app.get(notes, token)), []);
});
