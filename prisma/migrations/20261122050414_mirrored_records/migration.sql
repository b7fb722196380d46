-- AlterTable
ALTER TABLE "idempotency_records" ADD COLUMN     "mirrored" BOOLEAN NOT NULL DEFAULT false;

-- CreateIndex
CREATE INDEX "idempotency_records_decided_expires_at_idx" ON "idempotency_records"("expires_at") WHERE (NOT mirrored);
