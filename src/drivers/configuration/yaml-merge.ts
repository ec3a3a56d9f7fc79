import { type Document, isAlias, isMap, isScalar, isSeq, type Pair, Scalar, type ScalarTag } from 'yaml';

const MERGE_KEY = Symbol('<<');

type AddToMap = NonNullable<Scalar['addToJSMap']>;

/**
 * A merge key (`<<: *other`) as the registry's parser takes it: docker-registry 2.8.2 was seen to put what it stands
 * for where it stands, so that it replaces what comes before it in its map. By YAML's own rules that would stay. Of
 * several maps that one key names the first counts.
 */
export const mergeTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:merge',
  default: 'key',
  test: /^<<$/,
  resolve: () => Object.assign(new Scalar(MERGE_KEY), { addToJSMap: addMerged }),
};

/** @throws Error for what is neither a map nor a list of maps, with which the registry does not start. */
function addMerged(...[context, map, value]: Parameters<AddToMap>): void {
  for (const merged of isSeq(value) ? value.items.toReversed() : [value]) {
    const node = context !== undefined && isAlias(merged) ? merged.resolve(context.doc, context) : merged;
    if (!isMap(node)) {
      throw new Error('A merge key stands for no map.');
    }
    for (const [key, content] of node.toJSON(undefined, context, Map)) {
      if (map instanceof Map) {
        map.set(key, content);
      } else {
        // Not by assignment, which `__proto__` would turn into something else.
        const property = { value: content, writable: true, enumerable: true, configurable: true };
        Object.defineProperty(map, String(key), property);
      }
    }
  }
}

const MAX_DEPTH = 20;

/** The pair of a map that counts for a name, perhaps one that is merged into it: the last, as for the registry. */
export function pairNamed(node: unknown, name: string, document: Document, depth = 0): Pair | undefined {
  if (!isMap(node) || depth > MAX_DEPTH) {
    return undefined;
  }
  for (const pair of node.items.toReversed()) {
    if (isScalar(pair.key) && pair.key.value === name) {
      return pair;
    }
    const found = isMergeKey(pair.key) ? mergedPair(pair.value, name, document, depth + 1) : undefined;
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

function mergedPair(value: unknown, name: string, document: Document, depth: number): Pair | undefined {
  for (const merged of isSeq(value) ? value.items : [value]) {
    const node = isAlias(merged) ? merged.resolve(document) : merged;
    const found = pairNamed(node, name, document, depth);
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.value === MERGE_KEY;
}
