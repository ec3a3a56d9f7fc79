import { inspect } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openS3 } from '../../src/drivers/s3.ts';
import { failureOf } from './failure-of.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('an endpoint of the environment that is no address', () => {
  it.each(['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3'])('is named, and not shown: %s', async (variable) => {
    vi.stubEnv('AWS_ENDPOINT_URL', undefined);
    vi.stubEnv(variable, 'https://user:secretpassword@ho st:9000');
    const failure = await failureOf(
      openS3({ bucket: 'bucket', root: '', location: 's3://bucket', region: 'eu-central-1' }),
    );
    expect(failure.code).toBe('STORE_NOT_FOUND');
    expect(failure.message).toContain(`the environment variable ${variable} `);
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('secretpassword');
  });
});
