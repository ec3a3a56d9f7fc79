import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeObjects } from '../../../fixtures/write-objects.ts';
import { describeFailure } from '../../../src/cli/failure.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { openMemory } from '../../../src/drivers/memory.ts';
import { describeWithServers } from '../../servers/index.ts';
import { azureKind, s3Kind, type WireStore } from '../../support/wire-stores.ts';
import { isChange } from './wire-run.ts';
import { extentOf, failEachOnce, letHappen, mishaps, requestsOf, some } from './sweep.ts';
import { passingFaults } from './wire-faults.ts';
import { type Reading, readingSubjects } from './reading-subjects.ts';

/** Everything that a reading command asks goes wrong, one thing at a time. */
export function describeReading(most: number | 'all'): void {
  for (const kind of [s3Kind, azureKind]) {
    describeWithServers(`on ${kind.name}`, [kind.name === 'S3' ? 'rgw' : 'azurite'], (servers) => {
      describe.each(readingSubjects)('$name', (subject) => {
        let store: WireStore;
        let other: Driver;
        let undisturbed: Reading;
        beforeAll(async () => {
          const { wire, other: objects } = subject.stores();
          store = await kind.open(servers, 2);
          await writeObjects(store.direct, wire);
          other = openMemory({ objects });
          undisturbed = await attempt(() => subject.read(store.driver, other));
        });
        afterAll(() => store.close());

        test('each request fails once: nothing is lost by it', async () => {
          for (const fault of some(passingFaults, extentOf(readingSubjects, subject, most))) {
            const met = failEachOnce(store, kind, fault);
            const reading = await attempt(() => subject.read(store.driver, other));
            const { rests, statuses } = reading;
            const isSame =
              statuses === undefined
                ? isDeepStrictEqual(rests, undisturbed.rests)
                : saysNoMore(statuses, undisturbed.statuses);
            expect({ fault: fault.name, isSame, rests }).toMatchObject({ fault: fault.name, isSame: true });
            expect(met()).toBeGreaterThan(5);
          }
        });

        test('a request fails each time: the verdict is right, or that there is none', async () => {
          const requests = await requestsOf(store, () => subject.read(store.driver, other));
          const wrong: string[] = [];
          for (const mishap of mishaps(requests, extentOf(readingSubjects, subject, most))) {
            const { request, fault } = mishap;
            const met = letHappen(store, kind, mishap);
            const reading = await attempt(() => subject.read(store.driver, other));
            const says = problemsOf(reading, undisturbed, fault.lies === true);
            if (met() === 0) {
              says.push('never met');
            }
            if (store.proxy.seen.some(({ request: sent }) => isChange(store.ask(sent)))) {
              says.push('changed something');
            }
            wrong.push(...says.map((said) => `${request.kind}: ${fault.name}: ${said}`));
          }
          expect(wrong).toEqual([]);
          store.proxy.faultWith(() => undefined);
          expect((await attempt(() => subject.read(store.driver, other))).rests).toEqual(undisturbed.rests);
        });
      });
    });
  }
}

/** Whether each status is as it was, or worse, or that it is not known. */
function saysNoMore(
  statuses: ReadonlyMap<string, string>,
  undisturbed: ReadonlyMap<string, string> | undefined,
): boolean {
  return [...statuses].every(
    ([name, status]) => status === 'unknown' || status === 'failed' || status === undisturbed?.get(name),
  );
}

/** The object that a name of a finding is about. */
function objectOf(name: string): string {
  return name.slice(name.indexOf(' ') + 1);
}

/** What must not be said, and is. */
function problemsOf(reading: Reading, undisturbed: Reading, lies: boolean): string[] {
  const problems: string[] = [];
  const { exitCode, lines } = reading;
  const isSame =
    isDeepStrictEqual(reading.rests, undisturbed.rests) ||
    (reading.statuses !== undefined && saysNoMore(reading.statuses, undisturbed.statuses));
  if (![0, 3, 4, 5, 6].includes(exitCode)) {
    problems.push(`exit code ${exitCode}: ${lines.join(' / ')}`);
  }
  if (new Set(reading.found).size !== reading.found.length) {
    problems.push(`says something twice: ${reading.found.join()}`);
  }
  if (exitCode === 0 && !isSame) {
    problems.push(`says that all is well: ${lines[0] ?? ''}`);
  }
  if (exitCode === 3 && !isSame) {
    // Other bytes on the way to one side change what is wrong with an object, but not that something is.
    const names = new Set(reading.found.map(lies ? objectOf : String));
    const missed = undisturbed.found.filter((name) => !names.has(lies ? objectOf(name) : name));
    const invented = reading.found.filter((name) => !undisturbed.found.includes(name));
    if (missed.length > 0 || (!lies && invented.length > 0)) {
      problems.push(`a verdict that misses ${missed.join()} and invents ${invented.join()}`);
    }
  }
  const odd = lines.filter(
    (line) => line.length > 1500 || /\bat .*\.[jt]s:\d|undefined|\[object|xxxx|\p{Cc}/u.test(line),
  );
  problems.push(...odd.map((line) => `an odd line: ${line.slice(0, 300)}`));
  return problems;
}

async function attempt(read: () => Promise<Reading>): Promise<Reading> {
  try {
    return await read();
  } catch (error) {
    const { exitCode, message, reasons } = describeFailure(error);
    return { exitCode, lines: [message, ...reasons], rests: 'none', found: [] };
  }
}
