/**
 * The tables this gateway shares with the reference, under the reference's names: either program
 * can take the database over from the other. Facts, as data; `migrate.ts` makes of them whatever
 * a database lacks. Nothing may be renamed, dropped or given another meaning here; what only we
 * need goes into tables of our own (`own.ts`).
 */
export interface Table {
  readonly name: string
  /** Name and definition, in the order they are created. */
  readonly columns: readonly (readonly [name: string, definition: string])[]
  readonly constraints: readonly (readonly [name: string, definition: string])[]
  readonly indexes: readonly Index[]
}

export interface Index {
  readonly name: string
  readonly unique?: true
  /** What follows ON and the table's name. */
  readonly on: string
}

/** Written to `_migrations` when the shared tables are complete: the reference's versions. */
export const sharedVersions: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8]

/** Where either program records the versions above. */
export const versionTable: Table = {
  name: '_migrations',
  columns: [
    ['version', 'integer NOT NULL'],
    ['applied_at', 'timestamptz NOT NULL DEFAULT now()'],
  ],
  constraints: [['_migrations_pkey', 'PRIMARY KEY (version)']],
  indexes: [],
}

const kv: Table = {
  name: 'kv',
  columns: [
    ['key', 'text NOT NULL'],
    ['value', 'text NOT NULL'],
    ['expires_at', 'timestamptz'],
  ],
  constraints: [['kv_pkey', 'PRIMARY KEY (key)']],
  indexes: [{ name: 'kv_expires_at', on: '(expires_at) WHERE expires_at IS NOT NULL' }],
}

const spend: Table = {
  name: 'spend',
  columns: [
    ['principal', 'text NOT NULL'],
    ['period', 'text NOT NULL'],
    ['cents', 'double precision NOT NULL DEFAULT 0'],
    ['updated_at', 'timestamptz NOT NULL DEFAULT now()'],
  ],
  constraints: [['spend_pkey', 'PRIMARY KEY (principal, period)']],
  indexes: [
    { name: 'spend_period_cents', on: '(period, cents DESC, principal)' },
    { name: 'spend_updated_at', on: '(updated_at)' },
  ],
}

const spendLimits: Table = {
  name: 'spend_limits',
  columns: [
    ['id', 'text NOT NULL'],
    ['scope_type', 'text NOT NULL'],
    ['scope_id', `text NOT NULL DEFAULT ''`],
    ['amount', 'bigint'],
    ['period', `text NOT NULL DEFAULT 'monthly'`],
    ['currency', `text NOT NULL DEFAULT 'USD'`],
    ['created_at', 'timestamptz NOT NULL DEFAULT now()'],
    ['updated_at', 'timestamptz NOT NULL DEFAULT now()'],
    ['created_by', 'text'],
    ['pooled_limit_enabled', 'boolean NOT NULL DEFAULT false'],
    ['pooled_monthly_credit_limit', 'bigint'],
  ],
  constraints: [
    ['spend_limits_pkey', 'PRIMARY KEY (id)'],
    [
      'spend_limits_scope_type_check',
      `CHECK (scope_type IN ('user', 'rbac_group', 'organization'))`,
    ],
    ['spend_limits_period_check', `CHECK (period IN ('daily', 'weekly', 'monthly'))`],
    ['spend_limits_currency_check', `CHECK (currency = 'USD')`],
    [
      'spend_limits_pooled_requires_limit',
      'CHECK (NOT pooled_limit_enabled OR pooled_monthly_credit_limit IS NOT NULL)',
    ],
    [
      'spend_limits_pooled_amount_requires_group',
      `CHECK (pooled_monthly_credit_limit IS NULL OR (scope_type = 'rbac_group' AND period = 'monthly'))`,
    ],
  ],
  indexes: [{ name: 'spend_limits_scope', unique: true, on: '(scope_type, scope_id, period)' }],
}

const pooledSpend: Table = {
  name: 'pooled_spend',
  columns: [
    ['rbac_group_id', 'text NOT NULL'],
    ['period', 'text NOT NULL'],
    ['cents', 'double precision NOT NULL DEFAULT 0'],
    ['updated_at', 'timestamptz NOT NULL DEFAULT now()'],
  ],
  constraints: [['pooled_spend_pkey', 'PRIMARY KEY (rbac_group_id, period)']],
  indexes: [],
}

const principalEmails: Table = {
  name: 'principal_emails',
  columns: [
    ['principal', 'text NOT NULL'],
    ['email', 'text'],
    ['name', 'text'],
    ['groups', 'jsonb'],
    ['updated_at', 'timestamptz NOT NULL DEFAULT now()'],
  ],
  constraints: [['principal_emails_pkey', 'PRIMARY KEY (principal)']],
  indexes: [{ name: 'principal_emails_updated_at', on: '(updated_at)' }],
}

const principalGroups: Table = {
  name: 'principal_groups',
  columns: [
    ['day', 'text NOT NULL'],
    ['principal', 'text NOT NULL'],
    ['groups', 'jsonb NOT NULL'],
  ],
  constraints: [['principal_groups_pkey', 'PRIMARY KEY (day, principal)']],
  indexes: [],
}

const adminAudit: Table = {
  name: 'admin_audit',
  columns: [
    ['id', 'bigint NOT NULL GENERATED ALWAYS AS IDENTITY'],
    ['at', 'timestamptz NOT NULL DEFAULT now()'],
    ['actor', 'text NOT NULL'],
    ['action', 'text NOT NULL'],
    ['target', 'text NOT NULL'],
    ['before', 'jsonb'],
    ['after', 'jsonb'],
    ['reason', 'text'],
  ],
  constraints: [['admin_audit_pkey', 'PRIMARY KEY (id)']],
  indexes: [{ name: 'admin_audit_at', on: '(at)' }],
}

export const sharedTables: readonly Table[] = [
  kv,
  spend,
  spendLimits,
  pooledSpend,
  principalEmails,
  principalGroups,
  adminAudit,
]
