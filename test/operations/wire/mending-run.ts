import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeObjects } from '../../../fixtures/write-objects.ts';
import { describeFailure } from '../../../src/cli/failure.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { openMemory } from '../../../src/drivers/memory.ts';
import { describeWithServers, type SharedServers } from '../../servers/index.ts';
import { brokenTags } from '../../support/pullable.ts';
import { azureKind, s3Kind, type WireKind, type WireStore } from '../../support/wire-stores.ts';
import { UndoList } from '../repair/repairing.ts';
import { isChange } from './wire-run.ts';
import { extentOf, failEachOnce, letHappen, mishaps, requestsOf, some } from './sweep.ts';
import { passingFaults } from './wire-faults.ts';
import { mendByUndo, type Mending, mendingSubjects, type Objects, type Subject } from './mending-subjects.ts';

/** The MD5 of what is under each key. */
type Content = ReadonlyMap<string, string>;

/** Everything that a mending command asks or changes goes wrong, one thing at a time. */
export function describeMending(most: number | 'all'): void {
  for (const kind of [s3Kind, azureKind]) {
    describeWithServers(`on ${kind.name}`, [kind.name === 'S3' ? 'rgw' : 'azurite'], (servers) => {
      describe.each(mendingSubjects)('$name', (subject) => {
        let stage: Stage;
        beforeAll(async () => {
          stage = await openStage(kind, servers, subject);
        });
        afterAll(() => stage.wire.close());

        test('each request fails once: nothing is lost by it', async () => {
          for (const fault of some(passingFaults, extentOf(mendingSubjects, subject, most))) {
            const { wire, judged, mended, undisturbed } = stage;
            const met = failEachOnce(wire, kind, fault);
            const { exitCode } = await attempt(() => stage.mend(new UndoList()));
            expect({ fault: fault.name, exitCode }).toEqual({
              fault: fault.name,
              exitCode: undisturbed.exitCode,
            });
            expect(await contentOf(judged)).toEqual(mended);
            expect(met()).toBeGreaterThan(5);
            await stage.reset();
          }
        });

        test('a request fails each time: what is done is right and noted, and the rest is said', async () => {
          const requests = await requestsOf(stage.wire, () => stage.mend(new UndoList()));
          await stage.reset();
          const wrong: string[] = [];
          for (const mishap of mishaps(requests, extentOf(mendingSubjects, subject, most))) {
            const met = letHappen(stage.wire, kind, mishap);
            const says = await problemsAfter(stage, mishap.fault.lies === true, met);
            wrong.push(...says.map((said) => `${mishap.request.kind}: ${mishap.fault.name}: ${said}`));
          }
          expect(wrong).toEqual([]);
        });

        test.each(['read-only', 'expired'] as const)(
          'from some request on the store is %s',
          async (which) => {
            const { codes, refusal } = kind;
            const fault = which === 'read-only' ? refusal(403, codes.denied) : refusal(...codes.expired);
            const wrong: string[] = [];
            for (let first = 2; ; first = most === 'all' ? first + 1 : 4 * first) {
              let seen = 0;
              stage.wire.proxy.faultWith((request) => {
                seen += which === 'expired' || isChange(stage.wire.ask(request)) ? 1 : 0;
                const isHit = which === 'expired' || isChange(stage.wire.ask(request));
                return isHit && seen >= first ? fault : undefined;
              });
              const says = await problemsAfter(stage, false, () => Number(seen >= first));
              if (seen < first) {
                break;
              }
              wrong.push(...says.map((said) => `from ${first} on: ${said}`));
            }
            expect(wrong).toEqual([]);
          },
        );
      });
    });
  }
}

