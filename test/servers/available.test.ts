import { afterEach, expect, test, vi } from 'vitest';
import { available } from './available.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('names each missing program and the packages that bring them', () => {
  vi.stubEnv('PATH', '/nonexistent');
  expect(available('docker-registry', 'skopeo')).toEqual({
    ok: false,
    reason:
      'needs docker-registry, skopeo, install with: ' +
      'apt-get install --no-install-recommends docker-registry && ' +
      'apt-get install --no-install-recommends skopeo',
  });
});

test('finds azurite among the packages of this repository, not on the path', () => {
  vi.stubEnv('PATH', '/nonexistent');
  expect(available('azurite')).toEqual({ ok: true });
});
