-- CreateTable
CREATE TABLE "feature_flags" (
    "name" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL,
    "percent" SMALLINT NOT NULL,
    "revision" INTEGER NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_by" TEXT NOT NULL,

    CONSTRAINT "feature_flags_pkey" PRIMARY KEY ("name")
);

-- By hand: Prisma's schema language has no CHECK. It holds where somebody writes with psql.
ALTER TABLE "feature_flags" ADD CONSTRAINT "feature_flags_percent_check" CHECK ("percent" BETWEEN 0 AND 100);
