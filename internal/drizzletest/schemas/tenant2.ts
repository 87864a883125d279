import { index, integer, pgTable, serial, text } from "drizzle-orm/pg-core";

export const dummies = pgTable(
  "dummy_table",
  { id: serial("id").primaryKey(), name: text("name").notNull(), size: integer("size").notNull().default(0) },
  (table) => [index("dummy_by_name").on(table.name)],
);
