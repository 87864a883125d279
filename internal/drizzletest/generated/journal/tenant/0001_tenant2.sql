ALTER TABLE "dummy_table" ADD COLUMN "size" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "dummy_by_name" ON "dummy_table" USING btree ("name");