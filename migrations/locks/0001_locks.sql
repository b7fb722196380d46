-- Who has which session lock: a name for what pg_locks knows by number. A row lives as long as a session, and a crash of the server ends every session: it needs no log.
CREATE UNLOGGED TABLE held_locks (
  key BIGINT PRIMARY KEY, -- of the advisory lock
  name TEXT NOT NULL,
  pid INTEGER NOT NULL, -- of the server process whose session has it
  since TIMESTAMPTZ(3) NOT NULL
);

-- Locks that an administrator took from their holders.
CREATE TABLE lock_force_releases (
  id BIGSERIAL PRIMARY KEY,
  name TEXT NOT NULL,
  pid INTEGER NOT NULL,
  application TEXT NOT NULL,
  how TEXT NOT NULL, -- asked: the holder was told to give it back; terminated: its session was ended
  reason TEXT NOT NULL,
  released_by TEXT NOT NULL,
  released_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- The tokens of grants. No CACHE: tokens taken under a lock have to grow in the order of its grants.
CREATE SEQUENCE lock_tokens;
