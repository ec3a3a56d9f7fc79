import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { memoryOf, runMigrate } from '../support/migrating.ts';

const gone = () =>
  new DriverError('STORE_NOT_FOUND', 'The store is gone.', { driver: 'memory', operation: 'list' });

describe('migrate, when the listing ends with an error', () => {
  let folder: string;
  const former = process.env['TMPDIR'];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'regtool-test-'));
    process.env['TMPDIR'] = folder;
  });

  afterEach(() => {
    if (former === undefined) {
      delete process.env['TMPDIR'];
    } else {
      process.env['TMPDIR'] = former;
    }
    rmSync(folder, { recursive: true });
  });

  it('leaves neither a file nor a handle of a plan that was too large for memory', async () => {
    const registry = new RegistryBuilder();
    registry.push('a', 'v1', registry.image());
    for (let index = 0; index < 20; index += 1) {
      registry.foreign(`other/${String(index).padStart(2, '0')}${'x'.repeat(1024 * 1024)}`);
    }
    registry.foreign('then/this');
    let filesMeanwhile = 0;
    const source = withHooks(memoryOf(registry.objects), {
      before: ({ operation, key }) => {
        if (operation === 'list' && key === 'then/') {
          filesMeanwhile = openFilesIn(folder).length;
          throw gone();
        }
      },
    });
    const migrating = runMigrate(source, openMemory(), { includeForeign: true });
    await expect(migrating).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    expect(filesMeanwhile).toBe(1);
    expect(openFilesIn(folder)).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('begins no further listing', async () => {
    const registry = new RegistryBuilder();
    for (let index = 0; index < 70; index += 1) {
      registry.push(`r${index}`, 'v1', registry.image());
    }
    const listed: string[] = [];
    const source = withHooks(memoryOf(registry.objects), {
      before: ({ operation, key }) => {
        if (operation === 'list') {
          listed.push(key);
          throw gone();
        }
      },
    });
    await expect(runMigrate(source, openMemory(), { concurrency: 2 })).rejects.toMatchObject({
      code: 'STORE_NOT_FOUND',
    });
    const atTheEnd = listed.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(atTheEnd).toBeLessThanOrEqual(2);
    expect(listed.length).toBe(atTheEnd);
  });
});

/** The files below a folder that this process has open, also those without a name any more (Linux). */
function openFilesIn(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((handle) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${handle}`);
      return path.startsWith(folder) ? [path] : [];
    } catch {
      // The handle of the folder that is being read is closed by now.
      return [];
    }
  });
}
