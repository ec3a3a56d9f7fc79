import { type Digest, parseDigest } from './digest.ts';

/** The largest manifest that a registry takes (distribution `maxManifestBodySize`). */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** One thing that a manifest names. */
export interface Descriptor {
  digest: Digest;
  /** As the manifest says; schema 1 does not say, and other manifests may leave it out. */
  sizeBytes: number | undefined;
  /** As the manifest says; '' when it does not. */
  mediaType: string;
  /** False for a layer that clients fetch from elsewhere: a foreign or non-distributable one with `urls`. */
  required: boolean;
}

export interface Manifest {
  ok: true;
  kind: 'manifest' | 'index' | 'schema1';
  /** What a registry serves it as, also when the bytes do not say. */
  mediaType: string;
  /** Of an image manifest, and of a build cache that is stored as an index. */
  config?: Descriptor;
  /** Blobs other than the config, in the order of the manifest. */
  layers: Descriptor[];
  /** The manifests that an index names: each needs a revision link in the same repository. */
  children: Descriptor[];
  /** Everything needed as a blob and not as a manifest: config and layers, in the order of the manifest. */
  blobs: Descriptor[];
}

export interface BrokenManifest {
  ok: false;
  problem: ManifestProblem;
  /** What is wrong, to follow "the manifest ... cannot be used:". */
  detail: string;
}

export type ManifestProblem =
  /** Zero bytes. */
  | 'empty'
  /** Not JSON. */
  | 'json'
  /** JSON that a registry cannot read as the kind of manifest that it says it is. */
  | 'shape'
  /** More than `MAX_MANIFEST_BYTES`, so no registry took it. */
  | 'too-large'
  /** A media type or schema version that registries do not read. */
  | 'media-type';

export type ParsedManifest = Manifest | BrokenManifest;

export interface Reference {
  digest: Digest;
  role: 'config' | 'layer' | 'child';
  sizeBytes: number | undefined;
  required: boolean;
}

/**
 * Reads a stored manifest as the registry does when it serves one (distribution `manifeststore.go`, `Get`):
 * the schema version decides, then the media type in the bytes; without one it is an index if it has
 * `manifests`, and an OCI manifest if not. `subject` is not read, for registries on files do not follow it.
 * Never throws, whatever the bytes are.
 */
export function parseManifest(bytes: Uint8Array): ParsedManifest {
  if (bytes.length === 0) {
    return broken('empty', 'it is empty');
  }
  if (bytes.length > MAX_MANIFEST_BYTES) {
    return broken('too-large', `it is of ${bytes.length} bytes, and registries take ${MAX_MANIFEST_BYTES}`);
  }
  try {
    return readDocument(parseJson(bytes));
  } catch (error) {
    if (error instanceof Unusable) {
      return broken(error.problem, error.message);
    }
    throw error;
  }
}

/**
 * What a manifest refers to, each digest once. Where it names one twice, the stronger claim holds:
 * required over not required, and child, which also needs a revision link, over blob.
 */
export function references(manifest: Manifest): Reference[] {
  const found = new Map<Digest, Reference>();
  if (manifest.config !== undefined) {
    addReference(found, manifest.config, 'config');
  }
  for (const layer of manifest.layers) {
    addReference(found, layer, 'layer');
  }
  for (const child of manifest.children) {
    addReference(found, child, 'child');
  }
  return [...found.values()];
}

function addReference(found: Map<Digest, Reference>, descriptor: Descriptor, role: Reference['role']): void {
  const { digest, sizeBytes, required } = descriptor;
  const former = found.get(digest);
  if (former === undefined) {
    found.set(digest, { digest, role, sizeBytes, required });
    return;
  }
  former.required ||= required;
  former.sizeBytes ??= sizeBytes;
  if (role === 'child') {
    former.role = role;
  }
}

const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+json';
const SCHEMA_1_SIGNED = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
const BUILD_CACHE_CONFIG = 'application/vnd.buildkit.cacheconfig.v0';

const MANIFEST_MEDIA_TYPES: ReadonlySet<string> = new Set([
  DOCKER_MANIFEST,
  DOCKER_LIST,
  OCI_MANIFEST,
  OCI_INDEX,
  SCHEMA_1,
  SCHEMA_1_SIGNED,
  'application/vnd.oci.artifact.manifest.v1+json',
]);

const DOCKER_FOREIGN_LAYER = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
const OCI_NON_DISTRIBUTABLE_LAYER = 'application/vnd.oci.image.layer.nondistributable.v1.tar';

type JsonObject = Readonly<Record<string, unknown>>;

/** Ends the reading of a manifest from anywhere within it. Never leaves this module. */
class Unusable extends Error {
  readonly problem: ManifestProblem;

  constructor(problem: ManifestProblem, detail: string) {
    super(detail);
    this.problem = problem;
  }
}

function broken(problem: ManifestProblem, detail: string): BrokenManifest {
  return { ok: false, problem, detail };
}

/** Invalid UTF-8 becomes U+FFFD and the last of duplicate names wins, as in Go's encoding/json. */
function parseJson(bytes: Uint8Array): unknown {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's message quotes the bytes, which have no place in an operator's terminal.
    throw new Unusable('json', 'it is not JSON, or is cut off');
  }
}

