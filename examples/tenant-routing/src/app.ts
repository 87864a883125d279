import express, { type ErrorRequestHandler, type Express, type Request, type Response } from "express";
import pg from "pg";

import { authenticator } from "./auth.js";
import type { Catalog } from "./catalog.js";
import { beingCreated, forbidden, Refusal, unavailable } from "./errors.js";
import type { Pools } from "./pools.js";

export interface Parts {
  authenticate: ReturnType<typeof authenticator>;
  catalog: Catalog;
  pools: Pools;
  log: (line: string) => void;
}

/** A handler's work in the database of the customer that the token names. There is no other way to a database. */
type Work = (db: pg.Pool, request: Request, response: Response) => Promise<void>;

const retryAfterSeconds = 5;

/** The application: notes, each organization's in a database of its own. */
export function createApp({ authenticate, catalog, pools, log }: Parts): Express {
  const app = express();
  app.disable("x-powered-by");

  app.get("/healthz", (_, response) => void response.json({ status: "ok" }));

  // Who asks comes first: nobody else's body is read.
  app.use("/organizations/:organization", async (request, response, next) => {
    response.set("Cache-Control", "no-store");
    const customer = await authenticate(request.get("Authorization"));
    if (request.params.organization !== customer) throw forbidden();
    response.locals.customer = customer;
    next();
  });
  app.use(express.json({ limit: "16kb" }));

  const inTenant = (work: Work) => async (request: Request, response: Response) => {
    const customer: string = response.locals.customer;
    try {
      const place = await catalog.find(customer);
      await pools.use(place, (db) => work(db, request, response));
    } catch (error) {
      if (error instanceof Refusal && error.status === 403) pools.forget(customer);
      throw error;
    }
  };

  app.get("/organizations/:organization/notes", inTenant(async (db, _, response) => {
    const { rows } = await db.query("select note_id::text as id, text from note order by note_id desc limit 100");
    response.json(rows);
  }));

  app.post("/organizations/:organization/notes", inTenant(async (db, request, response) => {
    const text: unknown = request.body?.text;
    if (typeof text !== "string" || text === "" || text.length > 1000 || text.includes("\0")) {
      throw new Refusal(400, "text must be a string of 1 to 1000 characters");
    }
    const { rows } = await db.query("insert into note (text) values ($1) returning note_id::text as id, text", [text]);
    response.status(201).json(rows[0]);
  }));

  app.use((_, response) => void response.status(404).json({ error: "there is nothing here" }));
  app.use(answerError(log));
  return app;
}

/** Answers with what a client may know, and logs the rest. */
function answerError(log: (line: string) => void): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) return next(error);
    const { status, message, cause } = answerOf(error);
    if (status >= 500) log(`${request.method} ${request.path}: ${status}: ${reason(cause ?? error)}`);
    if (status === 401) response.set("WWW-Authenticate", "Bearer");
    if (status === 503) response.set("Retry-After", String(retryAfterSeconds));
    response.status(status).json({ error: message });
  };
}

/** An answer's status and message. */
interface Answer {
  status: number;
  message: string;
  cause?: unknown;
}

function answerOf(error: unknown): Answer {
  if (error instanceof Refusal) return error;
  const { code, status } = error as { code?: unknown; status?: unknown };
  if (error instanceof pg.DatabaseError) {
    // The database or its tables are not there yet: a new tenant, or one that the running migration has not reached.
    if (/^(3D000|42P01|42703)$/.test(error.code ?? "")) return beingCreated(error);
    // Too many connections, a database that takes none, a shutdown, a timeout.
    if (/^(08|53|55000|57)/.test(error.code ?? "")) return unavailable(error);
  } else if (typeof status === "number" && status >= 400 && status < 500) {
    return { status, message: "bad request" }; // a path or a body that cannot be read, which the error quotes
  } else if (error instanceof Error && (typeof code === "string" || connecting.test(error.message))) {
    return unavailable(error); // of a socket, of TLS, or the pool's own
  }
  return { status: 500, message: "something went wrong", cause: error };
}

/** The pool's errors that have no code. */
const connecting = /^(timeout exceeded when trying to connect|Connection terminated)/;

/** What goes to the log, in one line: no stack, and no detail of PostgreSQL's, which quotes rows. */
function reason(error: unknown): string {
  return JSON.stringify(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
}
