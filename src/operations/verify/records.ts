import type { ObjectStat } from '../../drivers/driver.ts';
import { fromRepository, parsePath } from '../../layout/paths.ts';
import type { Side } from '../march-shard.ts';
import type { ObjectKind } from '../observer.ts';

/** How an object differs between two stores. Stable codes, for reports; each has a heading in docs/verify.md. */
export type Problem =
  /** At the source, not at the target. */
  | 'missing'
  /** At the target, not at the source. */
  | 'extra'
  | 'size'
  /** The same size and other bytes: a tag that stands for something else, a link that says something else. */
  | 'content'
  /** The bytes at the target do not have the digest that names them; those at the source have, or are gone. */
  | 'corrupt-at-target'
  /** The bytes at the source do not have the digest that names them; those at the target have. */
  | 'corrupt-at-source'
  | 'corrupt-at-both';

interface AboutObject {
  kind: ObjectKind;
  key: string;
  repository?: string;
  tag?: string;
}

/** One line of a report: an object that is not the same in both stores. */
export interface Difference extends AboutObject {
  type: 'difference';
  problem: Problem;
  sourceSizeBytes?: number;
  targetSizeBytes?: number;
  /** What a link says, or what a blob's bytes hash to; absent where neither is known. */
  sourceDigest?: string;
  targetDigest?: string;
  /** What else there is to know, one sentence. */
  reason?: string;
}

/** One line of a report: an object that changed at the source after the comparison had begun. Not an error. */
export interface Newer extends AboutObject {
  type: 'newer';
  /** What it is compared with the target; `deleted`: it was at the source and no longer is. */
  problem: Problem | 'deleted';
}

/** One line of a report: a part of a store of which nothing is known. */
export interface Unread {
  type: 'unread';
  side: Side;
  /** A key, or the prefix that could not be listed. */
  key: string;
  message: string;
}

export type VerifyRecord = Difference | Newer | Unread;

/** What the listings, or a first read, say differs. It is looked at again before it is called a difference. */
export interface Candidate {
  problem: 'missing' | 'extra' | 'size' | 'content';
  key: string;
  source?: SeenObject;
  target?: SeenObject;
}

export interface SeenObject {
  sizeBytes: number;
  modifiedAtMs?: number;
  etag?: string;
  /** Of the content as it was first read. */
  md5?: string;
}

export function seenObject({ sizeBytes, modifiedAtMs, etag }: ObjectStat, md5?: string): SeenObject {
  return {
    sizeBytes,
    ...(modifiedAtMs === undefined ? {} : { modifiedAtMs }),
    ...(etag === undefined ? {} : { etag }),
    ...(md5 === undefined ? {} : { md5 }),
  };
}

/** What a key alone says about an object. */
export function aboutObject(key: string): AboutObject {
  const path = parsePath(key);
  const repository = fromRepository(path);
  return {
    kind: path.kind,
    key,
    ...(repository === undefined ? {} : { repository }),
    ...('tag' in path ? { tag: path.tag } : {}),
  };
}
