import { type Document, isAlias, isNode, LineCounter, type Node, parseAllDocuments, type Tags } from 'yaml';
import { LocationError } from '../location-error.ts';
import type { StorageFile } from './storage-file.ts';
import { mergeTag, pairNamed } from './yaml-merge.ts';

/** How many nodes aliases may stand for together, so that a few lines cannot become gigabytes. */
const maxAliasCount = 100;

/**
 * Reads the storage section of a registry's `config.yml`. The rest of the file is only checked to be YAML.
 *
 * The rules are those of the registry's own parser (Go's yaml.v2): YAML 1.1, so that `yes` and `off` are booleans and
 * `0755` is octal, but dates and times stay text; of a repeated key the last counts, and a `<<` replaces what stands
 * before it; of several documents the first counts.
 * Omnibus writes `storage:` followed by JSON, which is YAML, too.
 * @throws LocationError CONFIGURATION_UNREADABLE, naming the line but never showing it: a secret may stand there.
 */
export function parseYamlFile(text: string, path: string): StorageFile {
  const lineCounter = new LineCounter();
  const document = firstDocument(text, lineCounter);
  const lineAt = (offset: number) => `${path}:${lineCounter.linePos(offset).line}`;
  const failure = document?.errors[0];
  if (document === undefined || failure !== undefined) {
    throw new LocationError(
      'CONFIGURATION_UNREADABLE',
      `${failure === undefined ? path : lineAt(failure.pos[0])}: this is not YAML (${failure?.code ?? 'EMPTY'}): give the registry's config.yml, or the folder that holds docker/.`,
    );
  }
  const node: unknown = pairNamed(document.contents, 'storage', document)?.value;
  return {
    storage: isNode(node) ? plainValue(node, document, path) : undefined,
    where: (names) => {
      const offset = offsetOf(document, ['storage', ...names]);
      return offset === undefined ? path : lineAt(offset);
    },
  };
}

/**
 * Reads the value of an environment variable as the registry does: as YAML.
 * @throws Error with the code of the YAML error alone, as the value may be a secret.
 */
export function parseYamlValue(text: string): unknown {
  const document = firstDocument(text, new LineCounter());
  const failure = document?.errors[0];
  if (failure !== undefined) {
    throw new Error(failure.code);
  }
  try {
    return document?.toJS({ maxAliasCount }) ?? null;
  } catch {
    throw new Error('ALIASES');
  }
}

function firstDocument(text: string, lineCounter: LineCounter): Document | undefined {
  const documents = parseAllDocuments(text, {
    version: '1.1',
    customTags: tagsOf,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
    lineCounter,
  });
  return 'empty' in documents ? undefined : documents[0];
}

/** Without dates and times, which stay text, and with merge keys as the registry takes them. */
function tagsOf(tags: Tags): Tags {
  const kept = tags.filter(
    (tag) =>
      typeof tag === 'string' ||
      (tag.tag !== 'tag:yaml.org,2002:timestamp' &&
        tag.tag !== mergeTag.tag &&
        !('format' in tag && tag.format === 'TIME')),
  );
  return [mergeTag, ...kept];
}

function plainValue(node: Node, document: Document, path: string): unknown {
  try {
    return node.toJS(document, { maxAliasCount });
  } catch {
    throw new LocationError(
      'CONFIGURATION_UNREADABLE',
      `${path}: its storage section uses aliases that are unknown or too many, or a merge key (<<) that names no map: write it out.`,
    );
  }
}

/** Where the key at the end of the path stands, or the last key before it that the file has. */
function offsetOf(document: Document, names: readonly string[]): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const name of names) {
    const pair = pairNamed(node, name, document);
    if (pair === undefined) {
      break;
    }
    offset = isNode(pair.key) ? (pair.key.range?.[0] ?? offset) : offset;
    node = isAlias(pair.value) ? pair.value.resolve(document) : pair.value;
  }
  return offset;
}
