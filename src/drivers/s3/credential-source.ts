import type { S3Options } from '../s3.ts';
import type { S3Credentials } from './connection.ts';

/**
 * How the SDK marks where credentials came from (`$source` of its identities, for the user agent), most telling first:
 * a role that was assumed with keys of a profile bears both marks.
 */
const sources: readonly [mark: string, words: string][] = [
  ['CREDENTIALS_STS_ASSUME_ROLE_WEB_ID', 'a web identity, as pods have'],
  ['CREDENTIALS_STS_ASSUME_ROLE', 'an assumed role'],
  ['CREDENTIALS_SSO', 'single sign-on'],
  ['CREDENTIALS_SSO_LEGACY', 'single sign-on'],
  ['CREDENTIALS_IMDS', 'the role of this machine'],
  ['CREDENTIALS_HTTP', 'the role of this container'],
  ['CREDENTIALS_PROCESS', 'a credential process'],
  ['CREDENTIALS_PROFILE', 'a profile'],
  ['CREDENTIALS_ENV_VARS', 'environment variables'],
];

/** Where credentials came from, in words, and nothing of them. */
export function credentialSource(credentials: S3Credentials, { accessKeyId, profile }: S3Options): string {
  if (accessKeyId !== undefined) {
    return 'the configuration file';
  }
  if (credentials.source === 'environment') {
    return 'environment variables';
  }
  const marks = (credentials as { $source?: Record<string, string> }).$source ?? {};
  const words = sources.find(([mark]) => marks[mark] !== undefined)?.[1] ?? "the SDK's chain";
  return words === 'a profile' && profile !== undefined ? `the profile ${profile}` : words;
}
