import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { exitCodeOf } from '../../../src/cli/migrate-exit-code.ts';
import { presentCheck } from '../../../src/cli/present-check.ts';
import { presentPlan, presentResult } from '../../../src/cli/present-migrate.ts';
import { presentVerify } from '../../../src/cli/present-verify.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { isDriverError } from '../../../src/drivers/errors.ts';
import { openFilesystem } from '../../../src/drivers/filesystem.ts';
import { openMemory } from '../../../src/drivers/memory.ts';
import type { MigrateOptions } from '../../../src/operations/migrate.ts';
import { silentObserver } from '../../../src/operations/observer.ts';
import { verify } from '../../../src/operations/verify.ts';
import { contentOfDriver } from '../../crash/crashing.ts';
import { describeWithServers } from '../../servers/index.ts';
import { createTemporaryFolder } from '../../servers/process.ts';
import { deleteAnything, runMigrate } from '../../support/migrating.ts';
import { brokenTags } from '../../support/pullable.ts';
import { azureKind, s3Kind, type WireStore } from '../../support/wire-stores.ts';
import { observe } from '../check/observe.ts';

vi.setConfig({ testTimeout: 120_000 });

const facts = { durationMs: 0, retries: 0, dryRun: false };
const V2 = 'docker/registry/v2/';
const DIGEST = '5'.repeat(64);

/**
 * Names of one component or several, each with something that has another meaning somewhere else. Those that begin with
 * a control character come first in a listing, and so among those that are shown.
 */
const oddNames: readonly string[] = [
  ...Array.from({ length: 0x1f }, (_, code) => `${String.fromCodePoint(code + 1)} is how it begins`),
  'delete \u007f and C1 \u0085\u009b31m',
  'red \u001b[31m and a title \u001b]0;mine\u0007',
  'a\rb',
  'line\nbreak: VERIFIED',
  'right to left \u202e override, and none \u200b at all',
  'no character in XML \ufffe\uffff',
  '%2e%2e%2f and %00 and %',
  'a+b c&d=e?f#g;h',
  '<Key>&amp;]]>"\'',
  'back\\slash\\..\\up',
  'C:drive',
  'émoji \u{1f600} and é apart, e\u0301',
  '..',
  '.',
  '../escaped',
  '../../../../../../../../escaped',
  'down/../../escaped',
  'down/./here',
  '/escaped',
  '//escaped',
  'two//slashes',
  'at the end/',
  'at the end//',
  '-rf',
  '~root',
  '$(escaped)',
];

/** Places at which a registry, or nobody, looks. */
const places: readonly string[] = [
  '',
  'docker/',
  V2,
  `${V2}blobs/sha256/`,
  `${V2}repositories/`,
  `${V2}repositories/shop/_manifests/tags/`,
];

/** Under a name, a link that looks like a tag's would to somebody who only looks at its end. */
const oddKeys: readonly string[] = [
  ...places.flatMap((place, index) =>
    oddNames.filter((_, nth) => nth % places.length === index || nth >= 0x1f).map((name) => place + name),
  ),
  `${V2}repositories/shop/_manifests/tags/../../../../../../../escaped/current/link`,
  `${V2}repositories/../../../../escaped/_layers/sha256/${DIGEST}/link`,
  `${V2}blobs/sha256/55/../../../../../../escaped/data`,
  `/${V2}blobs/sha256/55/${DIGEST}/data`,
];

function registry(): RegistryBuilder {
  const builder = new RegistryBuilder({ seed: 'keys' });
  builder.push('shop', 'v1', builder.image({ layers: 1 }));
  builder.push('multi', 'latest', builder.index([builder.image({ layers: 1 })]));
  return builder;
}

/** Writes those that the store can hold. */
async function fillOddly(driver: Driver): Promise<string[]> {
  await registry().writeTo(driver);
  const written: string[] = [];
  for (const key of oddKeys) {
    try {
      await driver.write(key, Buffer.from(`odd: ${key}`));
      written.push(key);
    } catch (error) {
      if (!isDriverError(error, 'INVALID_KEY')) {
        throw new Error(JSON.stringify(key), { cause: error });
      }
    }
  }
  return written;
}

async function migrateAndTell(source: Driver, target: Driver, options: Partial<MigrateOptions>) {
  const lines: string[] = [];
  const result = await runMigrate(source, target, {
    ...options,
    approve: async (plan) => {
      lines.push(...presentPlan(plan, source, target));
      return true;
    },
  });
  lines.push(...presentResult(result, facts));
  return { exitCode: exitCodeOf(result), lines, result };
}

