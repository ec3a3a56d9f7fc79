import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'vitest';

const run = promisify(execFile);

/** Checks a repository with so many tags, of which one is broken, in a heap of so many MB. */
export async function expectManyTags(
  tags: number,
  telling: 'content' | 'md5',
  heapMegabytes: number,
): Promise<void> {
  const { stdout } = await run(process.execPath, [
    `--max-old-space-size=${heapMegabytes}`,
    '--import',
    'tsx',
    'test/support/check-tags-program.ts',
    String(tags),
    telling,
  ]);
  const images = 100;
  expect(JSON.parse(stdout)).toMatchObject({
    counts: { total: tags + images, pullable: tags + images - 1, notPullable: 1, unknown: 0 },
    errors: ['tag-current-missing'],
  });
}
