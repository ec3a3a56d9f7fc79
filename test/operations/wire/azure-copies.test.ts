import { afterEach, expect, test, vi } from 'vitest';
import { blobKey } from '../../../fixtures/keys.ts';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { exitCodeOf } from '../../../src/cli/migrate-exit-code.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { openMemory } from '../../../src/drivers/memory.ts';
import { withRetry } from '../../../src/drivers/with-retry.ts';
import { contentOfDriver } from '../../crash/crashing.ts';
import { createContainer, describeWithServers } from '../../servers/index.ts';
import { type Fault, type ProxiedRequest, startFaultingProxy } from '../../support/faulting-proxy.ts';
import { runMigrate } from '../../support/migrating.ts';
import { openContainer } from '../../support/own-stores.ts';
import { brokenTags } from '../../support/pullable.ts';

vi.setConfig({ testTimeout: 120_000 });

/** Above what is always read and written. */
const LARGE_BYTES = 300 * 1024;

type Step = 'Put Blob From URL' | 'Copy Blob From URL' | 'Abort Copy Blob' | undefined;

function stepOf({ method, headers }: ProxiedRequest): Step {
  if (headers['x-ms-copy-action'] === 'abort') {
    return 'Abort Copy Blob';
  }
  if (method !== 'PUT' || !('x-ms-copy-source' in headers)) {
    return undefined;
  }
  return 'x-ms-blob-type' in headers ? 'Put Blob From URL' : 'Copy Blob From URL';
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) {
    await close();
  }
});

describeWithServers('migrate to another root of a container in Azure', ['azurite'], (servers) => {
  /** A registry below `old/`, to be copied to `new/` by the service itself, but for what is done to its requests. */
  async function migrate(faults: Partial<Record<NonNullable<Step>, Fault>>) {
    const container = await createContainer(servers.azurite);
    const service = new URL(servers.azurite.serviceUrl);
    const proxy = await startFaultingProxy(service.origin);
    closing.push(() => proxy.stop());
    const openAt = async (root: string): Promise<Driver> => {
      const driver = await openContainer(servers.azurite, container, {
        root,
        serviceUrl: `${proxy.endpoint}${service.pathname}`,
      });
      closing.push(() => driver.close());
      return withRetry(driver, { attempts: 2, sleep: async () => {} });
    };
    const [source, target] = [await openAt('old/'), await openAt('new/')];
    const registry = new RegistryBuilder({ seed: 'roots' });
    const { layers } = registry.push('app', 'v1', registry.image({ layers: 1, layerBytes: LARGE_BYTES }));
    await registry.writeTo(source);
    const seen: Step[] = [];
    proxy.faultWith((request) => {
      const step = stepOf(request);
      seen.push(step);
      return step === undefined ? undefined : faults[step];
    });
    const result = await runMigrate(source, target);
    const largeLayer = layers.find(({ bytes }) => bytes.length > LARGE_BYTES / 2)?.digest ?? '';
    return {
      exitCode: exitCodeOf(result),
      failed: result.tally.failures.map(({ key }) => key),
      steps: [...new Set(seen)].filter((step) => step !== undefined),
      large: blobKey(largeLayer),
      complete: await contentOfDriver(openMemory({ objects: registry.objects })),
      content: await contentOfDriver(target),
      broken: await brokenTags(target),
    };
  }

  const copied = (state: string): Fault => ({
    kind: 'answer',
    status: 202,
    headers: { 'x-ms-copy-status': state, 'x-ms-copy-id': 'c0ffee00-0000-4000-8000-000000000000' },
  });

  test('is done by the service, and complete', async () => {
    const { exitCode, steps, content, complete } = await migrate({});
    expect(exitCode).toBe(0);
    expect(steps).toEqual(['Put Blob From URL', 'Copy Blob From URL']);
    expect(content).toEqual(complete);
  });

  test.each<[string, Partial<Record<NonNullable<Step>, Fault>>]>([
    ['a copy that is accepted and has failed', { 'Copy Blob From URL': copied('failed') }],
    ['a copy that is accepted and was aborted', { 'Copy Blob From URL': copied('aborted') }],
    [
      'a copy that is an error behind 201',
      {
        'Put Blob From URL': {
          kind: 'answer',
          status: 201,
          headers: { 'content-type': 'application/xml' },
          body: '<?xml version="1.0"?><Error><Code>CannotVerifyCopySource</Code><Message>x</Message></Error>',
        },
      },
    ],
  ])('names the object of %s, and nothing is published of it', async (_, faults) => {
    const { exitCode, failed, large, content, broken } = await migrate(faults);
    expect(exitCode).toBe(4);
    expect(failed).toContain(large);
    expect([...content.keys()].filter((key) => key === large || key.includes('/tags/'))).toEqual([]);
    expect(broken).toEqual([]);
  });

  test('ends a copy in the background, and copies the bytes itself', async () => {
    const { exitCode, steps, content, complete } = await migrate({
      'Copy Blob From URL': copied('pending'),
      'Abort Copy Blob': { kind: 'answer', status: 204 },
    });
    expect(exitCode).toBe(0);
    expect(steps).toContain('Abort Copy Blob');
    expect(content).toEqual(complete);
  });
});