async function verifyAndTell(source: Driver, target: Driver) {
  const options = { readData: undefined, concurrency: 8, observer: silentObserver };
  const result = await verify(source, target, options);
  return { verdict: result.verdict, lines: presentVerify(result, source, target, facts) };
}

/** Characters that a terminal obeys, or that change what stands beside them. */
const obeyed = (lines: readonly string[]): string[] =>
  lines.filter((line) => /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(line));

for (const kind of [s3Kind, azureKind]) {
  describeWithServers(
    `keys that ${kind.name} holds and that mean something elsewhere`,
    [kind.name === 'S3' ? 'rgw' : 'azurite'],
    (servers) => {
      const folder = createTemporaryFolder('regtool-keys');
      const root = join(folder.path, 'outer', 'root');
      let store: WireStore;
      let odd: string[];
      let held: Map<string, string>;
      beforeAll(async () => {
        store = await kind.open(servers);
        odd = await fillOddly(store.direct);
        held = await contentOfDriver(store.direct);
      });
      afterAll(async () => {
        await store.close();
        folder.remove();
      });

      /** The folder that is the target, and nothing besides it, may have been written to. */
      function outside(): string[] {
        const paths = readdirSync(folder.path, { recursive: true }).map(String);
        return paths.filter(
          (path) => path !== 'outer' && path !== 'outer/root' && !path.startsWith('outer/root/'),
        );
      }

      async function openRoot(): Promise<Driver> {
        mkdirSync(root, { recursive: true });
        return openFilesystem({ root });
      }

      test('are held and listed as they are', () => {
        expect(odd.length).toBeGreaterThan(oddKeys.length / 3);
        expect([...held.keys()].filter((key) => odd.includes(key)).sort()).toEqual([...new Set(odd)].sort());
      });

      test.each([false, true])(
        'are not followed into a folder (with foreign files: %s)',
        async (includeForeign) => {
          const target = await openRoot();
          const options = { delete: deleteAnything, includeForeign };
          const dry = await migrateAndTell(store.driver, target, { ...options, dryRun: true });
          expect(readdirSync(root)).toEqual([]);
          const { exitCode, lines, result } = await migrateAndTell(store.driver, target, options);
          expect(obeyed([...dry.lines, ...lines])).toEqual([]);
          expect(outside()).toEqual([]);
          expect(await brokenTags(target)).toEqual([]);
          // What a folder cannot hold is named, and what it can is there as it was.
          const copied = await contentOfDriver(target);
          for (const [key, content] of copied) {
            expect([key, content]).toEqual([key, held.get(key)]);
          }
          const lacking = [...registry().objects.keys()].filter((key) => !copied.has(key));
          expect(lacking).toEqual([]);
          const named = new Set(result.records.map(({ key }) => key));
          const unnamed = includeForeign
            ? odd.filter((key) => !key.endsWith('/') && key.startsWith('docker/registry/'))
            : [];
          expect(unnamed.filter((key) => !copied.has(key) && !named.has(key))).toEqual([]);
          expect([0, 4]).toContain(exitCode);
          const verified = await verifyAndTell(store.driver, target);
          expect(obeyed(verified.lines)).toEqual([]);
          const content = result.records.filter(
            ({ outcome, kind: of }) => outcome === 'failed' && of !== 'foreign',
          );
          expect(verified.verdict).toBe(content.length === 0 ? 'verified' : 'different');
          expect(outside()).toEqual([]);
          await target.close();
          folder.remove();
        },
      );

      test('are left where they are at a target, and shown escaped', async () => {
        const source = openMemory({ objects: registry().objects });
        const options = { delete: deleteAnything };
        const dry = await migrateAndTell(source, store.driver, { ...options, dryRun: true });
        const { exitCode, lines } = await migrateAndTell(source, store.driver, options);
        expect(obeyed([...dry.lines, ...lines])).toEqual([]);
        expect(exitCode).toBe(0);
        expect(await contentOfDriver(store.direct)).toEqual(held);
        const verified = await verifyAndTell(source, store.driver);
        expect(verified.verdict).toBe('verified');
        expect(obeyed(verified.lines)).toEqual([]);
      });

      test('are named by a check, and shown escaped', async () => {
        const result = await observe(store.driver);
        const lines = presentCheck(result, {
          ...facts,
          location: store.driver.location,
          readData: undefined,
        });
        expect(obeyed(lines)).toEqual([]);
        expect(result.tags).toMatchObject({ pullable: 2, notPullable: 0 });
        expect(result.unread).toEqual([]);
        expect(result.verdict).toBe('warnings');
      });
    },
  );
}
