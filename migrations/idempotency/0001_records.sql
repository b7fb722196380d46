-- One row for one key: a running claim or a finished record.
CREATE TABLE idempotency_records (
  id BYTEA PRIMARY KEY, -- SHA-256 of scope and key
  fingerprint BYTEA NOT NULL,
  token TEXT NOT NULL, -- the attempt that owns the claim, or that finished it
  state TEXT NOT NULL, -- running, completed or tombstone
  lease_until TIMESTAMPTZ(3) NOT NULL,
  expires_at TIMESTAMPTZ(3) NOT NULL,
  status SMALLINT,
  headers JSONB,
  body BYTEA,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  completed_at TIMESTAMPTZ(3),
  mirrored BOOLEAN NOT NULL DEFAULT false -- written after Redis had decided, so that it is found when Redis has lost it
);

CREATE INDEX idempotency_records_expires_at_idx ON idempotency_records (expires_at);

-- How long must Postgres be asked: a look-up among a million mirrored rows.
CREATE INDEX idempotency_records_decided_expires_at_idx ON idempotency_records (expires_at) WHERE NOT mirrored;
