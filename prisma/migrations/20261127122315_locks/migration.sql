-- CreateTable
CREATE TABLE "held_locks" (
    "key" BIGINT NOT NULL,
    "name" TEXT NOT NULL,
    "pid" INTEGER NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "held_locks_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "lock_force_releases" (
    "id" BIGSERIAL NOT NULL,
    "name" TEXT NOT NULL,
    "pid" INTEGER NOT NULL,
    "application" TEXT NOT NULL,
    "how" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "released_by" TEXT NOT NULL,
    "released_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "lock_force_releases_pkey" PRIMARY KEY ("id")
);

-- By hand: Prisma's schema language has neither. A row of held_locks lives as long as a session, and a crash of the server ends every session: it needs no log.
ALTER TABLE "held_locks" SET UNLOGGED;

-- The tokens of grants. No CACHE: tokens taken under a lock have to grow in the order of its grants.
CREATE SEQUENCE "lock_tokens";
