/**
 * Tables and the function with which replicas share spend: `gateway_spend_sync` counts a batch of
 * accruals and answers where callers stand, in one statement and one transaction. The reference
 * knows none of it; the tables it shares with us are only written the way it writes them.
 *
 * A VOLATILE function sees, statement by statement, what was committed before: what is read
 * after the locks is current. Locks are always taken in the order of (kind, id), then of spend
 * rows, so that two replicas never wait for each other.
 */
export const createSpendTables = `
CREATE TABLE gateway_spend_revision (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  revision bigint NOT NULL
);
INSERT INTO gateway_spend_revision (revision) VALUES (1);
CREATE TABLE gateway_spend_batch (
  id uuid PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX gateway_spend_batch_applied_at ON gateway_spend_batch (applied_at);
CREATE TABLE gateway_spend_account (
  kind text NOT NULL CHECK (kind IN ('principal', 'group')),
  id text NOT NULL,
  PRIMARY KEY (kind, id)
);
CREATE TABLE gateway_spend_lease (
  kind text NOT NULL,
  id text NOT NULL,
  replica uuid NOT NULL,
  cents double precision NOT NULL,
  expires_at timestamptz NOT NULL,
  -- Of the statement it was written by, as the replica counts them.
  seq bigint NOT NULL,
  PRIMARY KEY (kind, id, replica)
);
CREATE INDEX gateway_spend_lease_expires_at ON gateway_spend_lease (expires_at)`

/**
 * Takes `{replica, seq, mode, lease_seconds, periods: {daily, weekly, monthly}, batch, asks, pools}`.
 * `batch` is null or `{id, entries: [{sub, groups, day, week, month, cents, identity, email,
 * name}]}`; an id that was counted before is not counted again. `asks` are
 * `[{sub, groups, want, held, holds}]`: a spare lease of at most `want` cents, on top of `held`
 * cents of calls under way, and room for further ones of `holds` cents each. `pools` are
 * `[{id, want, held}]`, for the pools the replica knows of. A spare lease is at most a tenth of what
 * is left; below a cent there is none, so that near a cap every call asks and hears of the others.
 *
 * A statement that arrives after a later one of its replica, which gave it up, still counts its
 * batch, and leaves the leases alone: what the replica holds is what it said last.
 *
 * Returns `{revision, accounts: [{sub, caps, pools, lease, granted}], pools: [{id, lease}]}`, the
 * accounts in the order of `asks`; `granted` says how many of `holds` there was room for.
 */
