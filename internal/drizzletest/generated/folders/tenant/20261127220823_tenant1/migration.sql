CREATE TABLE "dummy_table" (
	"id" serial PRIMARY KEY,
	"name" text NOT NULL
);
