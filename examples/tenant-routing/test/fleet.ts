import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";

import { createApp } from "../src/app.js";
import { authenticator } from "../src/auth.js";
import { Catalog } from "../src/catalog.js";
import { Pools, type Limits } from "../src/pools.js";
import { audience, startIssuer, type TestIssuer } from "./issuer.js";

const here = new URL("../../", import.meta.url); // from dist/test
const { escapeIdentifier: quote } = pg;

/** The part of dbmate's files that builds, in the order of their names. */
function migrations(directory: string): string[] {
  const url = new URL(directory, here);
  return readdirSync(url).sort().map((name) => {
    const up = readFileSync(new URL(name, url), "utf8").split(/^-- migrate:(?:up|down).*$/m)[1];
    if (!up) throw new Error(`${name} has no migrate:up`);
    return up;
  });
}

export interface Answer {
  status: number;
  body: any;
  retryAfter: string | null;
}

/** The application, and its parts to look into. */
export interface Running {
  pools: Pools;
  log: string[];
  get: (path: string, token?: string, headers?: Record<string, string>) => Promise<Answer>;
  post: (path: string, token: string | undefined, body: unknown, headers?: Record<string, string>) => Promise<Answer>;
}

/** A catalog and tenants on the server of TEST_DATABASE_URL, whose role is a superuser. They go with the test. */
export class Fleet {
  readonly #name = `routing_${randomUUID().slice(0, 8)}`; // of the role and the catalog, and of no other test's
  readonly #databases: string[] = [];
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #admin: pg.Pool;
  readonly #catalog: pg.Pool;
  issuer!: TestIssuer;

