-- By hand: from here on the tables of the plugins have migrations of their own, in the folder migrations. What was made above is what their first ones make.
CREATE TABLE holdfast_migrations (
    name TEXT PRIMARY KEY,
    applied_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

INSERT INTO holdfast_migrations (name) VALUES ('idempotency/0001_records'), ('locks/0001_locks'), ('scheduler/0001_scheduler');
