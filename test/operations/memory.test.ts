import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const OBJECTS = 400_000;
/** The objects' keys alone would take more than this. */
const HEAP_MEGABYTES = 72;

describe('planning a migration', () => {
  it.each(['first', 'equal'])(
    'takes no memory for each object: %s pass over 400,000 in a heap that could not hold their keys',
    async (pass) => {
      const { stdout } = await run(process.execPath, [
        `--max-old-space-size=${HEAP_MEGABYTES}`,
        '--import',
        'tsx',
        'test/support/scan-program.ts',
        String(OBJECTS),
        pass,
      ]);
      const counts: unknown = JSON.parse(stdout);
      // 4,000 repositories of 63 links, and 256 folders of 578 blobs.
      const objects = 4000 * 63 + 256 * 578;
      expect(counts).toEqual({
        source: objects,
        copy: pass === 'first' ? objects : 0,
        equal: pass === 'equal' ? objects : 0,
        notListed: 0,
      });
    },
  );
});
