import { pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";

export const tracker = pgTable("schema_tracker", {
  id: uuid("id").primaryKey().defaultRandom(),
  name: text("name").notNull().unique(),
  createdAt: timestamp("created_at").notNull().defaultNow(),
});
