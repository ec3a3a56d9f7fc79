import type { DeleteDialect, ListDialect } from '../../drivers/probe.ts';
import { type DoctorCheck, failed, ok, warning } from './check.ts';

/** What the way in which a store lists means for whoever compares it with another. */
export function judgeLists({ speaks, continues, encodesKeys, groups, ascends }: ListDialect): DoctorCheck {
  const name = 'list-dialect';
  if (continues === false) {
    return failed(
      name,
      `speaks ${speaks}, and gives no token that leads to the next page`,
      'migrate lists no more than a page of it: update the store, or put a gateway before it that speaks ListObjectsV2.',
    );
  }
  if (ascends === false) {
    return failed(
      name,
      `speaks ${speaks}, and lists keys in another order than that of their bytes`,
      'migrate stops at such a page, as it could not prove that an object is absent.',
    );
  }
  if (groups === false) {
    return failed(
      name,
      `speaks ${speaks}, and ignores the delimiter`,
      'migrate and check find repositories by it, and stop.',
    );
  }
  if (encodesKeys === false) {
    return warning(
      name,
      `speaks ${speaks}, and does not encode keys`,
      'A key with a control character, which no registry writes, would end a listing.',
    );
  }
  const seen = [
    ...(encodesKeys === undefined ? [] : ['encoded keys']),
    ...(ascends === undefined ? [] : ['in the order of their bytes']),
    ...(groups === undefined ? [] : ['grouped by a delimiter']),
    ...(continues === undefined ? [] : ['continued by a token']),
  ];
  return ok(name, seen.length === 0 ? `speaks ${speaks}` : `speaks ${speaks}: ${seen.join(', ')}`);
}

/** What the way in which a store deletes means for whoever deletes many objects. */
export function judgeDeletes({
  batchKeys,
  proofs,
  keepsQuiet,
  tellsEach,
  removes,
}: DeleteDialect): DoctorCheck {
  const name = 'delete-dialect';
  if (removes === false) {
    return failed(
      name,
      'says of several objects at once that they are deleted, and keeps them',
      'Do not use migrate --delete with this store.',
    );
  }
  if (batchKeys === 1) {
    const taken =
      proofs.length === 0 ? 'takes no request' : `takes a request by ${proofs.join(' or ')} alone`;
    return warning(
      name,
      `${taken} for many deletes, as regtool sends it: each key is deleted by a request of its own`,
      'Right, and slower: 1 request per key instead of 1 per 1,000 (S3) or 256 (Azure).',
    );
  }
  const silent = tellsEach === false ? ', and does not name the keys that were deleted' : '';
  const loud = keepsQuiet === false ? ', and names every key though asked to be quiet' : '';
  const by = proofs.length === 0 ? '' : `, proved by ${proofs.join(' or ')}`;
  return ok(name, `up to ${batchKeys} keys in one request${by}${silent}${loud}`);
}
