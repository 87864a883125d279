-- Custom SQL migration file, put your code below! --
CREATE FUNCTION "touch"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.name := coalesce(NEW.name, '-- ; none');
  RETURN NEW;
END
$$;
--> statement-breakpoint
INSERT INTO "users" ("email") VALUES ('first@example.com'), ('it''s; second');
