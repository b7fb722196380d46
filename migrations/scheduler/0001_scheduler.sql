-- When a job runs: declared by the application, or a user's own.
CREATE TABLE schedules (
  id BIGSERIAL PRIMARY KEY,
  name TEXT NOT NULL, -- of the job
  owner TEXT NOT NULL DEFAULT '', -- whose it is; empty for what the application declares
  cron TEXT,
  every_ms INTEGER,
  timezone TEXT NOT NULL DEFAULT 'UTC',
  jitter_ms INTEGER NOT NULL DEFAULT 0,
  overlap TEXT NOT NULL DEFAULT 'skip', -- skip, bufferOne, bufferAll, cancelOther or allow
  catch_up TEXT NOT NULL DEFAULT 'latest', -- none, latest or all
  catch_up_window_ms BIGINT NOT NULL DEFAULT 3600000,
  catch_up_cap INTEGER NOT NULL DEFAULT 100, -- of the ticks of one catching up with `all`
  payload JSONB,
  hash TEXT NOT NULL, -- of all that decides when it runs: an equal one changes nothing
  revision BIGINT NOT NULL DEFAULT 0, -- of the deployment that wrote it: an older one never overwrites it
  next_at TIMESTAMPTZ(3), -- the next nominal tick; null when there is none
  tz_release TEXT NOT NULL DEFAULT '', -- release of the tz database that the next tick was computed with, or an older one
  not_before TIMESTAMPTZ(3), -- an overdue tick that a boot has found waits until then
  paused_at TIMESTAMPTZ(3),
  pause_reason TEXT,
  paused_by TEXT,
  seen_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, -- when a boot declared it last
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE UNIQUE INDEX schedules_owner_name_key ON schedules (owner, name);
CREATE INDEX schedules_due_idx ON schedules (next_at) WHERE next_at IS NOT NULL AND paused_at IS NULL;

-- The ledger: one row for one tick of a schedule, one trigger by hand, or one job that was enqueued. It is the outbox too.
CREATE TABLE scheduler_runs (
  id BIGSERIAL PRIMARY KEY,
  schedule_id BIGINT, -- no foreign key: history outlives its schedule, whose removal would have to look for all of it
  name TEXT NOT NULL,
  owner TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL, -- tick, manual or enqueued
  tick TIMESTAMPTZ(3) NOT NULL, -- the nominal instant, or when it was asked for
  state TEXT NOT NULL, -- waiting, pending, enqueued, running, done, dead; skipped, missed and cancelled never ran to their end
  payload JSONB,
  due_at TIMESTAMPTZ(3) NOT NULL, -- not before
  request_id TEXT, -- asked for once: of what was triggered by hand or enqueued
  enqueues INTEGER NOT NULL DEFAULT 0,
  starts INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  fence BIGINT, -- grows with every start of any run
  lease_until TIMESTAMPTZ(3),
  enqueued_at TIMESTAMPTZ(3),
  started_at TIMESTAMPTZ(3),
  finished_at TIMESTAMPTZ(3),
  error TEXT,
  progress INTEGER,
  total INTEGER,
  worker TEXT, -- the process that has it
  cancel_requested BOOLEAN NOT NULL DEFAULT false
);

CREATE UNIQUE INDEX scheduler_runs_tick_key ON scheduler_runs (schedule_id, tick) WHERE kind = 'tick';
CREATE UNIQUE INDEX scheduler_runs_request_id_key ON scheduler_runs (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX scheduler_runs_pending_idx ON scheduler_runs (due_at) WHERE state = 'pending';
CREATE INDEX scheduler_runs_active_idx ON scheduler_runs (schedule_id, id) WHERE state = 'waiting' OR state = 'pending' OR state = 'enqueued' OR state = 'running';
-- What is past its retention.
CREATE INDEX scheduler_runs_finished_idx ON scheduler_runs (finished_at) WHERE finished_at IS NOT NULL;
-- The runs of one owner of a job that many have.
CREATE INDEX scheduler_runs_name_owner_id_idx ON scheduler_runs (name, owner, id DESC);

-- Grows with every start of any run. No CACHE: a later start has to have a larger number.
CREATE SEQUENCE scheduler_fences;
