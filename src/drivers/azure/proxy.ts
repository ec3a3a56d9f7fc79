type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment names for requests to a host, or undefined: by the rules of Azure's SDK, so that
 * requests with it and without it take the same way. `HTTPS_PROXY`, else `ALL_PROXY`, else `HTTP_PROXY`, whatever the
 * service's scheme; `NO_PROXY` lists hosts, and with a leading dot a domain. Lower case names are looked at second.
 * @param hostname as `URL.hostname` has it.
 */
export function proxyFor(hostname: string, env: Environment = process.env): string | undefined {
  const variable = (name: string): string | undefined => env[name] || env[name.toLowerCase()] || undefined;
  const isExcepted = (variable('NO_PROXY') ?? '')
    .split(',')
    .map((pattern) => pattern.trim())
    .some((pattern) =>
      pattern.startsWith('.')
        ? hostname.endsWith(pattern) || hostname === pattern.slice(1)
        : hostname === pattern,
    );
  return isExcepted
    ? undefined
    : (variable('HTTPS_PROXY') ?? variable('ALL_PROXY') ?? variable('HTTP_PROXY'));
}
