import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openReport } from '../../src/cli/report.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regtool-report-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

test('writes one line of JSON per record, readable by the owner only', async () => {
  const path = join(folder, 'report.ndjson');
  const report = await openReport(path);
  await report.write({ key: 'a\u202E\n' });
  await report.write({ key: 'b' });
  await report.close();
  const text = await readFile(path, 'utf8');
  expect(text).toBe('{"key":"a\\u202e\\n"}\n{"key":"b"}\n');
  expect((await stat(path)).mode.toString(8)).toMatch(/600$/);
});

test('replaces a file that was there, and makes it private', async () => {
  const path = join(folder, 'report.ndjson');
  await writeFile(path, 'something longer than what comes now\n');
  await chmod(path, 0o644);
  const report = await openReport(path);
  await report.close();
  await report.close();
  expect(await readFile(path, 'utf8')).toBe('');
  expect((await stat(path)).mode.toString(8)).toMatch(/600$/);
});

test('keeps what was there while it has nothing to tell, and its mode', async () => {
  const path = join(folder, 'report.ndjson');
  await writeFile(path, 'of an earlier run\n');
  await chmod(path, 0o644);
  const report = await openReport(path, { hasResult: () => false });
  expect(await readFile(path, 'utf8')).toBe('of an earlier run\n');
  await report.close();
  expect(await readFile(path, 'utf8')).toBe('of an earlier run\n');
  expect((await stat(path)).mode.toString(8)).toMatch(/644$/);
});

test('leaves no file of a run without a result and without a record', async () => {
  const report = await openReport(join(folder, 'report.ndjson'), { hasResult: () => false });
  await report.close();
  expect(await readdir(folder)).toEqual([]);
});

test('holds the records of a run without a result, in place of what was there', async () => {
  const path = join(folder, 'report.ndjson');
  await writeFile(path, 'something longer than what comes now\n');
  const report = await openReport(path, { hasResult: () => false });
  await report.write({ key: 'a' });
  await report.close();
  expect(await readFile(path, 'utf8')).toBe('{"key":"a"}\n');
});

test('keeps the order, and every record, of many writers at once', async () => {
  const path = join(folder, 'report.ndjson');
  const report = await openReport(path);
  const padding = 'x'.repeat(1000);
  const numbers = Array.from({ length: 500 }, (_, number) => number);
  await Promise.all(numbers.map((number) => report.write({ number, padding })));
  await report.close();
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { number: number }).number)).toEqual(numbers);
});

test('writes are on disk before the report is closed', async () => {
  const path = join(folder, 'report.ndjson');
  const report = await openReport(path);
  // More than what the stream holds back, so that the write has waited for the disk.
  await report.write({ padding: 'x'.repeat(200_000) });
  expect((await stat(path)).size).toBeGreaterThan(200_000);
  await report.close();
});

test.each([
  ['a folder', '.', /it is a folder/],
  ['a place that is not there', 'missing/report.ndjson', /its folder does not exist/],
])('refuses %s before any work starts', async (_, name, sentence) => {
  const opening = openReport(join(folder, name));
  await expect(opening).rejects.toThrow(sentence);
  await expect(opening).rejects.toMatchObject({ name: 'UsageError', code: 'REPORT_UNWRITABLE' });
});

test('a full disk is said', async () => {
  const report = await openReport('/dev/full');
  await expect(report.write({ padding: 'x'.repeat(200_000) })).rejects.toThrow(/no space is left/);
  await expect(report.close()).rejects.toThrow(/no space is left/);
});

test('a device keeps its mode', async () => {
  const before = (await stat('/dev/null')).mode;
  const report = await openReport('/dev/null');
  await report.write({ a: 1 });
  await report.close();
  expect((await stat('/dev/null')).mode).toBe(before);
});

test('without a path everything is taken and nothing is kept', async () => {
  const report = await openReport(undefined);
  await expect(report.write({ key: 'a' })).resolves.toBeUndefined();
  await expect(report.close()).resolves.toBeUndefined();
});
