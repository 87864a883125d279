CREATE TABLE "dummy_table" (
	"id" serial PRIMARY KEY NOT NULL,
	"name" text NOT NULL
);
