import { isDigest } from '../../layout/digest.ts';
import { isTagName } from '../../layout/names.ts';

/** An image as `docker` takes it. */
export interface Image {
  /** What is pulled. A digest settles that, so a tag beside it is left out. */
  reference: string;
  /** Without tag and digest: what another tag can be put behind. */
  name: string;
}

/** Reads `[HOST[:PORT]/]NAME[:TAG][@DIGEST]` as Docker does (distribution/reference); undefined for anything else. */
export function parseImage(text: string): Image | undefined {
  const [tagged = '', digest, ...more] = text.split('@');
  const [, name = '', tag] = /^(.*?)(?::([^:/]*))?$/.exec(tagged) ?? [];
  const isValid =
    more.length === 0 &&
    isImageName(name) &&
    (tag === undefined || isTagName(tag)) &&
    (digest === undefined || isDigest(digest));
  if (!isValid) {
    return undefined;
  }
  return { reference: digest === undefined ? tagged : `${name}@${digest}`, name };
}

function isImageName(name: string): boolean {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  return HOST.test(first) ? COMPONENTS.test(name.slice(slash + 1)) : COMPONENTS.test(name);
}

const HOST = /^(?:[A-Za-z0-9]+(?:(?:\.|-+)[A-Za-z0-9]+)*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?$/;
const COMPONENTS = /^[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*$/;
