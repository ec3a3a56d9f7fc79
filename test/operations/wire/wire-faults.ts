import type { Fault } from '../../support/faulting-proxy.ts';
import type { Asked, WireKind } from '../../support/wire-stores.ts';

/** Something that goes wrong with each request of one kind, as often as it is made. */
export interface LastingFault {
  name: string;
  /** What it can happen to. */
  befalls: readonly Asked['what'][];
  /**
   * The store seems to answer: other bytes, or that there is nothing. Nobody can always tell that from the truth, so that
   * differences or damage may be found that are none; but never less than there is.
   */
  lies?: true;
  /** Takes seconds, for it is only told by how much there is of it: left to the long version. */
  costly?: true;
  /** Made anew for each trial, as some count. */
  fault(kind: WireKind): Fault;
}

const READS = ['list', 'read', 'stat', 'other'] as const;
const CHANGES = ['write', 'part', 'complete', 'copy', 'delete'] as const;
const ALL = [...READS, ...CHANGES] as const;
/** S3 refuses HEAD without a word, so that a driver asks for a listing to hear why: these befall both, or neither. */
const SAID = ALL.filter((what) => what !== 'stat');

const rewriteBody = (change: (body: Buffer, kind: WireKind) => Buffer) => (kind: WireKind) => ({
  kind: 'rewrite' as const,
  answer: ({ body }: { body: Buffer }) => ({ body: change(body, kind) }),
});
const rewritePage = (change: (page: string, kind: WireKind) => string) =>
  rewriteBody((body, kind) => Buffer.from(change(body.toString(), kind)));

export const lastingFaults: readonly LastingFault[] = [
  {
    name: '503 and a request for fewer requests',
    befalls: ALL,
    fault: ({ refusal, codes }) => refusal(503, codes.busy),
  },
  { name: '500', befalls: ALL, fault: ({ refusal, codes }) => refusal(500, codes.internal) },
  {
    name: '429 with Retry-After',
    // SDKs, which delete and ask for settings, really wait as long as they are asked to.
    befalls: ALL.filter((what) => what !== 'delete' && what !== 'other'),
    fault: ({ refusal, codes }) => refusal(429, codes.busy, { 'retry-after': '1' }),
  },
  { name: 'a reset before it', befalls: ALL, fault: () => ({ kind: 'reset' }) },
  { name: 'a reset in the middle of the answer', befalls: ALL, fault: () => ({ kind: 'cut' }) },
  {
    name: 'a refusal',
    befalls: ALL,
    fault: ({ refusal, codes }) => refusal(403, codes.denied),
  },
  {
    name: 'expired credentials',
    befalls: SAID,
    fault: ({ refusal, codes: { expired } }) => refusal(...expired),
  },
  {
    name: 'a clock that is wrong',
    befalls: SAID,
    fault: ({ refusal, codes: { skewed } }) => refusal(...skewed),
  },
  {
    name: 'that there is no such key',
    befalls: ['read', 'stat'],
    lies: true,
    fault: ({ refusal, codes }) => refusal(404, codes.missing),
  },
  {
    name: 'half of it, as if that were all',
    befalls: ['read'],
    lies: true,
    fault: rewriteBody((body) => body.subarray(0, body.length / 2)),
  },
  {
    name: 'a flipped bit in it',
    befalls: ['read'],
    lies: true,
    fault: rewriteBody((body) =>
      Buffer.from(body.map((byte, at) => (at === body.length - 1 ? byte ^ 1 : byte))),
    ),
  },
  {
    name: 'much more than there is',
    befalls: ['read'],
    lies: true,
    fault: rewriteBody((body) => Buffer.concat([body, Buffer.alloc(8 * 2 ** 20, 'x')])),
  },
  {
    name: 'half a page',
    befalls: ['list'],
    fault: rewritePage((page) => page.slice(0, page.length / 2)),
  },
  { name: 'nothing', befalls: ['list'], fault: rewritePage(() => '') },
  {
    name: 'the document of a proxy',
    befalls: ['list'],
    fault: rewritePage(() => '<?xml version="1.0"?><html><body>Sign in</body></html>'),
  },
  {
    name: 'the same page with ever new tokens',
    befalls: ['list'],
    costly: true,
    fault: rewritePage((page, kind) => goingOn(page, newToken(), kind)),
  },
  {
    name: 'the same page with one token',
    befalls: ['list'],
    fault: rewritePage((page, kind) => goingOn(page, 'token', kind)),
  },
  {
    name: 'empty pages without end',
    befalls: ['list'],
    costly: true,
    fault: rewritePage((page, kind) => goingOn(page.replace(ENTRIES, ''), newToken(), kind)),
  },
  {
    name: 'an entity that grows to 10^30 letters',
    befalls: ['list'],
    fault: rewritePage((page) => {
      const levels = Array.from({ length: 30 }, (_, level) => {
        const lower = level === 0 ? 'x' : `&l${level - 1};`;
        return `<!ENTITY l${level} "${lower.repeat(10)}">`;
      });
      const named = page.replace(/(<Key>|<Name>|<Prefix>)([^<]*)/g, '$1$2&l29;');
      return named.replace(/^(<\?xml[^>]*\?>)?/, (head) => `${head}<!DOCTYPE x [${levels.join('')}]>`);
    }),
  },
  {
    name: 'a page of 65 MiB',
    befalls: ['list'],
    costly: true,
    fault: rewritePage((page) => page + ' '.repeat(65 * 2 ** 20)),
  },
];

/** What is repeated, and then goes well. */
export const passingFaults = lastingFaults.slice(0, 5);

/** Everything that a page lists. */
const ENTRIES = /<Contents>.*<\/Contents>|<CommonPrefixes>.*<\/CommonPrefixes>|(?<=<Blobs>).*(?=<\/Blobs>)/gs;

/** A page that says there is more, at this token. */
function goingOn(page: string, token: string, { name }: WireKind): string {
  return name === 'S3'
    ? page
        .replace('<IsTruncated>false</IsTruncated>', '<IsTruncated>true</IsTruncated>')
        .replace(/(?=<\/ListBucketResult>)/, `<NextContinuationToken>${token}</NextContinuationToken>`)
    : page.replace(/<NextMarker\s*\/>|<NextMarker><\/NextMarker>/, `<NextMarker>${token}</NextMarker>`);
}

let pages = 0;
function newToken(): string {
  pages += 1;
  return `token-${pages}`;
}
