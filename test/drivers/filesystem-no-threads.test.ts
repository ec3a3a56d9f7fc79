import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type * as threads from 'node:worker_threads';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { listAll } from './contract.ts';

const started = vi.hoisted(() => ({ tries: 0, code: '' }));

/** As Node does where the system allows no further thread. */
vi.mock('node:worker_threads', async (original) => {
  function Worker(): never {
    started.tries += 1;
    throw Object.assign(new Error('Worker initialization failure: EAGAIN'), { code: started.code });
  }
  return { ...(await original<typeof threads>()), Worker };
});

let root: string;
beforeEach(() => {
  started.tries = 0;
  root = mkdtempSync(path.join(tmpdir(), 'regtool-no-threads-'));
  for (const folder of ['a', 'b', 'c']) {
    mkdirSync(path.join(root, folder));
    for (let file = 0; file < 130; file += 1) {
      writeFileSync(path.join(root, folder, String(file)), '');
    }
  }
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

it('lists in this thread where the system allows no other, and does not ask for one each time', async () => {
  started.code = 'ERR_WORKER_INIT_FAILED';
  const driver = await openFilesystem({ root, walker: { patienceMs: 0, cores: 2 } });
  expect((await listAll(driver)).length).toBe(390);
  expect((await listAll(driver, 'b/')).length).toBe(130);
  expect(started.tries).toBeLessThanOrEqual(1);
  await driver.close();
});

it('tells of any other reason why a thread does not start', async () => {
  started.code = 'ERR_SOMETHING_ELSE';
  const driver = await openFilesystem({ root, walker: { patienceMs: 0, cores: 2 } });
  await expect(listAll(driver)).rejects.toThrow('ERR_SOMETHING_ELSE');
  await driver.close();
});