  private constructor(private readonly server: string) {
    this.#admin = new pg.Pool({ ...parseIntoClientConfig(server), max: 4 });
    this.#catalog = new pg.Pool({ ...parseIntoClientConfig(server), database: this.#name, max: 4 });
    // To end a pool does not wait for its connections, so a database may be dropped under one of them.
    for (const pool of [this.#admin, this.#catalog]) pool.on("error", () => {});
  }

  static async start(): Promise<Fleet> {
    const server = process.env.TEST_DATABASE_URL;
    if (!server) throw new Error("set TEST_DATABASE_URL to a superuser's connection string of a server for tests");
    const fleet = new Fleet(server);
    fleet.issuer = await startIssuer();
    await fleet.#create();
    return fleet;
  }

  async #create(): Promise<void> {
    const name = this.#name;
    await this.create(name);
    await this.create(`${name}_template`);
    await this.catalog(migrations("../../migrations/catalog/").join("\n"));
    await this.catalog(this.#own(readFileSync(new URL("db/app_role.sql", here), "utf8")));
    await this.admin(`alter role ${name} password 'p@ss:w/r%d'`);
    await this.in(`${name}_template`, this.#own(migrations("db/migrations/").join("\n")));
  }

  /** SQL with this fleet's role in place of the application's. */
  #own(sql: string): string {
    return sql.replaceAll("routing_app", this.#name);
  }

  get role(): string {
    return this.#name;
  }

  /** The application's connection string of a database. */
  url(database = this.#name): string {
    const url = new URL(this.server);
    url.username = this.#name;
    url.password = encodeURIComponent("p@ss:w/r%d");
    url.pathname = `/${database}`;
    return url.href;
  }

  /** Runs SQL as the superuser, and returns the rows. */
  async admin(sql: string, values?: unknown[]): Promise<any[]> {
    return (await this.#admin.query(sql, values)).rows;
  }

  /** Runs SQL in a database, as the superuser. */
  async in(database: string, sql: string, values?: unknown[]): Promise<any[]> {
    const client = new pg.Client({ ...parseIntoClientConfig(this.server), database });
    await client.connect();
    try {
      return (await client.query(sql, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** Runs SQL in the catalog, as the superuser. */
  async catalog(sql: string, values?: unknown[]): Promise<any[]> {
    return (await this.#catalog.query(sql, values)).rows;
  }

  async create(database: string, template = "template0"): Promise<void> {
    this.#databases.push(database);
    const strategy = (await this.admin("show server_version_num"))[0].server_version_num < 150000 ? "" :
      "strategy file_copy"; // half the time, where nothing is made durable
    await this.admin(`create database ${quote(database)} template ${quote(template)} ${strategy}`);
  }

  /** Adds a customer, as whoever sells the product does, and returns its id. */
  async customer(): Promise<string> {
    const [row] = await this.catalog("insert into customer (name) values ($1) returning customer_id", [randomUUID()]);
    return row.customer_id;
  }

  /** Creates the database that create-tenant would. */
  async database(suffix: string): Promise<string> {
    const name = `${this.#name}_${suffix}`;
    await this.create(name, `${this.#name}_template`);
    return name;
  }

  /** Writes the row that create-tenant writes, and links it to its customer, as whoever sells the product does. */
  async register(customer: string, database: string): Promise<void> {
    await this.catalog("insert into project (name, database, source_id, last_seen_at) values ($1, $2, $2, now())",
      [database, database]);
    await this.catalog("update project set customer_id = $1 where database = $2", [customer, database]);
  }

  /** Adds a customer with a tenant. */
  async tenant(suffix: string): Promise<{ customer: string; database: string; notes: string; token: string }> {
    const [customer, database] = [await this.customer(), await this.database(suffix)];
    await this.register(customer, database);
    return { customer, database, notes: `/organizations/${customer}/notes`, token: await this.token(customer) };
  }

  token(customer: string): Promise<string> {
    return this.issuer.sign({ org_id: customer });
  }

  /** The application's connections to tenants, as the server counts them. */
  async connections(): Promise<number> {
    const sql = "select count(*)::int from pg_stat_activity where usename = $1 and datname <> $1";
    return (await this.admin(sql, [this.#name]))[0].count;
  }

  /** Limits with which no test waits in vain. */
  pools(limits: Partial<Limits> = {}): Pools {
    return new Pools({
      pools: 20, connections: 2, waitMillis: 60_000, idleMillis: 60_000, statementMillis: 60_000, ...limits,
    });
  }

  /** Starts the application on a free port. */
  async app(limits: Partial<Limits> = {}, tenantURLs: Record<string, string> = {}): Promise<Running> {
    const catalog = new Catalog({ url: this.url(), tenantURLs });
        const { issuer, jwks } = this.issuer;
    const [log, pools] = [[] as string[], this.pools(limits)];
    const authenticate = authenticator({ issuer, audience, jwks, claim: "org_id" });
    const app = createApp({ authenticate, catalog, pools, log: (line) => void log.push(line) });
    const server = await new Promise<Server>((resolve) => {
      const listening: Server = app.listen(0, "127.0.0.1", () => resolve(listening));
    });
    this.#closers.push(async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await pools.close();
      await catalog.close();
    });
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ask = async (path: string, init: RequestInit, token?: string): Promise<Answer> => {
      const headers = { ...init.headers, ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }) };
      const response = await fetch(base + path, { ...init, headers });
      const text = await response.text();
      if (response.status >= 400 && new RegExp(`127\\.0\\.0\\.1|${this.#name}|database|kid|    at `).test(text)) {
        throw new Error(`an answer tells too much: ${text}`);
      }
      return { status: response.status, body: JSON.parse(text), retryAfter: response.headers.get("Retry-After") };
    };
    return {
      pools,
      log,
      get: (path, token, headers = {}) => ask(path, { headers }, token),
      post: (path, token, body, headers = {}) => ask(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }, token),
    };
  }

  async stop(): Promise<void> {
    for (const close of this.#closers) await close();
    this.issuer.close();
    await this.#catalog.end();
    await inParallel(4, this.#databases, (name) => this.admin(`drop database if exists ${quote(name)} with (force)`));
    await this.admin(`drop role if exists ${quote(this.#name)}`);
    await this.#admin.end();
  }
}

/** Calls work for each item, at most so many at once. */
export async function inParallel<T>(limit: number, items: Iterable<T>, work: (item: T) => Promise<unknown>) {
  const iterator = items[Symbol.iterator]();
  await Promise.all(Array.from({ length: limit }, async () => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await work(next.value);
  }));
}

/** Waits until the condition holds. */
export async function until(condition: () => boolean | Promise<boolean>, everyMillis = 10): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, everyMillis));
}

