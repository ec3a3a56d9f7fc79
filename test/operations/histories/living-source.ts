import { randomRegistry, Random, type RandomRegistry } from '../../../fixtures/random-registry.ts';
import { openMemory, type MemoryDriver } from '../../../src/drivers/memory.ts';
import { visibleTags } from '../../support/broken-objects.ts';

export type Damage = 'lose' | 'truncate' | 'flip';

/** Above 256 KiB a blob is streamed. */
const LAYER_SIZES_BYTES = [1, 100, 3000, 1, 100, 3000, 1, 100, 3000, 270_000];

/**
 * The source of a history: a registry that things happen to, one key at a time in the order in which a registry writes
 * and removes them, and the memory of what it once showed.
 */
export class LivingSource {
  readonly memory: MemoryDriver;
  /** Each `current` link and digest that it ever had, and those of them that could not be pulled at some moment. */
  readonly had = new Set<string>();
  readonly brokenAt = new Set<string>();
  /** Grows with every key that changes. */
  version = 0;
  readonly #random: Random;
  readonly #happening: RandomRegistry;
  readonly #damaged = new Set<string>();
  #applied = 0;

  constructor(seed: string, size: number, pageSize: number) {
    this.#random = new Random(`${seed} source`);
    this.#happening = randomRegistry(seed, size, LAYER_SIZES_BYTES);
    this.memory = openMemory({ pageSize });
    this.#keepSomething();
    this.settle();
  }

  get isDamaged(): boolean {
    return this.#damaged.size > 0;
  }

  get hasPending(): boolean {
    return this.#applied < this.#happening.registry.changes.length;
  }

  /** Something happens, of which no key is changed yet. Returns what. */
  happen(): string {
    return this.#random.below(3) === 0 ? this.remove() : this.#happening.change();
  }

  /** Something is deleted, of which no key is changed yet. */
  remove(): string {
    return this.#happening.remove();
  }

  /** Changes the next key; makes something happen when there is none. */
  step(): void {
    const change = this.#happening.registry.changes[this.#applied];
    if (change === undefined) {
      return;
    }
    this.#applied += 1;
    this.version += 1;
    const { objects } = this.memory;
    if (change.content === undefined) {
      objects.delete(change.key);
    } else {
      objects.set(change.key, change.content);
    }
    if (change.content === undefined || change.key.endsWith('/current/link')) {
      this.#remember();
    }
  }

  /** Changes some of the keys that are still to be changed, as in the middle of a push. */
  stepSome(): void {
    const pending = this.#happening.registry.changes.length - this.#applied;
    for (let left = this.#random.below(pending + 1); left > 0; left -= 1) {
      this.step();
    }
  }

  /** Changes all keys that are still to be changed. */
  settle(): void {
    while (this.hasPending) {
      this.step();
    }
  }

  /** Something that no registry does: a disk does. Returns what. */
  damage(how: Damage): string {
    const blobs = [...this.memory.objects.keys()].filter((key) => key.includes('/blobs/'));
    if (blobs.length === 0) {
      return 'there is nothing to damage';
    }
    const key = this.#random.pick(blobs);
    const bytes = this.memory.objects.get(key) ?? new Uint8Array();
    this.#damaged.add(key);
    this.version += 1;
    if (how === 'lose') {
      this.memory.objects.delete(key);
    } else if (how === 'truncate') {
      this.memory.objects.set(key, bytes.slice(0, bytes.length - 1));
    } else {
      this.memory.objects.set(
        key,
        bytes.map((byte, index) => (index === 0 ? byte ^ 1 : byte)),
      );
    }
    this.#remember();
    return `${how} ${key}`;
  }

  /** Undoes all damage, and puts something into a registry that may have nothing left. */
  restore(): void {
    this.settle();
    for (const key of this.#damaged) {
      const bytes = this.#happening.registry.objects.get(key);
      if (bytes !== undefined) {
        this.memory.objects.set(key, bytes);
      }
    }
    this.#damaged.clear();
    this.#keepSomething();
    this.settle();
    this.version += 1;
    this.#remember();
  }

  /** Random things may leave an empty registry, from which nothing is ever deleted. */
  #keepSomething(): void {
    const { registry } = this.#happening;
    registry.push('keep', 'v1', registry.image());
  }

  #remember(): void {
    for (const { key, digest, why } of visibleTags(this.memory.objects)) {
      this.had.add(`${key} ${digest}`);
      if (why !== undefined) {
        this.brokenAt.add(`${key} ${digest}`);
      }
    }
  }
}