/** Putting back what a repair did goes wrong. */
export function describeUndoing(most: number | 'all'): void {
  for (const kind of [s3Kind, azureKind]) {
    describeWithServers(`on ${kind.name}`, [kind.name === 'S3' ? 'rgw' : 'azurite'], (servers) => {
      const undoable = mendingSubjects.filter(
        ({ isFinal, changesNothing, side }) =>
          isFinal !== true && changesNothing !== true && side === 'store',
      );
      test.each(undoable)('undo of $name', async (subject) => {
        const stage = await openStage(kind, servers, subject);
        const { wire, judged, damaged, mended } = stage;
        const undo = new UndoList();
        wire.proxy.faultWith(() => undefined);
        await stage.mend(undo);
        expect(undo.entries.length).toBeGreaterThan(0);
        const requests = await requestsOf(wire, () => mendByUndo(wire.driver, undo));
        const wrong: string[] = [];
        for (const mishap of mishaps(requests, extentOf(mendingSubjects, subject, most))) {
          await stage.reset('mended');
          const met = letHappen(wire, kind, mishap);
          const { exitCode, lines } = await attempt(() => mendByUndo(wire.driver, undo));
          const content = await contentOf(judged);
          wire.proxy.faultWith(() => undefined);
          const says = [
            ...oddities({ exitCode, lines }),
            ...(exitCode === 0 && !sameContent(content, damaged) ? ['says that all is put back'] : []),
            // What is left because it "changed since" is left for good: it must have been seen to.
            ...(exitCode === 3 && mishap.fault.lies !== true ? ['says that something changed since'] : []),
            ...keysOf(content, damaged, mended).map((key) => `${key} is neither as before nor as after`),
            ...(met() === 0 ? ['never met'] : []),
          ];
          const again = await attempt(() => mendByUndo(wire.driver, undo));
          if (again.exitCode !== 0 || !sameContent(await contentOf(judged), damaged)) {
            says.push(`once more, without the fault: ${again.lines.join(' / ')}`);
          }
          wrong.push(...says.map((said) => `${mishap.request.kind}: ${mishap.fault.name}: ${said}`));
        }
        expect(wrong).toEqual([]);
        await wire.close();
      });
    });
  }
}

/** A damaged store, and what becomes of it. */
interface Stage {
  wire: WireStore;
  /** The store that is mended, not through the proxy. */
  judged: Driver;
  damaged: Content;
  mended: Content;
  undisturbed: Mending;
  isFinal: boolean;
  mend(undo: UndoList): Promise<Mending>;
  /** Makes it as it was damaged, or as it is to be. */
  reset(to?: 'damaged' | 'mended'): Promise<void>;
  /** `repository:tag` of those that could not be pulled from a store of this content. */
  brokenIn(content: Content): Promise<string[]>;
}

async function openStage(kind: WireKind, servers: SharedServers, subject: Subject): Promise<Stage> {
  const wire = await kind.open(servers, 2);
  const objects = subject.damaged();
  const others = subject.other?.() ?? new Map<string, Uint8Array>();
  const memory = openMemory({ objects: subject.side === 'store' ? others : objects });
  await writeObjects(wire.direct, subject.side === 'store' ? objects : others);
  const [store, other, judged] =
    subject.side === 'store' ? [wire.driver, memory, wire.direct] : [memory, wire.driver, memory];
  const mend = (undo: UndoList) => subject.mend(store, other, undo);
  const undisturbed = await mend(new UndoList());
  const mendedObjects = await objectsOf(judged);
  const known = new Map(
    [...objects.values(), ...mendedObjects.values()].map((bytes) => [md5Of(bytes), bytes]),
  );
  const stage: Stage = {
    wire,
    judged,
    damaged: md5sOf(objects),
    mended: md5sOf(mendedObjects),
    undisturbed,
    isFinal: subject.isFinal === true,
    mend,
    reset: (to = 'damaged') => restore(judged, to === 'damaged' ? objects : mendedObjects),
    async brokenIn(content) {
      const bytes = [...content].map(([key, md5]) => [key, known.get(md5) ?? Buffer.of()] as const);
      return (await brokenTags(openMemory({ objects: bytes }))).map(nameOf);
    },
  };
  await stage.reset();
  expect(await contentOf(judged)).toEqual(stage.damaged);
  return stage;
}

/** What a store holds, by the MD5s in its listing, which both kinds tell of what was put whole. */
async function contentOf(driver: Driver): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const page of driver.list('')) {
    for (const { key, md5, sizeBytes } of page) {
      content.set(key, md5 ?? md5Of(await driver.readSmall(key, sizeBytes)));
    }
  }
  return content;
}

async function objectsOf(driver: Driver): Promise<Map<string, Uint8Array>> {
  const objects = new Map<string, Uint8Array>();
  for await (const page of driver.list('')) {
    for (const { key, sizeBytes } of page) {
      objects.set(key, await driver.readSmall(key, sizeBytes));
    }
  }
  return objects;
}

function md5sOf(objects: Objects): Map<string, string> {
  return new Map([...objects].map(([key, bytes]) => [key, md5Of(bytes)]));
}

function md5Of(bytes: Uint8Array): string {
  return hash('md5', bytes, 'hex');
}

