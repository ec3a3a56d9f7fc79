import { hideSecrets } from '../drivers/configuration/secret.ts';

/** Variables whose values are secrets, or hold one. */
const secretVariables = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AZURE_STORAGE_KEY',
  'AZURE_STORAGE_SAS_TOKEN',
  'AZURE_STORAGE_CONNECTION_STRING',
  'AZURE_CLIENT_SECRET',
  'AZURE_PASSWORD',
];

/** Variables that hold an address, which may be shown, and in it perhaps a password. */
const proxyVariables = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'];

const secretParameter =
  /((?<![a-z])(?:access_?key(?:_?id)?|secret(?:_?access)?_?key|session_?token|account_?key|shared_?access_?signature|client_?secret|connection_?string|sas(?:_?token)?|sig|x-amz-(?:credential|signature|security-token))\s*=\s*)[^\s&;'"]+/gi;

/**
 * The last net under every message: blots out the values of credential variables and of
 * credentials from configuration files, credentials in front of an `@`
 * in an address, and the values of parameters that bear a secret's name. Errors of SDKs and of the argument parser
 * repeat what they were given.
 */
export function redact(
  text: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  return secretsOf(env)
    .reduce((clean, secret) => clean.replaceAll(secret, '***'), hideSecrets(text))
    .replace(/(\w:\/\/)[^\s/@:]*(?::[^\s@]*)?@/g, '$1***@')
    .replace(secretParameter, '$1***');
}

function secretsOf(env: Readonly<Record<string, string | undefined>>): string[] {
  const ofStores = secretVariables.flatMap((name) => {
    const value = env[name] ?? '';
    const accountKey = /(?:AccountKey|SharedAccessSignature)=([^;]+)/i.exec(value)?.[1];
    return [value, accountKey ?? ''];
  });
  const ofProxies = proxyVariables.flatMap((name) => {
    const [, credentials = '', password = ''] = /^(?:\w+:\/\/)?([^@]*?:(.*))@/.exec(env[name] ?? '') ?? [];
    return [credentials, password];
  });
  return [...ofStores, ...ofProxies].filter((value) => value.length >= 8);
}
