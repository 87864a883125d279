import { pgTable, serial, text } from "drizzle-orm/pg-core";

export const dummies = pgTable("dummy_table", { id: serial("id").primaryKey(), name: text("name").notNull() });
