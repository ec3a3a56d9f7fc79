import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { blobKey, currentKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { presentVerify, verifyJson } from '../../src/cli/present-verify.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { verify } from '../../src/operations/verify.ts';
import type { Problem } from '../../src/operations/verify/records.ts';

const facts = { durationMs: 1234, retries: 2 };

function stores() {
  const registry = new RegistryBuilder({ seed: 'present' });
  const image = registry.push('shop/web', '1.0', registry.image());
  const source = openMemory({ objects: registry.objects });
  const target = openMemory({ objects: registry.objects });
  return { image, source, target };
}

async function present(source: Driver, target: Driver, options: { looksMax?: number } = {}) {
  const result = await verify(source, target, {
    readData: undefined,
    concurrency: 2,
    observer: silentObserver,
    ...options,
  });
  const lines = presentVerify(result, source, target, facts);
  return { lines, text: lines.join('\n'), json: verifyJson(result, source, target, facts) };
}

/** A target whose listing of this prefix fails. */
function unlisted(driver: Driver, part: string): Driver {
  return {
    ...driver,
    list(prefix, options) {
      if (prefix.includes(part)) {
        throw new DriverError('UNAVAILABLE', 'It says 503 \u001b[31m.', {
          driver: 'memory',
          operation: 'list',
        });
      }
      return driver.list(prefix, options);
    },
  };
}

test('what is newer is in the verdict, and named', async () => {
  const { source, target } = stores();
  await target.delete([currentKey('shop/web', '1.0')]);
  const deleting: Driver = {
    ...source,
    stat: async (key) => (key.includes('current') ? undefined : source.stat(key)),
    // It is in the first listing, and no longer when it is looked for by itself.
    async *list(prefix, options) {
      if (!prefix.includes('current')) {
        yield* source.list(prefix, options);
      }
    },
  };
  const { lines, text } = await present(deleting, target);
  expect(lines[0]).toMatch(/^VERIFIED: .*, but for 1 object newer than this verification\. /);
  expect(text).toContain('Newer than this verification: 1 object');
  expect(text).toContain('  shop/web tag 1.0: deleted at the source');
});

test('what could not be read forbids the word VERIFIED in front', async () => {
  const { image, source, target } = stores();
  const { lines, text, json } = await present(source, unlisted(target, `/${image.digest.slice(7, 9)}/`));
  expect(lines[0]).toBe('NOT VERIFIED: 1 part could not be read; no difference was found in the rest.');
  expect(text).toContain('  target docker/registry/v2/blobs/sha256/');
  expect(text).not.toContain('\u001b');
  expect(json).toMatchObject({ verdict: 'incomplete', unread: { total: 1 }, retries: 2, durationMs: 1234 });
});

test('differences beside it come first', async () => {
  const { image, source, target } = stores();
  await target.delete([currentKey('shop/web', '1.0')]);
  const { lines } = await present(source, unlisted(target, `/${image.digest.slice(7, 9)}/`));
  expect(lines[0]).toBe(
    'DIFFERENT: 1 difference: 1 tag missing at the target; and 1 part could not be read.',
  );
});

test('each kind of difference has its words and its advice', async () => {
  const { image, source, target } = stores();
  target.objects.set(blobKey(image.digest), image.manifestBytes.subarray(1));
  target.objects.set(currentKey('shop/old', '1.0'), Buffer.from(image.digest));
  const { lines, text } = await present(source, target);
  expect(lines[0]).toBe('DIFFERENT: 2 differences: 1 blob of another size, 1 tag extra at the target.');
  expect(text).toContain(
    [
      `    ${image.digest}: of another size`,
      `      source ${image.manifestBytes.length} bytes`,
      `      target ${image.manifestBytes.length - 1} bytes`,
    ].join('\n'),
  );
  expect(text).toContain('`regtool migrate --delete` removes what is extra.');
  expect(text).toContain('took 1.2 s, 2 requests repeated');
});

test('says when differences were not looked at again', async () => {
  const { image, source, target } = stores();
  await target.delete([currentKey('shop/web', '1.0'), blobKey(image.digest)]);
  const { text } = await present(source, target, { looksMax: 1 });
  expect(text).toContain('1 difference as listed');
});

test('the documentation has a heading for each kind of difference, and for no other', () => {
  const problems: Record<Problem, true> = {
    missing: true,
    extra: true,
    size: true,
    content: true,
    'corrupt-at-target': true,
    'corrupt-at-source': true,
    'corrupt-at-both': true,
  };
  const page = readFileSync(new URL('../../docs/verify.md', import.meta.url), 'utf8');
  const headings = Array.from(page.matchAll(/^### (.+)$/gm), ([, heading]) => heading);
  expect(headings).toEqual(Object.keys(problems));
});
