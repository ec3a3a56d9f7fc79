import type { ObjectKind } from './observer.ts';

export interface Count {
  objects: number;
  bytes: number;
}

export type KindCounts = Partial<Record<ObjectKind, Count>>;

export function addCount(counts: KindCounts, kind: ObjectKind, bytes: number, objects = 1): void {
  const count = (counts[kind] ??= { objects: 0, bytes: 0 });
  count.objects += objects;
  count.bytes += bytes;
}

export function totalOf(counts: KindCounts): Count {
  const total = { objects: 0, bytes: 0 };
  for (const count of Object.values(counts)) {
    total.objects += count.objects;
    total.bytes += count.bytes;
  }
  return total;
}
