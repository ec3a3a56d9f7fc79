import { BlockList, isIP } from 'node:net';

/**
 * Whether requests to an address go directly although a proxy is named: by `NO_PROXY`, and always where a proxy
 * could not mean the same by the address as this machine does.
 * @param noProxy items between commas: `*`; a host, which stands for those below it, too; `.domain` or `*.domain`,
 *   which stands only for those below; an IP address; each of these with `:port`; a range of addresses (CIDR).
 */
export function isExcepted(url: URL, noProxy = ''): boolean {
  const host = withoutBrackets(url.hostname.toLowerCase());
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  if (host === 'localhost' || isIn(localAddresses(), host)) {
    return true;
  }
  return noProxy
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .some((item) => item !== '' && covers(item, host, port));
}

function covers(item: string, host: string, port: string): boolean {
  if (item === '*') {
    return true;
  }
  const range = rangeOf(item);
  if (range !== undefined) {
    return isIn(range, host);
  }
  const { name, port: wantedPort } = splitPort(item);
  if (name === '' || (wantedPort !== undefined && wantedPort !== port)) {
    return false;
  }
  return isIP(name) === 0 ? coversHost(name, host) : isIn(only(name), host);
}

function coversHost(name: string, host: string): boolean {
  const below = name.startsWith('*.') ? name.slice(1) : name;
  return below.startsWith('.') ? host.endsWith(below) : host === below || host.endsWith(`.${below}`);
}

/** `host:80`, `[::1]:80`, and `::1`, in which no colon separates a port. */
function splitPort(item: string): { name: string; port: string | undefined } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(item) ?? [];
  return port === undefined
    ? { name: withoutBrackets(item), port }
    : { name: bracketed ?? plain ?? '', port };
}

/** `10.0.0.0/8`, `fd00::/8`. */
function rangeOf(item: string): BlockList | undefined {
  const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(item) ?? [];
  const family = isIP(address);
  if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) {
    return undefined;
  }
  const range = new BlockList();
  range.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  return range;
}

function only(address: string): BlockList {
  const list = new BlockList();
  list.addAddress(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  return list;
}

/** The same IPv4 address may be written as an IPv6 one; the list knows. */
function isIn(list: BlockList, host: string): boolean {
  const family = isIP(host);
  return family !== 0 && list.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

/** Loopback, and the link-local addresses with the one at which AWS has its metadata besides (EC2 User Guide, IMDS). */
function localAddresses(): BlockList {
  const list = new BlockList();
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addAddress('::1', 'ipv6');
  list.addSubnet('169.254.0.0', 16, 'ipv4');
  list.addSubnet('fe80::', 10, 'ipv6');
  list.addSubnet('fd00:ec2::', 32, 'ipv6');
  return list;
}

/** Of an IPv6 address in a URL. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}