export const createSpendSync = `
CREATE FUNCTION gateway_spend_sync(p jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
AS $body$
DECLARE
  v_replica uuid := (p->>'replica')::uuid;
  v_seq bigint := (p->>'seq')::bigint;
  v_mode text := p->>'mode';
  v_month text := p->'periods'->>'monthly';
  -- Before anything it stands for: what changes from here on makes the caller ask again.
  v_revision text := (SELECT revision::text FROM gateway_spend_revision);
  v_until timestamptz;
  v_accounts jsonb[] := '{}';
  v_pools jsonb := '[]';
  v_counted integer;
  v_room jsonb := '{}';
  v_taken jsonb := '{}';
  v_names text[];
  v_mine text[];
  v_pooled jsonb;
  v_left double precision;
  v_free double precision;
  v_lease double precision;
  v_spare double precision;
  v_hold double precision;
  v_granted integer;
  ask record;
  pool record;
BEGIN
  -- Groups with a pool that is not paused, of everybody who is asked about.
  SELECT coalesce(array_agg(DISTINCT l.scope_id), '{}') INTO v_names
  FROM jsonb_array_elements(p->'asks') AS a
  CROSS JOIN LATERAL jsonb_array_elements_text(a->'groups') AS g(id)
  JOIN spend_limits AS l
    ON l.scope_type = 'rbac_group' AND l.scope_id = g.id AND l.period = 'monthly'
  WHERE l.pooled_limit_enabled;

  INSERT INTO gateway_spend_account (kind, id)
  SELECT DISTINCT kind, id
  FROM (SELECT 'principal' AS kind, a->>'sub' AS id FROM jsonb_array_elements(p->'asks') AS a
        UNION ALL SELECT 'group', unnest(v_names)) AS wanted
  ORDER BY kind, id
  ON CONFLICT DO NOTHING;

  PERFORM 1
  FROM gateway_spend_account AS account
  WHERE (account.kind = 'principal'
         AND account.id IN (SELECT a->>'sub' FROM jsonb_array_elements(p->'asks') AS a))
     OR (account.kind = 'group' AND account.id = ANY (v_names))
  ORDER BY account.kind, account.id
  FOR UPDATE;

  IF jsonb_typeof(p->'batch') = 'object' THEN
    INSERT INTO gateway_spend_batch (id) VALUES ((p->'batch'->>'id')::uuid)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_counted = ROW_COUNT;
    IF v_counted = 1 THEN
      PERFORM gateway_spend_count(p->'batch'->'entries');
    END IF;
  END IF;

  v_until := clock_timestamp() + make_interval(secs => (p->>'lease_seconds')::double precision);

  FOR pool IN
    SELECT l.scope_id AS id, l.pooled_monthly_credit_limit AS amount,
           coalesce(s.cents, 0) AS spent, coalesce(known.want, (p->>'want')::double precision) AS want,
           coalesce(known.held, 0) AS held,
           coalesce((SELECT sum(lease.cents) FROM gateway_spend_lease AS lease
                     WHERE lease.kind = 'group' AND lease.id = l.scope_id
                       AND lease.replica <> v_replica
                       AND lease.expires_at > clock_timestamp()), 0) AS others
    FROM spend_limits AS l
    LEFT JOIN pooled_spend AS s ON s.rbac_group_id = l.scope_id AND s.period = v_month
    LEFT JOIN jsonb_to_recordset(p->'pools')
              AS known(id text, want double precision, held double precision)
           ON known.id = l.scope_id
    WHERE l.scope_type = 'rbac_group' AND l.period = 'monthly' AND l.pooled_limit_enabled
      AND l.scope_id = ANY (v_names)
  LOOP
    v_room := v_room || jsonb_build_object(pool.id, jsonb_build_object(
      'amount', pool.amount::text, 'spent', pool.spent, 'want', pool.want, 'held', pool.held,
      'room', pool.amount - pool.spent - pool.others - pool.held));
  END LOOP;

  -- Caps and leases of all at once, in the order of the asks: a query for each would be planned
  -- anew each time. OFFSET 0 makes the groups a column, without which PostgreSQL does not fold
  -- caps_by_period into the query.
  FOR ask IN
    SELECT a.sub, a.held, a.want, a.holds, caps.list AS caps, caps.remaining,
           caps.remaining - a.held - others.cents AS free,
           ARRAY(SELECT name FROM unnest(v_names) AS name WHERE name = ANY (a.names)) AS mine
    FROM (
      SELECT listed.*, ARRAY(SELECT jsonb_array_elements_text(listed.groups)) AS names
      FROM ROWS FROM (jsonb_to_recordset(p->'asks') AS
             (sub text, groups jsonb, want double precision, held double precision, holds jsonb))
        WITH ORDINALITY AS listed(sub, groups, want, held, holds, place)
      OFFSET 0
    ) AS a
    CROSS JOIN LATERAL (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
               'period', cap.period, 'cap', cap.amount::text, 'source', cap.scope_type,
               'id', cap.id, 'spent', coalesce(s.cents, 0)) ORDER BY cap.period), '[]') AS list,
             min(cap.amount - coalesce(s.cents, 0)) AS remaining
      FROM caps_by_period(a.sub, a.names, v_mode) AS cap
      LEFT JOIN spend AS s ON s.principal = a.sub AND s.period = p->'periods'->>cap.period
    ) AS caps
    CROSS JOIN LATERAL (
      SELECT coalesce(sum(lease.cents), 0) AS cents FROM gateway_spend_lease AS lease
      WHERE lease.kind = 'principal' AND lease.id = a.sub AND lease.replica <> v_replica
        AND lease.expires_at > clock_timestamp()
    ) AS others
    ORDER BY a.place
  LOOP
    v_mine := ask.mine;
    v_left := ask.remaining;
    v_free := ask.free;
    v_granted := 0;
    v_lease := ask.held;
    FOR v_hold IN SELECT value::double precision FROM jsonb_array_elements_text(ask.holds) LOOP
      EXIT WHEN v_free <= 0
        OR EXISTS (SELECT 1 FROM unnest(v_mine) AS name
                   WHERE (v_room->name->>'room')::double precision <= 0);
      v_granted := v_granted + 1;
      v_free := v_free - v_hold;
      v_lease := v_lease + v_hold;
      SELECT v_room || coalesce(jsonb_object_agg(name, v_room->name || jsonb_build_object(
               'room', (v_room->name->>'room')::double precision - v_hold,
               'held', (v_room->name->>'held')::double precision + v_hold)), '{}')
      INTO v_room FROM unnest(v_mine) AS name;
    END LOOP;

    IF v_left IS NOT NULL THEN
      v_spare := least(v_free, v_left / 10, ask.want);
      v_lease := v_lease + CASE WHEN v_spare < 1 THEN 0 ELSE v_spare END;
      INSERT INTO gateway_spend_lease AS known (kind, id, replica, cents, expires_at, seq)
      VALUES ('principal', ask.sub, v_replica, v_lease, v_until, v_seq)
      ON CONFLICT (kind, id, replica)
      DO UPDATE SET cents = EXCLUDED.cents, expires_at = EXCLUDED.expires_at, seq = EXCLUDED.seq
      WHERE known.seq < EXCLUDED.seq;
    END IF;

    SELECT coalesce(jsonb_agg(jsonb_build_object('group', name, 'limit', v_room->name->>'amount',
             'spent', v_room->name->'spent')), '[]')
    INTO v_pooled FROM unnest(v_mine) AS name;
    v_accounts := array_append(v_accounts, jsonb_build_object('sub', ask.sub, 'caps', ask.caps,
      'pools', v_pooled, 'lease', coalesce(v_lease, 0), 'granted', v_granted));
  END LOOP;

  FOR pool IN SELECT key AS id, value AS state FROM jsonb_each(v_room) ORDER BY key LOOP
    v_spare := least(
      (pool.state->>'room')::double precision, (pool.state->>'want')::double precision,
      ((pool.state->>'amount')::double precision - (pool.state->>'spent')::double precision) / 10);
    v_lease := (pool.state->>'held')::double precision
               + CASE WHEN v_spare < 1 THEN 0 ELSE v_spare END;
    INSERT INTO gateway_spend_lease AS known (kind, id, replica, cents, expires_at, seq)
    VALUES ('group', pool.id, v_replica, v_lease, v_until, v_seq)
    ON CONFLICT (kind, id, replica)
    DO UPDATE SET cents = EXCLUDED.cents, expires_at = EXCLUDED.expires_at, seq = EXCLUDED.seq
    WHERE known.seq < EXCLUDED.seq;
    v_pools := v_pools || jsonb_build_object('id', pool.id, 'lease', v_lease);
  END LOOP;

  RETURN jsonb_build_object(
    'revision', v_revision, 'accounts', to_jsonb(v_accounts), 'pools', v_pools);
END
$body$`

