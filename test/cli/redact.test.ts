import { expect, test } from 'vitest';
import { redact } from '../../src/cli/redact.ts';

test.each([
  ['Unexpected argument: s3://AKIA:wJal/rX@bucket/root', 'Unexpected argument: s3://***@bucket/root'],
  ['https://user@host/x failed', 'https://***@host/x failed'],
  ['azure://c?accountkey=abc==&realm=x', 'azure://c?accountkey=***&realm=x'],
  ['GET /?sv=2024&sig=abc%3D&se=1', 'GET /?sv=2024&sig=***&se=1'],
  ['secretkey = hush', 'secretkey = ***'],
])('blots out the secret in %j', (text, clean) => {
  expect(redact(text, {})).toBe(clean);
});

test.each([
  's3://bucket/a@b is not there',
  'http://localhost:9000 refused the connection',
  'the design=good',
  'encrypt=true&keyid=alias/key',
])('leaves %j as it is', (text) => {
  expect(redact(text, {})).toBe(text);
});

test('blots out what credential variables hold, wherever it stands', () => {
  const env = {
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI+x',
    AZURE_STORAGE_CONNECTION_STRING: 'AccountName=a;AccountKey=Zm9vYmFyYmF6;EndpointSuffix=x',
    HOME: '/home/operator',
  };
  const text = 'signed with wJalrXUtnFEMI+x and (Zm9vYmFyYmF6) in /home/operator';
  expect(redact(text, env)).toBe('signed with *** and (***) in /home/operator');
});

test('blots out the password of a proxy, and leaves its address', () => {
  const env = {
    https_proxy: 'http://me:correct-horse@proxy.example:3128',
    HTTP_PROXY: 'he:battery-staple@other:1',
  };
  const text = 'http://proxy.example:3128 knows correct-horse, and other:1 battery-staple';
  expect(redact(text, env)).toBe('http://proxy.example:3128 knows ***, and other:1 ***');
});
