import type { Driver } from '../../../src/drivers/driver.ts';
import { isDriverError } from '../../../src/drivers/errors.ts';

const LARGEST_BYTES = 2 ** 20;

/** A real store, and in memory what is in it, so that it can be judged after every single change. */
export class MirroredStore {
  readonly driver: Driver;
  readonly #objects: Map<string, Uint8Array>;
  /** What was pushed. */
  readonly #pushed = new Map<string, Uint8Array>();
  #lastPush: Promise<void> = Promise.resolve();

  constructor(driver: Driver, objects: Map<string, Uint8Array>) {
    this.driver = driver;
    this.#objects = objects;
  }

  /** Makes the store what it is in memory, one object after another. */
  push(): Promise<void> {
    this.#lastPush = this.#lastPush.then(() => this.#push());
    return this.#lastPush;
  }

  async #push(): Promise<void> {
    for (const key of this.#pushed.keys()) {
      if (!this.#objects.has(key)) {
        await this.driver.delete([key]);
        this.#pushed.delete(key);
      }
    }
    for (const [key, bytes] of this.#objects) {
      if (this.#pushed.get(key) !== bytes) {
        await this.driver.write(key, bytes);
        this.#pushed.set(key, bytes);
      }
    }
  }

  /** Makes one object in memory what it is in the store. */
  async pull(key: string): Promise<void> {
    try {
      this.#objects.set(key, await this.driver.readSmall(key, LARGEST_BYTES));
    } catch (error) {
      if (!isDriverError(error, 'NOT_FOUND')) {
        throw error;
      }
      this.#objects.delete(key);
    }
  }

  /** Makes what is in memory what is in the store, when nobody knows which of the last changes it has carried out. */
  async adopt(): Promise<void> {
    const keys = new Set(this.#objects.keys());
    for await (const page of this.driver.list('')) {
      for (const { key } of page) {
        keys.add(key);
      }
    }
    for (const key of keys) {
      await this.pull(key);
    }
  }

  /** @throws Error when something changed the store unseen. */
  async assertMirrored(): Promise<void> {
    const keys = new Set<string>();
    for await (const page of this.driver.list('')) {
      for (const { key } of page) {
        const [there, here] = [await this.driver.readSmall(key, LARGEST_BYTES), this.#objects.get(key)];
        keys.add(key);
        if (here === undefined || Buffer.compare(there, here) !== 0) {
          throw new Error(`${key} in ${this.driver.location} is not what was seen to be written there`);
        }
      }
    }
    const lost = [...this.#objects.keys()].filter((key) => !keys.has(key));
    if (lost.length > 0) {
      throw new Error(`${lost.join(', ')} went from ${this.driver.location} unseen`);
    }
  }
}
