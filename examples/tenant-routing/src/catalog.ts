import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";

import { beingCreated, forbidden, unavailable } from "./errors.js";

/** Where a customer's tenant is. */
export interface Place {
  customer: string;
  /** Changes when the tenant moves. */
  name: string;
  config: pg.ClientConfig;
}

/**
 * The customer, and its tenant if there is one. create-tenant registers a tenant once it is created and migrated, and
 * whoever sells the product links it to its customer. So a customer without a tenant waits for its first one, unless
 * there was one that was dropped.
 */
const query = `
select p.project_id, p.key, p.database,
       exists (select from public.project d where d.customer_id = c.customer_id and d.dropped_at is not null) as dropped
from public.customer c
left join public.project p on p.customer_id = c.customer_id and p.dropped_at is null
where c.customer_id = $1
limit 2`;

interface Row {
  project_id: string | null;
  key: string | null;
  database: string | null;
  dropped: boolean;
}

export interface CatalogOptions {
  /** The catalog. Tenants that are databases of its server are reached with the same role. */
  url: string;
  /** Connection strings of tenants that live elsewhere, such as Neon projects, by the catalog's key. */
  tenantURLs: Record<string, string>;
}

/** The catalog database. It is asked at every request, so a tenant that is dropped or unlinked is closed at once. */
export class Catalog {
  readonly #config: pg.ClientConfig;
  readonly #tenants: Map<string, string>;
  readonly #pool: pg.Pool;

  constructor({ url, tenantURLs }: CatalogOptions) {
    this.#config = parseIntoClientConfig(url);
    this.#tenants = new Map(Object.entries(tenantURLs));
    this.#pool = new pg.Pool({
      ...this.#config,
      max: 4,
      connectionTimeoutMillis: 5000,
      statement_timeout: 5000,
      application_name: "tenant-routing",
    });
    this.#pool.on("error", () => {}); // the pool drops an idle connection that broke, and the next query opens one
  }

  /** Returns where the customer's tenant is. Refuses customers that are unknown, or have no tenant any more or yet. */
  async find(customer: string): Promise<Place> {
    const { rows } = await this.#pool.query<Row>(query, [customer]).catch((error: unknown) => {
      throw unavailable(error); // of whoever it is, nothing is known: that must not become "forbidden"
    });
    const row = rows[0];
    if (!row) throw forbidden();
    if (rows.length > 1) throw new Error(`the customer ${customer} has several tenants, and the token names none`);
    if (!row.project_id) throw row.dropped ? forbidden() : beingCreated();
    return this.#place(customer, row);
  }

  #place(customer: string, { database, key }: Row): Place {
    if (database === this.#config.database) throw new Error(`the tenant of ${customer} is the catalog itself`);
    // A URL would have to escape the name, which may hold any character.
    if (database) return { customer, name: `database ${database}`, config: { ...this.#config, database } };
    const url = key && this.#tenants.get(key);
    if (!url) throw unavailable(new Error(`TENANT_URLS has no connection string for the key ${key}`));
    return { customer, name: url, config: parseIntoClientConfig(url) };
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}
