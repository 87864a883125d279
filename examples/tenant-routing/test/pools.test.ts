import assert from "node:assert/strict";
import { after, before, test, type TestContext } from "node:test";

import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";

import type { Place } from "../src/catalog.js";
import { Refusal } from "../src/errors.js";
import type { Limits, Pools } from "../src/pools.js";
import { Fleet, inParallel, until } from "./fleet.js";

let fleet: Fleet;
before(async () => void (fleet = await Fleet.start()));
after(() => fleet.stop());

/** A place of a tenant without a row. Several may share a database, since pools are per customer. */
function place(customer: string, database = `${fleet.role}_template`): Place {
  return { customer, name: database, config: { ...parseIntoClientConfig(fleet.url()), database } };
}

/** Work that begins in the database, and goes on until it is released there. */
async function blocker() {
  const [{ key }] = await fleet.admin("select (random() * 1e9)::int as key");
  const holder = new pg.Client({ ...parseIntoClientConfig(process.env.TEST_DATABASE_URL!),
    database: `${fleet.role}_template` });
  await holder.connect();
  await holder.query("select pg_advisory_lock($1)", [key]);
  return {
    work: async (pool: pg.Pool) => {
      const { rows } = await pool.query("select pg_advisory_lock_shared($1), 'done' as done", [key]);
      return rows[0].done as string;
    },
    begun: (workers = 1) => until(async () => {
      const sql = "select count(*)::int from pg_locks where locktype = 'advisory' and objid = $1 and not granted";
      return (await fleet.admin(sql, [key]))[0].count === workers;
    }),
    release: () => holder.end(),
  };
}

const one = (pool: pg.Pool) => pool.query("select 1 as one").then(({ rows }) => rows[0].one);

/** Pools that are closed when the test ends. */
function newPools(t: TestContext, limits: Partial<Limits> = {}): Pools {
  const pools = fleet.pools(limits);
  t.after(() => pools.close());
  return pools;
}

test("a pool's work ends before another takes its slot", async (t) => {
  const pools = newPools(t, { pools: 1 });
  const busy = await blocker();
  const first = pools.use(place("a"), busy.work);
  await busy.begun();
  const ended: string[] = [];
  const others = ["b", "a", "c"].map((customer) => pools.use(place(customer), async (pool) => {
    ended.push(customer);
    return one(pool);
  }));
  const joined = pools.use(place("b"), one); // gets the pool that b waits for
  assert.equal(await fleet.connections(), 1);
  await busy.release();
  assert.equal(await first, "done");
  assert.deepEqual(await Promise.all([...others, joined]), [1, 1, 1, 1]);
  assert.deepEqual(ended, ["b", "a", "c"]);
  assert.equal(pools.size, 1);
});

test("the pool that goes is one without work, the least recently used", async (t) => {
  const pools = newPools(t, { pools: 3 });
  const busy = await blocker();
  const work = pools.use(place("busy"), busy.work);
  await busy.begun();
  const opened = new Map<string, pg.Pool>();
  const visit = (customer: string) => pools.use(place(customer), async (pool) => {
    const same = opened.get(customer) === pool;
    opened.set(customer, pool);
    return same;
  });
  for (const customer of ["old", "new", "old", "third"]) await visit(customer); // new goes for third
  assert.deepEqual([await visit("old"), await visit("third")], [true, true]);
  assert.equal(await visit("new"), false);
  await busy.release();
  assert.equal(await work, "done");
});

test("a pool has no more connections than it may, and more work waits for one", async (t) => {
  const pools = newPools(t, { connections: 3 });
  const busy = await blocker();
  const work = Array.from({ length: 9 }, () => pools.use(place("a"), busy.work));
  await busy.begun(3);
  assert.equal(await fleet.connections(), 3);
  await busy.release();
  assert.equal((await Promise.all(work)).length, 9);
});

test("who waits for too long is told to come back", async (t) => {
  const pools = newPools(t, { pools: 1, waitMillis: 100 });
  const busy = await blocker();
  const long = newPools(t, { pools: 1 });
  const work = long.use(place("a"), busy.work);
  await busy.begun();
  const held = pools.use(place("a"), () => work);
  await assert.rejects(pools.use(place("b"), one), (error) => error instanceof Refusal && error.status === 503);
  await busy.release();
  assert.equal(await held, "done");
});

test("a pool goes with its last connection", async (t) => {
  const pools = newPools(t, { idleMillis: 1 });
  assert.equal(await pools.use(place("a"), one), 1);
  await until(() => pools.size === 0);
  assert.equal(await pools.use(place("a"), one), 1);
});

test("a tenant that moves gets a pool where it is now, and its work goes on", async (t) => {
  const pools = newPools(t);
  const database = await fleet.database("moved"); // before anybody uses its template
  const busy = await blocker();
  const work = pools.use(place("a"), busy.work);
  await busy.begun();
  const where = (pool: pg.Pool) => pool.query("select current_database() as at").then(({ rows }) => rows[0].at);
  assert.equal(await pools.use(place("a", database), where), database);
  await busy.release();
  assert.equal(await work, "done");
  await until(() => pools.size === 1);
});

test("to close waits for work", async (t) => {
  const pools = newPools(t);
  const busy = await blocker();
  const work = pools.use(place("a"), busy.work);
  await busy.begun();
  const closed = pools.close();
  await busy.release();
  assert.equal(await work, "done");
  await closed;
  assert.equal(pools.size, 0);
});

test("200 tenants share 20 pools, and each gets its own rows", async () => {
  const [pools, connections, catalog] = [20, 2, 4];
  const tenants: Awaited<ReturnType<Fleet["tenant"]>>[] = [];
  await inParallel(4, Array(200).keys(), async (i) => void tenants.push(await fleet.tenant(String(i))));
  // The server refuses every connection beyond that, however short.
  await fleet.admin(`alter role ${fleet.role} connection limit ${pools * connections + catalog}`);
  const app = await fleet.app({ pools, connections });

  await inParallel(64, tenants, async ({ database, notes, token }) => {
    assert.equal((await app.post(notes, token, { text: database })).status, 201);
  });
  let most = 0;
  let asked = false;
  const sampler = until(async () => {
    most = Math.max(most, await fleet.connections());
    return asked;
  }, 200);
  const some = tenants.slice(0, 30); // several requests for one tenant at once, and some for one that was just evicted
  const requests = [...tenants, ...some, ...some, ...tenants.slice(50, 100)];
  await inParallel(64, requests, async ({ database, notes, token }) => {
    const { status, body } = await app.get(notes, token);
    assert.deepEqual([status, body], [200, [{ id: "1", text: database }]]);
    assert.ok(app.pools.size <= pools);
  });
  asked = true;
  await sampler;
  assert.deepEqual(app.log, []);
  assert.equal(app.pools.size, pools);
  assert.ok(most > 0 && most <= pools * connections, `${most} connections`);
});
