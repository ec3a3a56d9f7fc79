import { describe, expect, it } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver, OtherRoot } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { withLimits } from '../../src/drivers/with-limits.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import { check } from '../../src/operations/check.ts';
import { SafetyRefusal } from '../../src/operations/errors.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { assertRootIsDecided } from '../../src/operations/other-root.ts';
import { assertRegistryRoot } from '../../src/operations/registry-root.ts';
import { verify } from '../../src/operations/verify.ts';
import { runMigrate } from '../support/migrating.ts';

function registry(): MemoryDriver {
  const builder = new RegistryBuilder();
  builder.push('a', 'v1', builder.image());
  return openMemory({ objects: builder.objects });
}

/** A store as a container in Azure is: what lies under the other root is seen only there. */
function container(here: Driver, there: Driver, decided = false): Driver {
  const identity = { ...here.identity, root: '' };
  const elsewhere = { ...there, identity: { ...here.identity, root: '/' } };
  const other: OtherRoot = {
    root: '/',
    setting: 'legacyrootprefix=true',
    ruledOut: decided,
    open: () => elsewhere,
  };
  return { ...here, location: 'azure://c', identity, otherRoots: [other] };
}

async function refusalOf(action: Promise<unknown>): Promise<SafetyRefusal> {
  try {
    await action;
  } catch (error) {
    if (error instanceof SafetyRefusal) {
      return error;
    }
    throw error;
  }
  throw new Error('expected a SafetyRefusal');
}

describe('a container with a registry under the root that was not named', () => {
  it.each([
    ['as it is', (store: Driver) => store],
    ['behind the wrappers', (store: Driver) => withRetry(withLimits(store, {}))],
  ])('is no source, and the refusal says where it lies and what to name (%s)', async (_, wrap) => {
    const source = wrap(container(openMemory(), registry()));
    const target = openMemory();
    const refusal = await refusalOf(runMigrate(source, target));
    expect(refusal.code).toBe('OTHER_ROOT');
    expect(refusal.message).toContain('begin with "/docker/registry/v2/"');
    expect(refusal.message).toContain('legacyrootprefix=true');
    expect(refusal.message).toContain('trimlegacyrootprefix: false');
    expect(target.objects.size).toBe(0);
  });

  it('is no source even when another registry lies where it was named', async () => {
    const refusal = await refusalOf(runMigrate(container(registry(), registry()), openMemory()));
    expect(refusal.message).toContain('another registry lies at "docker/registry/v2/"');
  });

  it('is no target, and nothing is written', async () => {
    const here = openMemory();
    const refusal = await refusalOf(runMigrate(registry(), container(here, registry())));
    expect(refusal.code).toBe('OTHER_ROOT');
    expect(refusal.message).toContain('The target azure://c holds a registry');
    expect(here.objects.size).toBe(0);
  });

  it('is a target when the settings decide where to write', async () => {
    const here = openMemory();
    const source = registry();
    await runMigrate(source, container(here, registry(), true));
    expect([...here.objects.keys()].sort()).toEqual([...source.objects.keys()].sort());
  });

  it('is no source when the settings decide wrongly, and the refusal says where it lies', async () => {
    const store = container(openMemory(), registry(), true);
    const refusal = await refusalOf(assertRegistryRoot(store, 'source', {}));
    expect(refusal.code).toBe('NOT_A_REGISTRY');
    expect(refusal.message).toContain('begin with "/docker/registry/v2/"');
    expect(refusal.message).toContain('legacyrootprefix=true');
  });

  it('is a target when that registry is the very source', async () => {
    const source = registry();
    const target = container(openMemory(), source);
    const besides = { ...target.identity, root: '/' };
    await expect(assertRootIsDecided(target, 'target', { besides })).resolves.toBeUndefined();
    await expect(
      assertRootIsDecided(target, 'target', { besides: { ...besides, container: 'another' } }),
    ).rejects.toThrow(SafetyRefusal);
  });

  it('counts as empty where it may not be looked at', async () => {
    const denied = new DriverError('PERMISSION_DENIED', 'No.', { driver: 'azure', operation: 'list' });
    const forbidden = { ...openMemory(), listFolder: () => Promise.reject(denied) };
    await expect(assertRegistryRoot(container(registry(), forbidden), 'source', {})).resolves.toMatchObject({
      exists: true,
    });
  });
});