/** Mends with the fault that was set, then without; puts all back; and says what is wrong with any of it. */
async function problemsAfter(stage: Stage, lies: boolean, met: () => number): Promise<string[]> {
  const { wire, judged, damaged, mended, undisturbed } = stage;
  const undo = new UndoList();
  const brokenBefore = new Set(await stage.brokenIn(damaged));
  const first = await attempt(() => stage.mend(undo));
  const isMet = met() > 0;
  wire.proxy.faultWith(() => undefined);
  const content = await contentOf(judged);
  const noted = new Set(undo.entries.map(({ key }) => key));
  const changed = [...new Set([...content.keys(), ...damaged.keys()])].filter(
    (key) => content.get(key) !== damaged.get(key),
  );
  const newlyBroken = (await stage.brokenIn(content)).filter((name) => !brokenBefore.has(name));
  const problems = [
    ...(isMet ? [] : ['never met']),
    ...oddities(first),
    ...(first.exitCode === undisturbed.exitCode && !sameContent(content, mended)
      ? [`says that all is done: ${first.lines.join(' / ')}`]
      : []),
    ...(first.exitCode === 3 && undisturbed.exitCode === 0 && !lies
      ? [`says that something is broken, and could not read it: ${first.lines.join(' / ')}`]
      : []),
    ...keysOf(content, damaged, mended).map((key) => `${key} is neither as before nor as after`),
    ...newlyBroken.map((name) => `broke ${name}`),
    ...(stage.isFinal
      ? []
      : changed
          .filter((key) => !noted.has(key) && !key.startsWith('regtool-quarantine/'))
          .map((key) => `${key} was changed and not noted`)),
  ];
  const again = await attempt(() => stage.mend(undo));
  if (again.exitCode !== undisturbed.exitCode || !sameContent(await contentOf(judged), mended)) {
    problems.push(`once more, without the fault: exit ${again.exitCode} ${again.lines.join(' / ')}`);
  }
  if (!stage.isFinal) {
    const undone = await attempt(() => mendByUndo(judgedAs(stage), undo));
    const back = await contentOf(judged);
    if (undone.exitCode !== 0 || !sameContent(back, damaged)) {
      const left = keysOf(back, damaged, damaged);
      problems.push(`undone: exit ${undone.exitCode} ${undone.lines.join(' / ')}: ${left.join()}`);
    }
  }
  await stage.reset();
  return problems;
}

/** An undo file is of a store by its address, and the proxy's is another. */
function judgedAs({ judged, wire }: Stage): Driver {
  return judged === wire.direct ? wire.driver : judged;
}

/** Keys under which there is neither what was nor what should be; the quarantine may hold more. */
function keysOf(content: Content, before: Content, after: Content): string[] {
  const keys = new Set([...content.keys(), ...before.keys(), ...after.keys()]);
  return [...keys].filter(
    (key) =>
      content.get(key) !== before.get(key) &&
      content.get(key) !== after.get(key) &&
      !key.startsWith('regtool-quarantine/'),
  );
}

function oddities({ exitCode, lines }: Mending): string[] {
  const odd = lines.filter(
    (line) => line.length > 1500 || /\bat .*\.[jt]s:\d|undefined|\[object|xxxx|\p{Cc}/u.test(line),
  );
  return [
    ...([0, 3, 4, 5, 6].includes(exitCode) ? [] : [`exit code ${exitCode}: ${lines.join(' / ')}`]),
    ...odd.map((line) => `an odd line: ${line.slice(0, 300)}`),
  ];
}

/** The same but for what is kept aside. */
function sameContent(left: Content, right: Content): boolean {
  const own = (content: Content) =>
    JSON.stringify(
      [...content]
        .filter(([key]) => !key.startsWith('regtool-quarantine/'))
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  return own(left) === own(right);
}

async function restore(driver: Driver, objects: Objects): Promise<void> {
  const now = await contentOf(driver);
  const surplus = [...now.keys()].filter((key) => !objects.has(key));
  if (surplus.length > 0) {
    await driver.delete(surplus);
  }
  const lacking = [...objects].filter(([key, bytes]) => now.get(key) !== md5Of(bytes));
  await Promise.all(lacking.map(([key, bytes]) => driver.write(key, bytes)));
}

async function attempt(mend: () => Promise<Mending>): Promise<Mending> {
  try {
    return await mend();
  } catch (error) {
    const { exitCode, message, reasons } = describeFailure(error);
    return { exitCode, lines: [message, ...reasons] };
  }
}

function nameOf({ repository, tag }: { repository: string; tag: string }): string {
  return `${repository}:${tag}`;
}
