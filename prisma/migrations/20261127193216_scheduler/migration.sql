-- CreateTable
CREATE TABLE "schedules" (
    "id" BIGSERIAL NOT NULL,
    "name" TEXT NOT NULL,
    "owner" TEXT NOT NULL DEFAULT '',
    "cron" TEXT,
    "every_ms" INTEGER,
    "timezone" TEXT NOT NULL DEFAULT 'UTC',
    "jitter_ms" INTEGER NOT NULL DEFAULT 0,
    "overlap" TEXT NOT NULL DEFAULT 'skip',
    "catch_up" TEXT NOT NULL DEFAULT 'latest',
    "catch_up_window_ms" BIGINT NOT NULL DEFAULT 3600000,
    "catch_up_cap" INTEGER NOT NULL DEFAULT 100,
    "payload" JSONB,
    "hash" TEXT NOT NULL,
    "revision" BIGINT NOT NULL DEFAULT 0,
    "next_at" TIMESTAMPTZ(3),
    "tz_release" TEXT NOT NULL DEFAULT '',
    "not_before" TIMESTAMPTZ(3),
    "paused_at" TIMESTAMPTZ(3),
    "pause_reason" TEXT,
    "paused_by" TEXT,
    "seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "schedules_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "scheduler_runs" (
    "id" BIGSERIAL NOT NULL,
    "schedule_id" BIGINT,
    "name" TEXT NOT NULL,
    "owner" TEXT NOT NULL DEFAULT '',
    "kind" TEXT NOT NULL,
    "tick" TIMESTAMPTZ(3) NOT NULL,
    "state" TEXT NOT NULL,
    "payload" JSONB,
    "due_at" TIMESTAMPTZ(3) NOT NULL,
    "request_id" TEXT,
    "enqueues" INTEGER NOT NULL DEFAULT 0,
    "starts" INTEGER NOT NULL DEFAULT 0,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "fence" BIGINT,
    "lease_until" TIMESTAMPTZ(3),
    "enqueued_at" TIMESTAMPTZ(3),
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),
    "error" TEXT,
    "progress" INTEGER,
    "total" INTEGER,
    "worker" TEXT,
    "cancel_requested" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "scheduler_runs_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "schedules_due_idx" ON "schedules"("next_at") WHERE (next_at IS NOT NULL AND paused_at IS NULL);

-- CreateIndex
CREATE UNIQUE INDEX "schedules_owner_name_key" ON "schedules"("owner", "name");

-- CreateIndex
CREATE UNIQUE INDEX "scheduler_runs_request_id_key" ON "scheduler_runs"("request_id") WHERE (request_id IS NOT NULL);

-- CreateIndex
CREATE INDEX "scheduler_runs_pending_idx" ON "scheduler_runs"("due_at") WHERE (state = 'pending');

-- CreateIndex
CREATE INDEX "scheduler_runs_active_idx" ON "scheduler_runs"("schedule_id", "id") WHERE (state = 'waiting' OR state = 'pending' OR state = 'enqueued' OR state = 'running');

-- CreateIndex
CREATE INDEX "scheduler_runs_finished_idx" ON "scheduler_runs"("finished_at") WHERE (finished_at IS NOT NULL);

-- CreateIndex
CREATE INDEX "scheduler_runs_name_owner_id_idx" ON "scheduler_runs"("name", "owner", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "scheduler_runs_tick_key" ON "scheduler_runs"("schedule_id", "tick") WHERE (kind = 'tick');

-- By hand: Prisma's schema language has none. Grows with every start of any run. No CACHE: a later start has to have a larger number.
CREATE SEQUENCE "scheduler_fences";