describe('check', () => {
  const ignore = async (): Promise<void> => {};
  const observer = { ...silentObserver, finding: ignore, brokenTag: ignore, unread: ignore };
  const options = { concurrency: 4, nowMs: 0, observer };

  it('takes none of two roots in silence, and says where a registry is that it does not find', async () => {
    const undecided = await refusalOf(check(container(openMemory(), registry()), options));
    expect(undecided.code).toBe('OTHER_ROOT');
    const decided = await refusalOf(check(container(openMemory(), registry(), true), options));
    expect(decided.code).toBe('NOT_A_REGISTRY');
    expect(decided.message).toContain('legacyrootprefix=true');
  });
});

describe('verify', () => {
  const options = { concurrency: 4, readData: undefined, observer: silentObserver };

  it('says where a registry lies that is not where the target is said to be', async () => {
    const target = container(openMemory(), registry(), true);
    const { targetAdvice, verdict } = await verify(registry(), target, options);
    expect(verdict).toBe('different');
    expect(targetAdvice).toContain('keys begin with "/docker/registry/v2/"');
    expect(targetAdvice).toContain('legacyrootprefix=true');
  });

  it('does not take the source for it', async () => {
    const target = container(openMemory(), registry(), true);
    const source = target.otherRoots?.[0]?.open() ?? target;
    const { targetAdvice } = await verify(source, target, options);
    expect(targetAdvice).toBe('It is empty: check the name, and that its disk is mounted.');
  });

  it('goes on where the target may not be looked around in', async () => {
    const denied = new DriverError('PERMISSION_DENIED', 'No.', { driver: 'azure', operation: 'list' });
    const other = openMemory({ objects: [['private/file', new Uint8Array(1)]] });
    const target: Driver = {
      ...other,
      listFolder: (folder, callOptions) =>
        folder === 'private/' ? Promise.reject(denied) : other.listFolder(folder, callOptions),
    };
    expect(await verify(registry(), target, options)).toMatchObject({
      targetAdvice: undefined,
      verdict: 'different',
    });
  });
});

describe('two roots of one container', () => {
  /** Views of one memory store below two prefixes. */
  function views(sourceRoot: string, targetRoot: string): [Driver, Driver] {
    const at = (driver: Driver, root: string): Driver => ({
      ...driver,
      identity: { service: 'memory:shared', container: 'c', root },
      location: `memory:/${root}`,
    });
    return [at(registry(), sourceRoot), at(openMemory(), targetRoot)];
  }

  it.each([
    ['', '/'],
    ['/', ''],
    ['', 'new/root/'],
    ['old/', ''],
    ['a/', 'a/b/'],
  ])('from %j to %j is a migration like any other, deletes included', async (from, to) => {
    const [source, target] = views(from, to);
    const result = await runMigrate(source, target, { delete: { max: { objects: 0 } } });
    expect(result.end).toEqual({ kind: 'done' });
    expect((await target.listFolder('docker/registry/v2/')).folders).toHaveLength(2);
  });

  it.each([
    ['', 'docker/registry/v2/'],
    ['docker/', ''],
    ['a/', 'a/docker/x/'],
  ])('from %j to %j is refused, as one would be inside of the other', async (from, to) => {
    const refusal = await refusalOf(runMigrate(...views(from, to)));
    expect(refusal.code).toBe('STORES_OVERLAP');
  });

  it('is refused with foreign files, which could be those of the other', async () => {
    const refusal = await refusalOf(runMigrate(...views('', 'new/'), { includeForeign: true }));
    expect(refusal.code).toBe('STORES_OVERLAP');
  });
});
