import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'vitest';

const run = promisify(execFile);

/** Migrates, or verifies, a repository with so many tags, in a heap of so many MB. */
export async function expectManyTags(
  command: 'migrate' | 'verify',
  tags: number,
  heapMegabytes: number,
): Promise<void> {
  const { stdout } = await run(process.execPath, [
    `--max-old-space-size=${heapMegabytes}`,
    '--import',
    'tsx',
    'test/support/migrate-tags-program.ts',
    command,
    String(tags),
  ]);
  expect(JSON.parse(stdout)).toMatchObject(
    // Each has a link that says what it stands for, and one in its index.
    command === 'verify' ? { verdict: 'verified' } : { end: 'done', failed: 0, written: 2 * tags },
  );
}
