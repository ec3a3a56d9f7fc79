import type { Driver } from '../../src/drivers/driver.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { migrate, type MigrateOptions, type MigrateResult } from '../../src/operations/migrate.ts';
import type { MaxDelete } from '../../src/operations/migrate/guards.ts';
import { type ReportRecord, silentObserver } from '../../src/operations/observer.ts';
import { disposePlan } from '../../src/operations/migrate/plan.ts';

export interface Migrated extends MigrateResult {
  records: ReportRecord[];
}

/** Runs a migration with harmless defaults, and keeps what it reported. */
export async function runMigrate(
  source: Driver,
  target: Driver,
  options: Partial<MigrateOptions> = {},
): Promise<Migrated> {
  const records: ReportRecord[] = [];
  const result = await migrate(source, target, {
    dryRun: false,
    delete: undefined,
    includeForeign: false,
    includeIncomplete: false,
    concurrency: 8,
    observer: {
      ...silentObserver,
      record: async (record) => {
        records.push(record);
      },
    },
    approve: async () => true,
    ...options,
  });
  await disposePlan(result.plan);
  return { ...result, records };
}

/** Any plan may delete everything: for tests of what is deleted, not of the guard. */
export const deleteAnything: { max: MaxDelete } = { max: { percent: 100 } };

export function memoryOf(objects: ReadonlyMap<string, Uint8Array>): MemoryDriver {
  return openMemory({ objects, pageSize: 10 });
}

/** What a store serves: everything but uploads, markers and what is not below `docker/registry/`. */
export function contentOf(objects: ReadonlyMap<string, Uint8Array>): Map<string, string> {
  return new Map(
    [...objects]
      .filter(
        ([key]) => key.startsWith('docker/registry/') && !key.includes('/_uploads/') && !key.endsWith('/'),
      )
      .filter(([key]) => !key.endsWith('.tmp'))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, bytes]) => [key, Buffer.from(bytes).toString('base64')]),
  );
}
