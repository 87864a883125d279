import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";

import { Fleet, until } from "./fleet.js";
import { audience } from "./issuer.js";

let fleet: Fleet;
before(async () => void (fleet = await Fleet.start()));
after(() => fleet.stop());

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Starts the program itself, with these variables besides the required ones. */
function start(variables: Record<string, string>) {
  const { issuer } = fleet;
  const child = spawn(process.execPath, [fileURLToPath(new URL("../src/main.js", import.meta.url))], {
    env: {
      CATALOG_DATABASE_URL: fleet.url(), TOKEN_ISSUER: issuer.issuer, TOKEN_AUDIENCE: audience,
      JWKS_URL: issuer.jwks.href, ...variables,
    },
    stdio: ["ignore", "inherit", "pipe"],
  });
  const program = { child, log: "", ended: once(child, "close") };
  child.stderr.on("data", (text) => (program.log += text));
  return program;
}

test("a request that has begun is answered before the program ends", async () => {
  const { database, notes, token } = await fleet.tenant("slow");
  const port = await freePort();
  const { child, ended } = start({ PORT: String(port), REQUEST_SECONDS: "300" });
  const ask = (init: RequestInit = {}) => fetch(`http://127.0.0.1:${port}${notes}`, {
    ...init, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
  });
  await until(() => ask().then(({ status }) => status === 200, () => false));

  const holder = new pg.Client({ ...parseIntoClientConfig(process.env.TEST_DATABASE_URL!), database });
  await holder.connect();
  await holder.query("begin; lock note in share mode");
  const slow = ask({ method: "POST", body: JSON.stringify({ text: "late" }) });
  const waiting = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = $1";
  await until(async () => (await fleet.admin(waiting, [database])).length > 0);
  child.kill("SIGTERM");
  await until(() => ask().then(() => false, () => true));
  await holder.end();
  assert.equal((await slow).status, 201);
  assert.deepEqual(await ended, [0, null]);
  assert.equal(await fleet.connections(), 0);
});

test("what is not set up right is said at the start", async () => {
  for (const [variables, message] of [
    [{ CATALOG_DATABASE_URL: "" }, /CATALOG_DATABASE_URL is not set/],
    [{ JWKS_URL: "http://issuer.example/jwks.json" }, /JWKS_URL must begin with https/],
    [{ MAX_POOLS: "0" }, /MAX_POOLS is not a whole number from 1 on/],
  ] as const) {
    const program = start(variables);
    assert.deepEqual(await program.ended, [1, null]);
    assert.match(program.log, message);
  }
});
