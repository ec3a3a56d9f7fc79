import type { ProxiedRequest } from '../../support/faulting-proxy.ts';
import type { Asked, WireKind, WireStore } from '../../support/wire-stores.ts';
import { type LastingFault, lastingFaults } from './wire-faults.ts';

/** A request that an operation makes, and may make again. */
export interface SeenRequest {
  /** Tells it from every other: method and address. */
  id: string;
  /** What is the same for requests that are treated alike: digests and the names of uploads are left out. */
  kind: string;
  what: Asked['what'];
}

/** A pair of a request and what befalls it each time. */
export interface Mishap {
  request: SeenRequest;
  fault: LastingFault;
}

/** Watches a store while something is done with it, and tells each request that was made, once, in order of names. */
export async function requestsOf(store: WireStore, action: () => Promise<unknown>): Promise<SeenRequest[]> {
  store.proxy.faultWith(() => undefined);
  await action();
  const seen = new Map(store.proxy.seen.map(({ request }) => [idOf(request), toSeen(store, request)]));
  return [...seen.values()].sort((left, right) => (left.id < right.id ? -1 : 1));
}

/** How much is tried: everything, or a number of requests of different kinds, with other faults at each turn. */
export type Extent = 'all' | { most: number; turn: number };

/** Each subject takes its turn with other faults. */
export function extentOf<Subject>(
  subjects: readonly Subject[],
  subject: Subject,
  most: number | 'all',
): Extent {
  return most === 'all' ? 'all' : { most, turn: subjects.indexOf(subject) };
}

/** All of them, or the one whose turn it is. */
export function some<Item>(items: readonly Item[], extent: Extent): readonly Item[] {
  return extent === 'all' ? items : items.filter((_, place) => place === extent.turn % items.length);
}

/** Each request with each fault that can befall it; or else requests of different kinds, with one of its faults each. */
export function mishaps(requests: readonly SeenRequest[], extent: Extent): Mishap[] {
  if (extent === 'all') {
    return requests.flatMap((request) => faultsFor(request).map((fault) => ({ request, fault })));
  }
  const { most, turn } = extent;
  const ofKinds = [...new Map(requests.toReversed().map((request) => [request.kind, request])).values()];
  const chosen = ofKinds.filter(
    (_, nth) => Math.floor((nth * most) / ofKinds.length) !== Math.floor(((nth - 1) * most) / ofKinds.length),
  );
  return chosen.flatMap((request, nth) => {
    const faults = faultsFor(request).filter(({ costly }) => costly !== true);
    // Five and three are prime to each other and to the numbers of faults, so that all have their turn.
    const fault = faults[(5 * turn + 3 * nth) % faults.length];
    return fault === undefined ? [] : [{ request, fault }];
  });
}

/** Lets it happen from now on; tells how often it has. */
export function letHappen(
  store: WireStore,
  kind: WireKind,
  { request: { id }, fault }: Mishap,
): () => number {
  let met = 0;
  store.proxy.faultWith((request) => {
    if (idOf(request) !== id) {
      return undefined;
    }
    met += 1;
    return fault.fault(kind);
  });
  return () => met;
}

/** Whatever is asked fails once, the first time. */
export function failEachOnce(
  store: WireStore,
  kind: WireKind,
  { fault, befalls }: LastingFault,
): () => number {
  const met = new Set<string>();
  store.proxy.faultWith((request) => {
    const id = idOf(request);
    const { what } = store.ask(request);
    if (met.has(id) || !befalls.includes(what)) {
      return undefined;
    }
    met.add(id);
    return fault(kind);
  });
  return () => met.size;
}

function faultsFor({ what }: SeenRequest): LastingFault[] {
  return lastingFaults.filter(({ befalls }) => befalls.includes(what));
}

/** Pages after the first are the first one's: what is wrong with a listing is wrong with all of it. */
function idOf({ method, url }: ProxiedRequest): string {
  const { pathname, searchParams } = new URL(url, 'http://store');
  searchParams.delete('continuation-token');
  searchParams.delete('marker');
  searchParams.sort();
  return `${method} ${pathname}?${searchParams.toString()}`;
}

function toSeen(store: WireStore, request: ProxiedRequest): SeenRequest {
  const { what, key } = store.ask(request);
  const { searchParams } = new URL(request.url, 'http://store');
  const level = searchParams.get('delimiter') === null ? '' : ' level';
  const other = what === 'other' ? ` ${[...searchParams.keys()].sort().join(' ')}` : '';
  const shape = key
    .replaceAll(/[0-9a-f]{64}/g, 'DIGEST')
    .replace(/\/sha256\/[0-9a-f]{2}\//, '/sha256/XX/')
    .replace(/(?<=\/repositories\/)[^/]+/, 'NAME')
    .replace(/(?<=\/tags\/)[^/]+/, 'TAG');
  return { id: idOf(request), kind: `${what}${level}${other} ${shape}`, what };
}
