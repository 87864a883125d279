import { authenticator } from "./auth.js";
import { createApp } from "./app.js";
import { Catalog } from "./catalog.js";
import { Pools } from "./pools.js";

/** Reads a variable; without a default it is required. */
function variable(name: string, otherwise?: string): string {
  const value = process.env[name] || otherwise;
  if (value === undefined) throw new Error(`${name} is not set; README.md lists what the application needs`);
  return value;
}

/** Reads a whole number. */
function count(name: string, otherwise: number, least = 1): number {
  const value = Number(variable(name, String(otherwise)));
  if (!Number.isInteger(value) || value < least) throw new Error(`${name} is not a whole number from ${least} on`);
  return value;
}

/** Where the issuer publishes its keys. Whoever can change them on the way can sign any token. */
function jwksURL(): URL {
  const url = new URL(variable("JWKS_URL"));
  const local = ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url.protocol !== "https:" && !local) throw new Error("JWKS_URL must begin with https://");
  return url;
}

/** How long a statement may take, and requests that have begun when the program is to end. */
const requestMillis = count("REQUEST_SECONDS", 10) * 1000;

const log = (line: string) => console.error(line);
const catalog = new Catalog({
  url: variable("CATALOG_DATABASE_URL"),
  tenantURLs: JSON.parse(variable("TENANT_URLS", "{}")),
});
const pools = new Pools({
  pools: count("MAX_POOLS", 20),
  connections: count("CONNECTIONS_PER_POOL", 2),
  waitMillis: 5000,
  idleMillis: 30_000,
  statementMillis: requestMillis,
});
const authenticate = authenticator({
  issuer: variable("TOKEN_ISSUER"),
  audience: variable("TOKEN_AUDIENCE"),
  jwks: jwksURL(),
  claim: variable("ORGANIZATION_CLAIM", "org_id"),
});

const app = createApp({ authenticate, catalog, pools, log });
const server = app.listen(count("PORT", 3000, 0), variable("HOST", "127.0.0.1"), (error) => {
  if (error) throw error;
  const address = server.address();
  log(`listening on port ${typeof address === "object" ? address?.port : address}`);
});
server.requestTimeout = 30_000; // for the client to send one

/** Answers what has begun, then closes all connections to databases. */
function shutDown(): void {
  server.prependListener("request", (_, response) => void response.setHeader("Connection", "close"));
  const late = setTimeout(() => server.closeAllConnections(), requestMillis);
  server.close(async () => {
    clearTimeout(late);
    await pools.close();
    await catalog.close();
  });
  server.closeIdleConnections();
}
process.once("SIGTERM", shutDown);
process.once("SIGINT", shutDown);
