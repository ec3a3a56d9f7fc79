import type { Body, Driver } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { pause, sleepOnClock } from '../../drivers/pause.ts';
import { digestParts, MAX_LINK_BYTES, readLink, type Digest } from '../../layout/digest.ts';
import { MAX_MANIFEST_BYTES, type ParsedManifest, parseManifest } from '../../layout/manifest.ts';
import { blobDataKey, parsePath } from '../../layout/paths.ts';
import { readUnlessAbsent } from '../absence.ts';
import { readProven } from '../read-proven.ts';
import type { PlannedCopy } from './plan.ts';
import type { Run } from './run.ts';

export interface SourceLink {
  /** To be written as it is. Of what is too large for a link, a body that has yet to be read. */
  content: Body;
  sizeBytes: number;
  /** Undefined when the content is not a digest. */
  digest: Digest | undefined;
  /** In that case, the registry's words for it, or what else is wrong. */
  problem: string;
}

/** `sha256:` and 64 digits. */
const LINK_BYTES = 71;

type Presence = 'published' | 'missing' | 'failed';

export async function isAtTarget(run: Run, key: string): Promise<Presence> {
  return isAt(run, run.target, key);
}

/**
 * As `isAtTarget`, of a layer link. The listing tells its size alone, and other tools copy what is broken: one that no
 * registry could use counts as missing.
 */
export async function isUsableAtTarget(run: Run, key: string): Promise<Presence> {
  const { target, signal } = run;
  try {
    const link = readLink(await run.limit(() => target.readSmall(key, MAX_LINK_BYTES, { signal })));
    return link.valid && isUsable(key, link.digest) ? 'published' : 'missing';
  } catch (error) {
    if (isDriverError(error, 'NOT_FOUND', 'CHANGED')) {
      return 'missing';
    }
    await run.fail(key, error);
    return 'failed';
  }
}

export async function isAtSource(run: Run, key: string): Promise<Presence> {
  return isAt(run, run.source, key);
}

async function isAt(run: Run, store: Driver, key: string): Promise<Presence> {
  try {
    const stat = await run.limit(() => store.stat(key, { signal: run.signal }));
    return stat === undefined ? 'missing' : 'published';
  } catch (error) {
    await run.fail(key, error);
    return 'failed';
  }
}

/** What the tag stands for at the target, for the report; nothing is decided by it. */
export async function digestAtTarget(run: Run, key: string): Promise<string | undefined> {
  const { target, signal } = run;
  try {
    const link = readLink(await run.limit(() => target.readSmall(key, MAX_LINK_BYTES, { signal })));
    return link.valid ? link.digest : link.problem;
  } catch (error) {
    if (isDriverError(error) && error.code !== 'ABORTED') {
      return undefined;
    }
    throw error;
  }
}

/** A registry that writes in place empties a link before it fills it. */
const HALF_WRITTEN_MS = 50;

/** A link's content and the digest in it. What is gone or cannot be read is counted here. */
export async function readSourceLink(
  run: Run,
  key: string,
  planned: PlannedCopy | undefined,
): Promise<SourceLink | 'missing' | 'failed'> {
  try {
    const { source, signal } = run;
    const link = await readUnlessAbsent(source, key, { signal }, () => readLinkFile(run, key));
    if (link !== undefined) {
      return link.value;
    }
  } catch (error) {
    await run.fail(key, error);
    return 'failed';
  }
  if (planned !== undefined) {
    await run.vanish(key, planned.sizeBytes);
  }
  return 'missing';
}

/**
 * Its size is asked for only where it shows that it has too many bytes. One that is empty or cut off is read once more
 * a moment later: its writer may be in the middle, and with `--include-incomplete` a moment would be copied.
 */
async function readLinkFile(run: Run, key: string): Promise<SourceLink> {
  const { source, signal } = run;
  const read = () => run.limit(() => source.readSmall(key, MAX_LINK_BYTES, { signal }));
  try {
    let bytes = await read();
    if (!readLink(bytes).valid && bytes.byteLength < LINK_BYTES) {
      const details = { driver: source.name, operation: 'readSmall', key };
      await pause(sleepOnClock, HALF_WRITTEN_MS, [signal], details);
      bytes = await read();
    }
    const link = readLink(bytes);
    return {
      content: bytes,
      sizeBytes: bytes.byteLength,
      ...(link.valid
        ? { digest: link.digest, problem: '' }
        : { digest: undefined, problem: link.registryError }),
    };
  } catch (error) {
    if (!isDriverError(error, 'CHANGED')) {
      throw error;
    }
    const stat = await run.limit(() => source.stat(key, { signal }));
    if (stat === undefined || stat.sizeBytes <= MAX_LINK_BYTES) {
      throw error;
    }
    const { sizeBytes } = stat;
    const content = { sizeBytes, open: () => source.read(key, { signal }) };
    return { content, sizeBytes, digest: undefined, problem: `it has ${sizeBytes} bytes` };
  }
}

/** Undefined when the blob is gone from the source. */
export async function readManifest(
  run: Run,
  key: string,
  digest: Digest,
): Promise<ParsedManifest | 'failed' | undefined> {
  try {
    return await parseProven(run, blobDataKey(digest), digest);
  } catch (error) {
    if (isDriverError(error, 'NOT_FOUND')) {
      return undefined;
    }
    await run.fail(key, error);
    return 'failed';
  }
}

/** Its size is asked for only where it shows that it has too many bytes: for each manifest that would be a request more. */
async function parseProven(run: Run, blobKey: string, digest: Digest): Promise<ParsedManifest> {
  const { source, signal } = run;
  try {
    return parseManifest(
      await run.limit(() => readProven(source, blobKey, digest, MAX_MANIFEST_BYTES, signal)),
    );
  } catch (error) {
    if (!isDriverError(error, 'CHANGED')) {
      throw error;
    }
    const stat = await run.limit(() => source.stat(blobKey, { signal }));
    if (stat === undefined || stat.sizeBytes <= MAX_MANIFEST_BYTES) {
      throw error;
    }
    return tooLarge(stat.sizeBytes);
  }
}

/** The blob that a layer or signature link is named by. Registry 2.0 named some by tarsums, which are no digests. */
export function digestInName(key: string): Digest | undefined {
  const path = parsePath(key);
  return path.kind === 'layer-link' || path.kind === 'signature-link' ? path.digest : undefined;
}

/**
 * What was pushed by another hash is stored by its SHA-256, and its link says that: an alias (facts A3). Any other link
 * of a layer says its own name.
 */
export function isAlias(name: Digest, target: Digest | undefined): target is Digest {
  return (
    target !== undefined &&
    digestParts(name).algorithm !== 'sha256' &&
    digestParts(target).algorithm === 'sha256'
  );
}

/** Whether a registry finds by this link what it is named by, or, of a tarsum, anything at all. */
export function isUsable(key: string, digest: Digest | undefined): boolean {
  const name = digestInName(key);
  return name === undefined || digest === name || isAlias(name, digest);
}

/** Says what is wrong with a link, for the report. */
export function brokenLink({ digest, problem }: SourceLink): string {
  return digest === undefined
    ? `its link is broken at the source (${problem})`
    : `its link says ${digest}, which is not its own name`;
}

function tooLarge(sizeBytes: number): ParsedManifest {
  return {
    ok: false,
    problem: 'too-large',
    detail: `it has ${sizeBytes} bytes, and registries take ${MAX_MANIFEST_BYTES}`,
  };
}
