import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ConcurrencyWindow } from '../../src/drivers/concurrency-window.ts';

interface Store {
  /** How long a call takes that has the store for itself. */
  latencyMs: number;
  /** Calls that wait for one another take longer, in so many places. */
  places: number;
}

/** A clock that goes from one event to the next, and a store that answers by it. */
class Simulation {
  nowMs = 0;
  mostInFlight = 0;
  completed = 0;
  #inFlight = 0;
  readonly #events: { atMs: number; happen: () => void }[] = [];
  readonly #freeAtMs: number[] = [];

  async call(window: ConcurrencyWindow, { latencyMs, places }: Store): Promise<void> {
    if (!window.tryEnter()) {
      await window.enter();
    }
    this.#inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.#inFlight);
    const place = this.completed % places;
    const endMs = Math.max(this.nowMs, this.#freeAtMs[place] ?? 0) + latencyMs;
    this.#freeAtMs[place] = endMs;
    this.completed += 1;
    await new Promise<void>((happen) => {
      this.#events.push({ atMs: endMs, happen });
    });
    this.#inFlight -= 1;
    window.leave();
  }

  /** So many callers, each with one call after another, until this time. */
  async run(window: ConcurrencyWindow, callers: number, store: Store, untilMs: number): Promise<void> {
    let running = callers;
    const loops = Array.from({ length: callers }, async () => {
      while (this.nowMs < untilMs) {
        await this.call(window, store);
      }
      running -= 1;
    });
    const isRunning = (): boolean => running > 0;
    while (isRunning()) {
      await setImmediate();
      const nextMs = Math.min(...this.#events.map(({ atMs }) => atMs));
      if (Number.isFinite(nextMs)) {
        this.nowMs = nextMs;
        this.#events
          .splice(0)
          .map((event) => (event.atMs <= nextMs ? event.happen() : this.#events.push(event)));
      }
    }
    await Promise.all(loops);
  }
}

function simulated(max: number, start?: number) {
  const simulation = new Simulation();
  return { simulation, window: new ConcurrencyWindow({ max, start, now: () => simulation.nowMs }) };
}

const FAR_AND_WIDE = { latencyMs: 30, places: 10_000 };

describe('the window of calls in flight', () => {
  it('grows up to its maximum while more is faster, and never beyond', async () => {
    const { simulation, window } = simulated(256);
    await simulation.run(window, 1000, FAR_AND_WIDE, 5000);
    expect(window.width).toBe(256);
    expect(simulation.mostInFlight).toBe(256);
  });

  it('stays at what the caller allows', async () => {
    const { simulation, window } = simulated(3);
    await simulation.run(window, 1000, FAR_AND_WIDE, 2000);
    expect(simulation.mostInFlight).toBe(3);
  });

  it('stops where more is no faster', async () => {
    const { simulation, window } = simulated(256, 16);
    await simulation.run(window, 1000, { latencyMs: 30, places: 40 }, 8000);
    expect(window.width).toBeGreaterThanOrEqual(36);
    expect(window.width).toBeLessThanOrEqual(60);
  });

  it('does not grow for callers who never wait', async () => {
    const { simulation, window } = simulated(256, 16);
    await simulation.run(window, 12, FAR_AND_WIDE, 5000);
    expect(window.width).toBe(16);
  });

  it('halves once for refusals that come together, again for later ones, and keeps a few', async () => {
    const { simulation, window } = simulated(64);
    const refuse = () => Array.from({ length: 50 }, () => window.slowDown());
    refuse();
    expect(window.width).toBe(32);
    for (let count = 0; count < 10; count += 1) {
      simulation.nowMs += 2000;
      refuse();
    }
    expect(window.width).toBe(4);
  });

  it('stays small for a while after a refusal, and then tries again', async () => {
    const { simulation, window } = simulated(64);
    window.slowDown();
    await simulation.run(window, 1000, FAR_AND_WIDE, 5000);
    expect(window.width).toBe(32);
    await simulation.run(window, 1000, FAR_AND_WIDE, 15_000);
    expect(window.width).toBe(64);
  });

  it('remembers how long the store wants to be left alone', () => {
    const { simulation, window } = simulated(64);
    window.slowDown(3000);
    window.slowDown(1000);
    expect(window.closedForMs).toBe(3000);
    simulation.nowMs = 2000;
    expect(window.closedForMs).toBe(1000);
    simulation.nowMs = 4000;
    expect(window.closedForMs).toBe(0);
  });
});