/** Adds the entries of one batch to the shared tables, the way the reference does per request. */
export const createSpendCount = `
CREATE FUNCTION gateway_spend_count(p_entries jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $body$
BEGIN
  INSERT INTO spend AS s (principal, period, cents, updated_at)
  SELECT e.sub, period, sum(e.cents), now()
  FROM jsonb_to_recordset(p_entries)
       AS e(sub text, day text, week text, month text, cents double precision)
  CROSS JOIN LATERAL unnest(ARRAY[e.day, e.week, e.month]) AS period
  GROUP BY e.sub, period
  ORDER BY e.sub, period
  ON CONFLICT (principal, period)
  DO UPDATE SET cents = s.cents + EXCLUDED.cents, updated_at = EXCLUDED.updated_at;

  INSERT INTO pooled_spend AS s (rbac_group_id, period, cents, updated_at)
  SELECT l.scope_id, e.month, sum(e.cents), now()
  FROM jsonb_to_recordset(p_entries) AS e(groups jsonb, month text, cents double precision)
  JOIN spend_limits AS l
    ON l.scope_type = 'rbac_group' AND l.period = 'monthly'
   AND l.pooled_monthly_credit_limit IS NOT NULL AND e.groups ? l.scope_id
  GROUP BY l.scope_id, e.month
  ORDER BY l.scope_id, e.month
  ON CONFLICT (rbac_group_id, period)
  DO UPDATE SET cents = s.cents + EXCLUDED.cents, updated_at = EXCLUDED.updated_at;

  INSERT INTO principal_emails (principal, email, name, groups, updated_at)
  SELECT DISTINCT ON (e.sub) e.sub, e.email, e.name, e.groups, now()
  FROM jsonb_to_recordset(p_entries)
       AS e(sub text, email text, name text, groups jsonb, identity boolean)
  WHERE e.identity
  ORDER BY e.sub
  ON CONFLICT (principal)
  DO UPDATE SET email = EXCLUDED.email, name = EXCLUDED.name, groups = EXCLUDED.groups,
                updated_at = EXCLUDED.updated_at;

  INSERT INTO principal_groups (day, principal, groups)
  SELECT DISTINCT ON (e.day, e.sub) e.day, e.sub, e.groups
  FROM jsonb_to_recordset(p_entries) AS e(sub text, day text, groups jsonb, identity boolean)
  WHERE e.identity
  ORDER BY e.day, e.sub
  ON CONFLICT DO NOTHING;
END
$body$`
