/**
 * One narrow row for each person, in which a search of the Admin API finds text without walking
 * over the spend of years. Triggers keep it, so that it is exact whoever writes the shared tables:
 * this gateway, the reference before or after it, or a person at a prompt. They run only when
 * somebody spends for the first time in a period or changes their name, never for a mere increase.
 *
 * A trigger needs a right on the shared tables that a role which does not own them may lack. Then
 * nothing is made, and a search walks (`spend/admin/effective.ts`).
 */
export const createPersonSearch = `
DO $do$
BEGIN
  IF NOT (has_table_privilege('spend', 'TRIGGER')
          AND has_table_privilege('principal_emails', 'TRIGGER')) THEN
    RETURN;
  END IF;

  CREATE TABLE gateway_person (
    id text PRIMARY KEY,
    text text NOT NULL
  );

  -- Each part in lower case by itself: what a letter becomes may depend on its neighbours.
  CREATE FUNCTION gateway_person_text(p_id text, p_email text, p_name text) RETURNS text
  LANGUAGE sql IMMUTABLE
  AS $body$
    SELECT lower(p_id) || E'\\n' || coalesce(lower(p_email), '')
      || E'\\n' || coalesce(lower(p_name), '')
  $body$;

  -- With the rights of who made it: the reference may write under another role. Without the table
  -- it does nothing, so that who drops it does not stop the writes of others. A plan that a session
  -- made while the table was small must not read all of it for ever: hence no sequential scans.
  CREATE FUNCTION gateway_person_spent() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off
  AS $body$
  BEGIN
    IF to_regclass('gateway_person') IS NULL THEN
      RETURN NULL;
    END IF;
    IF EXISTS (SELECT 1 FROM gateway_person WHERE id = NEW.principal) THEN
      RETURN NULL;
    END IF;
    INSERT INTO gateway_person (id, text)
    SELECT p.id, gateway_person_text(p.id, e.email, e.name)
    FROM (SELECT NEW.principal AS id) AS p
    LEFT JOIN principal_emails AS e ON e.principal = p.id
    ON CONFLICT (id) DO NOTHING;
    RETURN NULL;
  END
  $body$;

  -- An upsert, and so it waits for a first spend that is being written at this moment.
  CREATE FUNCTION gateway_person_named() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off
  AS $body$
  BEGIN
    IF to_regclass('gateway_person') IS NULL THEN
      RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
      UPDATE gateway_person SET text = gateway_person_text(id, NULL, NULL)
      WHERE id = OLD.principal;
    ELSE
      INSERT INTO gateway_person (id, text)
      VALUES (NEW.principal, gateway_person_text(NEW.principal, NEW.email, NEW.name))
      ON CONFLICT (id) DO UPDATE SET text = EXCLUDED.text;
    END IF;
    RETURN NULL;
  END
  $body$;

  CREATE TRIGGER gateway_person_spent AFTER INSERT ON spend
  FOR EACH ROW EXECUTE PROCEDURE gateway_person_spent();
  CREATE TRIGGER gateway_person_named AFTER INSERT OR DELETE ON principal_emails
  FOR EACH ROW EXECUTE PROCEDURE gateway_person_named();
  CREATE TRIGGER gateway_person_renamed AFTER UPDATE ON principal_emails
  FOR EACH ROW
  WHEN (OLD.email IS DISTINCT FROM NEW.email OR OLD.name IS DISTINCT FROM NEW.name)
  EXECUTE PROCEDURE gateway_person_named();

  -- From one person to the next by the index; in order of id, which is the order of reading.
  WITH RECURSIVE walk (id) AS (
    (SELECT principal FROM spend ORDER BY principal LIMIT 1)
    UNION ALL
    SELECT (SELECT next.principal FROM spend AS next WHERE next.principal > walk.id
            ORDER BY next.principal LIMIT 1)
    FROM walk WHERE walk.id IS NOT NULL)
  INSERT INTO gateway_person (id, text)
  SELECT p.id, gateway_person_text(p.id, e.email, e.name)
  FROM (SELECT id FROM walk WHERE id IS NOT NULL
        UNION SELECT principal FROM principal_emails) AS p
  LEFT JOIN principal_emails AS e ON e.principal = p.id
  ORDER BY p.id;
  ANALYZE gateway_person;
END
$do$`
