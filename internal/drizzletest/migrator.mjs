// Runs drizzle-orm's migrate() for each line of JSON that it reads, several at once, and answers with a line each. It is
// given to node as text, in a directory with the packages of one line of drizzle.
import { createInterface } from "node:readline";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";

async function one(url, { folder, schema, table, searchPath }) {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {}); // the query that it breaks reports it
  await client.connect();
  try {
    if (searchPath) await client.query(`set search_path to ${client.escapeIdentifier(searchPath)}`);
    await migrate(drizzle({ client }), { migrationsFolder: folder, migrationsSchema: schema, migrationsTable: table });
  } finally {
    await client.end();
  }
}

async function all({ urls, atOnce, ...rest }) {
  const left = [...urls];
  const worker = async () => {
    for (let url = left.shift(); url !== undefined; url = left.shift()) await one(url, rest);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

// drizzle wraps the server's error into one that only shows the query.
const reason = (error) => ({ error: error.message, cause: error.cause?.message, code: (error.cause ?? error).code });

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, ...request } = JSON.parse(line);
  const began = process.hrtime.bigint();
  const failed = await all(request).then(() => ({}), reason);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  process.stdout.write(JSON.stringify({ id, seconds, ...failed }) + "\n");
});
