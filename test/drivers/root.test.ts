import { describe, expect, test } from 'vitest';
import { LocationError } from '../../src/drivers/location.ts';
import { azureRoot, s3Root } from '../../src/drivers/root.ts';

const path = 'docker/registry/v2/blobs/sha256/ab/abc/data';

describe('s3Root', () => {
  test.each([
    ['', path],
    ['/', path],
    ['//', path],
    ['foo', `foo/${path}`],
    ['/foo', `foo/${path}`],
    ['foo/', `foo/${path}`],
    ['/foo/', `foo/${path}`],
    ['//foo', `foo/${path}`],
    ['a//b', `a//b/${path}`],
    ['a b/ü', `a b/ü/${path}`],
  ])('with rootdirectory %j a blob has the key %j', (rootdirectory, key) => {
    expect(s3Root(rootdirectory) + path).toBe(key);
  });
});

describe('azureRoot', () => {
  const roots = [
    ['', ''],
    ['/', ''],
    ['opt', 'opt/'],
    ['/opt', 'opt/'],
    ['/opt/', 'opt/'],
    ['/opt////', 'opt/'],
    ['/azure/virtual/container', 'azure/virtual/container/'],
    ['/azure/virtual/container/', 'azure/virtual/container/'],
  ] as const;

  test.each(roots)('standard layout: rootdirectory %j gives the prefix %j', (rootdirectory, prefix) => {
    expect(azureRoot({ rootdirectory })).toBe(prefix);
  });

  test.each(roots)('legacy layout: rootdirectory %j gives "/" and %j', (rootdirectory, prefix) => {
    expect(azureRoot({ rootdirectory, legacyrootprefix: true })).toBe(`/${prefix}`);
  });

  test.each([
    { trim: undefined, legacy: undefined, prefix: 'opt/' },
    { trim: undefined, legacy: false, prefix: 'opt/' },
    { trim: undefined, legacy: true, prefix: '/opt/' },
    { trim: true, legacy: undefined, prefix: 'opt/' },
    { trim: false, legacy: undefined, prefix: '/opt/' },
    { trim: true, legacy: false, prefix: 'opt/' },
    { trim: false, legacy: true, prefix: '/opt/' },
  ])('trimlegacyrootprefix $trim and legacyrootprefix $legacy give $prefix', ({ trim, legacy, prefix }) => {
    const options = { rootdirectory: 'opt', trimlegacyrootprefix: trim, legacyrootprefix: legacy };
    expect(azureRoot(options)).toBe(prefix);
  });

  test.each([true, false])('both parameters %j contradict each other', (value) => {
    const options = { rootdirectory: '', trimlegacyrootprefix: value, legacyrootprefix: value };
    expect(() => azureRoot(options)).toThrow(LocationError);
    expect(() => azureRoot(options)).toThrow(/contradict each other/);
  });
});