function readDocument(document: unknown): Manifest {
  if (!isObject(document)) {
    throw new Unusable('shape', 'it is not a JSON object');
  }
  const version = member(document, 'schemaVersion');
  if (typeof version !== 'number') {
    throw new Unusable('shape', '"schemaVersion" is not a number');
  }
  if (version === 1) {
    return readSchema1(document);
  }
  if (version !== 2) {
    throw new Unusable('media-type', `its schema version is ${version}`);
  }
  const mediaType = optionalString(member(document, 'mediaType'), '"mediaType"');
  switch (mediaType) {
    case DOCKER_MANIFEST:
    case OCI_MANIFEST:
      return readManifest(document, mediaType);
    case DOCKER_LIST:
    case OCI_INDEX:
      return readIndex(document, mediaType);
    case '':
      return isPresent(member(document, 'manifests'))
        ? readIndex(document, OCI_INDEX)
        : readManifest(document, OCI_MANIFEST);
    default:
      throw new Unusable('media-type', `its media type is ${quote(mediaType)}`);
  }
}

function readManifest(document: JsonObject, mediaType: string): Manifest {
  const config = readDescriptor(member(document, 'config'), 'config');
  const layers = descriptors(member(document, 'layers'), 'layers');
  return { ok: true, kind: 'manifest', mediaType, config, layers, children: [], blobs: [config, ...layers] };
}

/** A build cache is stored as an index whose entries are layers and a config, not manifests. */
function readIndex(document: JsonObject, mediaType: string): Manifest {
  const entries = descriptors(member(document, 'manifests'), 'manifests');
  const children = entries.filter(isManifestDescriptor);
  const blobs = entries.filter((entry) => !isManifestDescriptor(entry));
  const config = blobs.find((entry) => entry.mediaType === BUILD_CACHE_CONFIG);
  const layers = blobs.filter((entry) => entry !== config);
  return { ok: true, kind: 'index', mediaType, ...(config && { config }), layers, children, blobs };
}

/** An index entry without a media type is a manifest: that is what indexes are of. */
function isManifestDescriptor({ mediaType }: Descriptor): boolean {
  return mediaType === '' || MANIFEST_MEDIA_TYPES.has(mediaType);
}

/** Stored with its signatures beside the other members (registry 2.5 and later), or without (before). */
function readSchema1(document: JsonObject): Manifest {
  const layers = list(member(document, 'fsLayers'), 'fsLayers').map((layer, index): Descriptor => {
    const where = `fsLayers[${index}]`;
    if (!isObject(layer)) {
      throw new Unusable('shape', `${where} is not an object`);
    }
    return {
      digest: readDigest(member(layer, 'blobSum'), `${where}.blobSum`),
      sizeBytes: undefined,
      mediaType: '',
      required: true,
    };
  });
  const mediaType = isPresent(member(document, 'signatures')) ? SCHEMA_1_SIGNED : SCHEMA_1;
  return { ok: true, kind: 'schema1', mediaType, layers, children: [], blobs: layers };
}

function descriptors(value: unknown, where: string): Descriptor[] {
  return list(value, where).map((entry, index) => readDescriptor(entry, `${where}[${index}]`));
}

function readDescriptor(value: unknown, where: string): Descriptor {
  if (!isObject(value)) {
    throw new Unusable('shape', isPresent(value) ? `${where} is not an object` : `it has no ${where}`);
  }
  const mediaType = optionalString(member(value, 'mediaType'), `${where}.mediaType`);
  const urls = list(member(value, 'urls'), `${where}.urls`);
  return {
    digest: readDigest(member(value, 'digest'), `${where}.digest`),
    sizeBytes: readSize(member(value, 'size'), `${where}.size`),
    mediaType,
    required: urls.length === 0 || !isForeign(mediaType),
  };
}

function isForeign(mediaType: string): boolean {
  return mediaType === DOCKER_FOREIGN_LAYER || mediaType.startsWith(OCI_NON_DISTRIBUTABLE_LAYER);
}

function readDigest(value: unknown, where: string): Digest {
  const digest = typeof value === 'string' ? parseDigest(value) : undefined;
  if (digest === undefined) {
    throw new Unusable('shape', `${where} is not a digest`);
  }
  return digest;
}

function readSize(value: unknown, where: string): number | undefined {
  if (!isPresent(value)) {
    return undefined;
  }
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new Unusable('shape', `${where} is not a number of bytes`);
  }
  return value;
}

/** Go reads an array that is missing or null as an empty one. */
function list(value: unknown, where: string): unknown[] {
  if (!isPresent(value)) {
    return [];
  }
  if (!Array.isArray(value)) {
    throw new Unusable('shape', `${where} is not an array`);
  }
  return value;
}

function optionalString(value: unknown, where: string): string {
  if (!isPresent(value)) {
    return '';
  }
  if (typeof value !== 'string') {
    throw new Unusable('shape', `${where} is not a string`);
  }
  return value;
}

/**
 * A member as Go's encoding/json finds it: by its name, or by one that differs in case alone, whichever comes last. A
 * registry refuses a manifest whose `LAYERS` are not there (seen on 2.8.2), and so serves and needs them.
 */
function member(object: JsonObject, name: string): unknown {
  let found = object[name];
  for (const key of Object.keys(object)) {
    if (key.length === name.length && (key === name || folded(key) === folded(name))) {
      found = object[key];
    }
  }
  return found;
}

/** As Unicode folds case: the long s and the Kelvin sign are an s and a k. */
function folded(name: string): string {
  return name.toUpperCase().toLowerCase();
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** A piece of the bytes, made safe to print: nothing but visible ASCII. */
function quote(text: string): string {
  const start = text.length > 80 ? `${text.slice(0, 80)}...` : text;
  return `"${start.replaceAll(/[^ -~]/g, '?')}"`;
}
