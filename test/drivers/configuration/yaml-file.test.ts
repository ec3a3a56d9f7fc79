import { describe, expect, test } from 'vitest';
import { LocationError } from '../../../src/drivers/location.ts';
import { parseConfiguration } from '../../../src/drivers/configuration/read-configuration.ts';
import { parseYamlFile } from '../../../src/drivers/configuration/yaml-file.ts';

const storageOf = (text: string): unknown => parseYamlFile(text, 'config.yml').storage;

function failureOf(action: () => unknown): LocationError {
  try {
    action();
  } catch (error) {
    if (error instanceof LocationError) {
      return error;
    }
    throw error;
  }
  throw new Error('expected a LocationError');
}

describe('a YAML configuration', () => {
  test('may have its storage as inline JSON, as Omnibus writes it', () => {
    const text =
      'version: 0.1\nlog:\n  level: info\nstorage: {"s3":{"bucket":"b","region":"r","encrypt":true},"delete":{"enabled":true}}\nhttp:\n  addr: localhost:5000\n';
    expect(storageOf(text)).toEqual({
      s3: { bucket: 'b', region: 'r', encrypt: true },
      delete: { enabled: true },
    });
  });

  test.each([
    ['yes', true],
    ['off', false],
    ['True', true],
    ['"true"', 'true'],
    ['2024-01-02', '2024-01-02'],
    ['12:30', '12:30'],
    ['0755', 493],
    ['1_000', 1000],
    ['~', null],
    ['', null],
  ])('%s is read as Go reads YAML 1.1', (written, value) => {
    expect(storageOf(`storage:\n  x: ${written}\n`)).toEqual({ x: value });
  });

  test('may use anchors and merge keys', () => {
    const text = 'base: &base {region: r}\nstorage:\n  s3:\n    <<: *base\n    bucket: b\n';
    expect(storageOf(text)).toEqual({ s3: { region: 'r', bucket: 'b' } });
  });

  // As docker-registry 2.8.2 was seen to take them, but for the quoted one and those of lists and of merges in merges,
  // which go by yaml.v2's rules.
  test.each([
    ['before a key of the same name', 'storage: {s3: {<<: *base, region: own}}', { region: 'own' }],
    ['after a key of the same name', 'storage: {s3: {region: own, <<: *base}}', { region: 'r' }],
    ['of whole sections', 'storage: {s3: {region: own}, <<: {s3: *base}}', { region: 'r' }],
    ['of the whole file', '<<: {storage: {s3: *base}}', { region: 'r' }],
    ['twice', 'storage: {s3: {<<: *base, <<: {region: other}}}', { region: 'other' }],
    ['of a list', 'storage: {s3: {<<: [{a: 1}, {a: 2, b: 2}]}}', { a: 1, b: 2 }],
    ['within a merge', 'storage: {s3: {<<: {a: 1, <<: *base}}}', { a: 1, region: 'r' }],
    ['that is quoted, which is a name', 'storage: {s3: {"<<": *base}}', { '<<': { region: 'r' } }],
    [
      'before an anchor of a name that it has, too',
      'v: &d first\nstorage: {s3: {<<: {a: 0}, other: &d second, a: *d}}',
      { a: 'second', other: 'second' },
    ],
    ['over the anchor that it names', 'storage: {s3: &own {a: 1}, <<: {s3: *own}}', { a: 1 }],
    [
      'over an anchor that is used later',
      'storage: {s3: {region: &n own, <<: *base, a: *n}}',
      { region: 'r', a: 'own' },
    ],
  ])('takes a merge key where it stands: %s', (_, text, s3) => {
    expect(storageOf(`base: &base {region: r}\n${text}\n`)).toEqual({ s3 });
  });

  test('names the line of what was merged', () => {
    const file = parseYamlFile(
      'base: &base\n  bucket: b\nstorage:\n  s3:\n    bucket: a\n    <<: [*base]\n',
      'config.yml',
    );
    expect(file.where(['s3', 'bucket'])).toBe('config.yml:2');
  });

  test.each([
    '<<: text',
    '<<: *unknown',
    '<<: [text]',
    '<<:',
    '<<: *list',
    '<<: [[{a: 1}]]',
    'a: &a {<<: [*a, *a]}',
  ])('with a merge key that stands for no map is refused: %s', (text) => {
    const failure = failureOf(() => storageOf(`list: &list [{a: 1}]\nstorage: {x: {${text}}}\n`));
    expect(failure.code).toBe('CONFIGURATION_UNREADABLE');
    expect(failure.message).toMatch(/^config\.yml: .*merge key/);
  });

  test('may have a merge key that stands for no map where the registry does not look', () => {
    expect(storageOf('other: {<<: text}\nstorage: {a: 1}\n')).toEqual({ a: 1 });
  });

  test('that grows without end through merge keys is refused', () => {
    const levels = Array.from(
      { length: 16 },
      (_, index) => `l${index + 1}: &l${index + 1} {a: {<<: *l${index}}, b: {<<: *l${index}}}`,
    );
    const text = ['l0: &l0 {a: 1}', ...levels, 'storage: {<<: *l16}'].join('\n');
    expect(failureOf(() => storageOf(text)).code).toBe('CONFIGURATION_UNREADABLE');
  });

  test('of a repeated key the last counts, and of several documents the first', () => {
    expect(storageOf('storage: {a: 1, a: 2}\n---\nstorage: {b: 1}\n')).toEqual({ a: 2 });
  });

  test('of a repeated storage section the last counts, and is the one whose lines are named', () => {
    const first = 'storage:\n  filesystem:\n    rootdirectory: /first\n';
    const file = parseYamlFile(`${first}storage:\n  s3: {bucket: a}\n  s3:\n    bucket: b\n`, 'config.yml');
    expect(file.storage).toEqual({ s3: { bucket: 'b' } });
    expect(file.where([])).toBe('config.yml:4');
    expect(file.where(['s3', 'bucket'])).toBe('config.yml:7');
    // docker-registry 2.8.2: "no storage configuration provided".
    expect(storageOf(`${first}storage:\n`)).toBeNull();
  });

  test('that grows without end through aliases is refused', () => {
    const levels = Array.from(
      { length: 12 },
      (_, index) => `l${index + 1}: &l${index + 1} [${Array(10).fill(`*l${index}`).join(', ')}]`,
    );
    const text = ['l0: &l0 [x]', ...levels, 'storage: {s3: {bucket: *l12}}'].join('\n');
    expect(failureOf(() => storageOf(text)).message).toMatch(/aliases that are unknown or too many/);
  });

  test.each([
    ['storage:\n  s3:\n    secretkey: wJalrXUtnFEMI: x\n', 3],
    ['storage:\n\tsecretkey: wJalrXUtnFEMI\n', 2],
    ['storage: {secretkey: "wJalrXUtnFEMI}\n', 1],
    ['storage:\n  secretkey: wJalrXUtnFEMI\n bucket: b\n', 3],
  ])('that is broken is refused with its line, which is not shown: %j', (text, line) => {
    const failure = failureOf(() => storageOf(text));
    expect(failure.code).toBe('CONFIGURATION_UNREADABLE');
    expect(failure.message).not.toContain('wJalrXUtnFEMI');
    expect(failure.message).toMatch(/^config\.yml:\d+: this is not YAML/);
    expect(Number(/:(\d+):/.exec(failure.message)?.[1])).toBeGreaterThanOrEqual(line);
  });

  test.each(['', 'version: 0.1\n', '- a\n', 'just a text', '# only a comment\n', 'storage:\n'])(
    'without a storage section is refused: %j',
    (text) => {
      const failure = failureOf(() => parseConfiguration(text, '/etc/config.yml', {}));
      expect(failure.message).toMatch(/^\/etc\/config\.yml/);
    },
  );
});
