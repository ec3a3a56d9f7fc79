import { Errors } from '@oclif/core';
import { expect, test } from 'vitest';
import { exitCodeMeanings, exitCodes } from '../../src/cli/exit-codes.ts';
import { describeFailure } from '../../src/cli/failure.ts';
import { UsageError } from '../../src/cli/usage-error.ts';
import { DriverError, type DriverErrorCode } from '../../src/drivers/errors.ts';
import { filesystemError } from '../../src/drivers/filesystem/errors.ts';
import { LocationError } from '../../src/drivers/location.ts';
import { SafetyRefusal } from '../../src/operations/errors.ts';

function driverError(code: DriverErrorCode): DriverError {
  return new DriverError(code, 'The store says no.', { driver: 's3', operation: 'list' });
}

test.each<[Error, number, string]>([
  [new LocationError('LOCATION_INVALID', 'x'), 2, 'LOCATION_INVALID'],
  [new UsageError('FLAG_INVALID', 'x'), 2, 'FLAG_INVALID'],
  [new Errors.CLIError('x', { exit: 7 }), 2, 'USAGE'],
  [new SafetyRefusal('SOURCE_EMPTY', 'x'), 6, 'SOURCE_EMPTY'],
  [driverError('STORE_NOT_FOUND'), 5, 'STORE_NOT_FOUND'],
  [driverError('UNAUTHENTICATED'), 5, 'UNAUTHENTICATED'],
  [driverError('PERMISSION_DENIED'), 5, 'PERMISSION_DENIED'],
  [driverError('UNAVAILABLE'), 5, 'UNAVAILABLE'],
  [driverError('RATE_LIMITED'), 5, 'RATE_LIMITED'],
  [driverError('STORE_FULL'), 5, 'STORE_FULL'],
  [driverError('BAD_LISTING'), 5, 'BAD_LISTING'],
  [driverError('INVALID_KEY'), 5, 'INVALID_KEY'],
  [driverError('UNSUPPORTED'), 5, 'UNSUPPORTED'],
  [driverError('ABORTED'), 130, 'INTERRUPTED'],
  [driverError('UNEXPECTED'), 5, 'UNEXPECTED'],
  [driverError('BUG'), 1, 'BUG'],
  [driverError('NOT_FOUND'), 1, 'NOT_FOUND'],
  [new TypeError('x'), 1, 'BUG'],
])('%s ends with exit code %d and the code %s', (error, exitCode, code) => {
  expect(describeFailure(error)).toMatchObject({ exitCode, code });
});

test('only a bug has a stack', () => {
  expect(describeFailure(driverError('UNAVAILABLE')).stack).toBeUndefined();
  expect(describeFailure(driverError('UNEXPECTED')).stack).toBeUndefined();
  expect(describeFailure(driverError('BUG')).stack).toContain('failure.test.ts');
  expect(describeFailure(new TypeError('x')).stack).toContain('failure.test.ts');
});

test('a disk that reports an error is a matter of the store, not a bug, and is not asked again', () => {
  const failure = filesystemError(
    Object.assign(new Error('EIO: i/o error, scandir'), { code: 'EIO' }),
    'list',
    '/registry/docker/',
  );
  expect(failure).toMatchObject({ retryable: false });
  expect(describeFailure(failure)).toEqual({
    code: 'UNAVAILABLE',
    exitCode: 5,
    message: 'The disk reports an input/output error at /registry/docker/: see dmesg.',
    reasons: [],
  });
});

test('an AbortError is an interruption only if the command was interrupted', () => {
  const error = new DOMException('aborted', 'AbortError');
  expect(describeFailure(error, AbortSignal.abort())).toMatchObject({ exitCode: 130 });
  expect(describeFailure(error, new AbortController().signal)).toMatchObject({ exitCode: 1 });
});

test('a failure that happens to come after the interruption stays what it is', () => {
  expect(describeFailure(driverError('UNAVAILABLE'), AbortSignal.abort())).toMatchObject({ exitCode: 5 });
});

test('the stack of a bug shows its causes, and nothing else that hangs on them', () => {
  const cause = Object.assign(new Error('below'), { request: { headers: 'hush' } });
  const { stack } = describeFailure(new Error('above', { cause }));
  expect(stack).toContain('Caused by: Error: below');
  expect(stack).not.toContain('hush');
});

test('what is thrown and is no error is a bug, too', () => {
  expect(describeFailure('words')).toMatchObject({ exitCode: 1, code: 'BUG', message: 'words' });
});

test('secrets are blotted out of messages and reasons', () => {
  const error = new SafetyRefusal('SOURCE_EMPTY', 'secretkey=hush', { reasons: ['s3://me:hush@bucket'] });
  expect(JSON.stringify(describeFailure(error))).not.toContain('hush');
});

test('each exit code has a meaning', () => {
  expect(Object.keys(exitCodeMeanings)).toEqual(Object.values(exitCodes).map(String));
});
