import { defineConfig } from 'prisma/config'

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  experimental: { externalTables: true },
  // Those of the plugins, which have migrations of their own.
  tables: { external: ['public.idempotency_records', 'public.held_locks', 'public.lock_force_releases', 'public.schedules', 'public.scheduler_runs', 'public.holdfast_migrations'] }
})
