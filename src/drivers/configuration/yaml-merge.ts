import { type Document, isAlias, isMap, isScalar, isSeq, type Pair, visit, YAMLParseError } from 'yaml';

/**
 * Puts what a merge key (`<<: *other`) stands for where it stands, as the registry's parser does: docker-registry 2.8.2
 * was seen to let a `<<` replace what comes before it in its map, which YAML's own rules do not. Of several maps that
 * one key names the first counts. What it cannot stand for becomes an error of the document.
 */
export function mergeInPlace(document: Document): void {
  visit(document, {
    Map(_, map) {
      if (map.items.some(isMerge)) {
        const merged = map.items.flatMap((pair) =>
          isMerge(pair) ? pairsOf(pair.value, document, 0) : [pair],
        );
        map.items = lastOfEach(merged);
      }
    },
  });
}

const MAX_DEPTH = 20;

/** An alias comes after what it stands for, so the merge keys in there are replaced already, unless it is in itself. */
function pairsOf(value: unknown, document: Document, depth: number): Pair[] {
  const node = isAlias(value) ? value.resolve(document) : value;
  if (isSeq(node) && depth < MAX_DEPTH) {
    return node.items.toReversed().flatMap((item) => pairsOf(item, document, depth + 1));
  }
  if (isMap(node) && depth < MAX_DEPTH) {
    return node.items.flatMap((pair) => (isMerge(pair) ? pairsOf(pair.value, document, depth + 1) : [pair]));
  }
  const [start = 0, end = 0] = isAlias(value) || isScalar(value) ? (value.range ?? []) : [];
  document.errors.push(new YAMLParseError([start, end], 'BAD_ALIAS', 'A merge key stands for no map.'));
  return [];
}

/** So that maps which merge maps that merge others hold no more than the names that the file has. */
function lastOfEach(pairs: readonly Pair[]): Pair[] {
  const counted = new Map<unknown, Pair>();
  for (const pair of pairs) {
    counted.set(isScalar(pair.key) ? pair.key.value : pair.key, pair);
  }
  return [...counted.values()];
}

/** Quoted it is a name as any other. */
function isMerge({ key }: Pair): boolean {
  return isScalar(key) && key.value === '<<' && key.type === 'PLAIN';
}
