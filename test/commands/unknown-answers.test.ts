import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTemporaryFolder } from '../servers/process.ts';
import { type FaultingProxy, type ProxiedRequest, startFaultingProxy } from '../support/faulting-proxy.ts';
import { runRegtool } from '../support/run-regtool.ts';
import { FULL, startSyntheticS3, type SyntheticS3 } from '../support/synthetic-s3.ts';

const folder = createTemporaryFolder('regtool-unknown-answers');
const source = path.join(folder.path, 'source');
let store: SyntheticS3;
let proxy: FaultingProxy;

beforeAll(async () => {
  store = await startSyntheticS3(22);
  mkdirSync(source);
  store.writeTo(source);
  proxy = await startFaultingProxy(store.endpoint);
});
afterAll(async () => {
  await proxy.stop();
  await store.stop();
  folder.remove();
});

const env = {
  AWS_ACCESS_KEY_ID: 'key',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AZURE_STORAGE_KEY: Buffer.from('key').toString('base64'),
};
const s3 = (bucket: string) =>
  `s3://${bucket}?region=us-east-1&endpoint=${encodeURIComponent(proxy.endpoint)}&pathstyle=true`;
const azure = () => `azure://registry?account=account&serviceurl=${encodeURIComponent(proxy.endpoint)}`;

const isHead = ({ method }: ProxiedRequest) => method === 'HEAD';
const isListing = ({ url }: ProxiedRequest) => url.includes('list-type=2');
const isListOfUploads = ({ url }: ProxiedRequest) => url.includes('uploads=');

test.each<[string, string, number, (request: ProxiedRequest) => boolean, () => string[]]>([
  ['check', 'S3 to a HEAD request', 400, isHead, () => [s3(FULL)]],
  ['usage', 'S3 to a HEAD request', 400, isHead, () => [s3(FULL)]],
  ['check', 'S3 to a listing', 404, isListing, () => [s3(FULL)]],
  ['migrate', 'S3 to a list of uploads', 404, isListOfUploads, () => [source, s3('empty'), '--dry-run']],
  ['migrate', 'S3 to a list of uploads', 418, isListOfUploads, () => [source, s3('empty')]],
  ['check', 'Azure to everything', 418, () => true, () => [azure()]],
  ['check', 'Azure to a listing', 404, ({ url }) => url.includes('comp=list'), () => [azure()]],
])('%s ends with 5 and a sentence when the answer of %s is %i', async (command, _, status, isMeant, argv) => {
  proxy.faultWith((request) => (isMeant(request) ? { kind: 'answer', status } : undefined));
  const { exitCode, stdout, stderr } = await runRegtool([command, ...argv(), '--no-progress'], { env });
  const printed = `${stdout}${stderr}`.replaceAll(/\s+/g, ' ');
  // A 404 that is not the store's own might be taken for an absence, so it has a sentence of its own.
  const said =
    status === 404 ? '404.*check the (?:endpoint|service URL)' : `that nobody expects .*\\(${status}\\)`;
  expect(printed).toMatch(new RegExp(`(?:Error|STOPPED): .*${said}`));
  expect(printed).not.toMatch(/ at \S+ \(|This is a bug/);
  expect(exitCode).toBe(5);
});
