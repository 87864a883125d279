import { once } from "node:events";

import pg from "pg";

import type { Place } from "./catalog.js";
import { unavailable } from "./errors.js";

export interface Limits {
  /** Pools that exist at once, counting those that are being closed until their last connection is gone. */
  pools: number;
  /** Connections of one pool. */
  connections: number;
  /** How long a request waits for a pool, and then for a connection. */
  waitMillis: number;
  /** How long an unused connection stays. With its last one the pool goes, and a Neon compute can be suspended. */
  idleMillis: number;
  statementMillis: number;
}

/** A customer's pool, or its place in the queue for one. */
interface Tenant {
  place: Place;
  users: number;
  /** No new user gets it; it closes once the last one is done. */
  retired: boolean;
  pool?: pg.Pool;
  connections: number;
  opened: Promise<pg.Pool>;
}

/**
 * A bounded cache of pools, one per tenant, least recently used out first. A pool is never closed under a query: a
 * retired one finishes the work that it has, and only then does the next tenant in the queue get its slot. So if all
 * pools are busy, tenants take turns.
 */
export class Pools {
  readonly #limits: Limits;
  readonly #tenants = new Map<string, Tenant>(); // by customer, least recently used first; without retired ones
  readonly #queue: (() => void)[] = []; // tenants that wait for a slot
  #slots: number; // free
  #closing = 0; // retired tenants that still hold a slot
  #empty = () => {};

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#slots = limits.pools;
  }

  /** Pools that exist. */
  get size(): number {
    return this.#limits.pools - this.#slots;
  }

  /** Calls work with the pool of the tenant at that place. The pool stays open at least until work is done. */
  async use<T>(place: Place, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
    const tenant = this.#tenant(place);
    tenant.users++;
    try {
      return await work(await within(this.#limits.waitMillis, tenant.opened));
    } finally {
      tenant.users--;
      this.#closeIfDone(tenant);
    }
  }

  /** Closes the customer's pool, if there is one. */
  forget(customer: string): void {
    const tenant = this.#tenants.get(customer);
    if (tenant) this.#retire(tenant);
  }

  /** Returns once all pools are closed. Nobody may ask for another one any more. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => (this.#empty = resolve));
    for (const tenant of this.#tenants.values()) this.#retire(tenant);
    if (this.size > 0) await closed;
  }

  #tenant(place: Place): Tenant {
    let tenant = this.#tenants.get(place.customer);
    if (tenant && tenant.place.name !== place.name) {
      this.#retire(tenant); // it has moved
      tenant = undefined;
    }
    tenant ??= this.#open(place);
    this.#tenants.delete(place.customer); // and to the end, as the last one used
    this.#tenants.set(place.customer, tenant);
    return tenant;
  }

  #open(place: Place): Tenant {
    const opened = this.#slot().then(() => {
      const pool = (tenant.pool = this.#pool(tenant));
      if (tenant.retired) this.#closing++;
      this.#closeIfDone(tenant);
      this.#makeRoom();
      return pool;
    });
    const tenant: Tenant = { place, users: 0, connections: 0, retired: false, opened };
    return tenant;
  }

  /** Resolves when a slot is the caller's, in the order of the calls. */
  #slot(): Promise<void> {
    if (this.#slots > 0) {
      this.#slots--;
      return Promise.resolve();
    }
    const turn = new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#makeRoom();
    return turn;
  }

  /** Retires as many pools as tenants wait: those without work first, then the least recently used. */
  #makeRoom(): void {
    while (this.#queue.length > this.#closing) {
      const open = [...this.#tenants.values()].filter((tenant) => tenant.pool);
      const oldest = open.find((tenant) => tenant.users === 0) ?? open[0];
      if (!oldest) return; // all are closing already
      this.#retire(oldest);
    }
  }

  #retire(tenant: Tenant): void {
    if (this.#tenants.get(tenant.place.customer) === tenant) this.#tenants.delete(tenant.place.customer);
    tenant.retired = true;
    if (tenant.pool) this.#closing++;
    this.#closeIfDone(tenant);
  }

  #pool(tenant: Tenant): pg.Pool {
    const pool = new pg.Pool({
      ...tenant.place.config,
      max: this.#limits.connections,
      connectionTimeoutMillis: this.#limits.waitMillis,
      idleTimeoutMillis: this.#limits.idleMillis,
      statement_timeout: this.#limits.statementMillis,
      application_name: "tenant-routing",
    });
    pool.on("error", () => {}); // as in the catalog
    pool.on("connect", () => tenant.connections++);
    pool.on("remove", () => {
      tenant.connections--; // it is closed on the server too
      if (!tenant.retired && tenant.users === 0 && pool.totalCount === 0) this.#retire(tenant);
    });
    return pool;
  }

  #closeIfDone(tenant: Tenant): void {
    if (!tenant.retired || tenant.users > 0 || !tenant.pool || tenant.pool.ending) return;
    void closed(tenant.pool, () => tenant.connections).then(() => {
      this.#closing--;
      const next = this.#queue.shift();
      if (next) return next();
      this.#slots++;
      if (this.size === 0) this.#empty();
    });
  }
}

/** Ends the pool, and resolves once the server has closed every connection. End itself does not wait for that. */
async function closed(pool: pg.Pool, connections: () => number): Promise<void> {
  await pool.end();
  while (connections() > 0) await once(pool, "remove");
}

/** Resolves as the promise does, or refuses if that takes longer. */
async function within<T>(millis: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable(new Error(`no pool was free for ${millis} ms`))), millis);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
