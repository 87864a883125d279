import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { exportJWK, exportSPKI, generateKeyPair, UnsecuredJWT } from "jose";

import { Fleet, type Running } from "./fleet.js";
import { audience, kid } from "./issuer.js";

let fleet: Fleet;
let app: Running;
before(async () => {
  fleet = await Fleet.start();
  app = await fleet.app();
});
after(() => fleet.stop());

test("a token that the issuer did not sign for this application opens nothing", async () => {
  const { customer, notes } = await fleet.tenant("auth");
  const { issuer } = fleet;
  const foreign = await generateKeyPair("RS256");
  const foreignJWK = await exportJWK(foreign.publicKey);
  const pem = new TextEncoder().encode(await exportSPKI(issuer.publicKey));
  const modulus = new TextEncoder().encode((await exportJWK(issuer.publicKey)).n);
  const claims = { org_id: customer };
  const good = await issuer.sign(claims);
  const [header, , signature] = good.split(".");
  const another = Buffer.from(JSON.stringify({ ...claims, iss: issuer.issuer, aud: audience, exp: 4e9 }));

  const bad: Record<string, string> = {
    "none at all": "",
    "no token": "a.b.c",
    "a known kid, a foreign key": await issuer.sign(claims, {}, foreign.privateKey),
    "a foreign kid and key": await issuer.sign(claims, { kid: "foreign" }, foreign.privateKey),
    "an unknown kid, the right key": await issuer.sign(claims, { kid: "2025-01" }),
    "no kid": await issuer.sign(claims, { kid: undefined as never }),
    "a key of its own": await issuer.sign(claims, { jwk: foreignJWK }, foreign.privateKey),
    "a key at an address of its own": await issuer.sign(claims, { jku: "http://127.0.0.1:1/" }, foreign.privateKey),
    "alg none": new UnsecuredJWT({ ...claims, iss: issuer.issuer, aud: audience, exp: 4e9 }).encode(),
    "HS256 with the public key": await issuer.sign(claims, { alg: "HS256", kid }, pem),
    "HS256 with the modulus": await issuer.sign(claims, { alg: "HS256", kid }, modulus),
    "another claim under the signature": [header, another.toString("base64url"), signature].join("."),
    "no signature": [header, another.toString("base64url"), ""].join("."),
    "expired": await issuer.sign({ ...claims, exp: 1_700_000_000 }),
    "no expiry": await issuer.sign({ ...claims, exp: undefined as never }),
    "not valid yet": await issuer.sign({ ...claims, nbf: 4e9 }),
    "for another application": await issuer.sign({ ...claims, aud: "https://other.example" }),
    "for no application": await issuer.sign({ ...claims, aud: undefined as never }),
    "from another issuer": await issuer.sign({ ...claims, iss: "https://issuer.example/" }),
  };
  for (const [what, token] of Object.entries(bad)) {
    assert.equal((await app.get(notes, token)).status, 401, what);
    const large = "x".repeat(100_000); // is not even read
    assert.equal((await app.post(notes, token, { text: large })).status, 401, what);
  }
  assert.equal(app.pools.size, 0);
  assert.equal(await fleet.connections(), 0);
  assert.equal((await app.get(notes, good)).status, 200);
});

test("only RS256 is accepted, even with the issuer's own key", async () => {
  const { notes, customer } = await fleet.tenant("alg");
  const pair = await generateKeyPair("PS256");
  const token = await fleet.issuer.sign({ org_id: customer }, { alg: "PS256" }, pair.privateKey);
  assert.equal((await app.get(notes, token)).status, 401);
});

test("a good token without an organization is refused", async () => {
  const { notes, customer } = await fleet.tenant("claim");
  const other = [undefined, null, "", "acme", customer.toUpperCase(), `{${customer}}`, [customer], { customer }];
  for (const org_id of other) {
    assert.equal((await app.get(notes, await fleet.issuer.sign({ org_id }))).status, 403, String(org_id));
  }
});

test("an issuer that cannot be asked is no reason to log anybody out", async () => {
  const other = await Fleet.start();
  try {
    const down = await other.app();
    const { notes, token } = await other.tenant("down");
    other.issuer.close();
    const answer = await down.get(notes, token);
    assert.deepEqual([answer.status, answer.retryAfter], [503, "5"]);
  } finally {
    await other.stop();
  }
});
