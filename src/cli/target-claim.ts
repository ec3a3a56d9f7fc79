import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Driver, StoreIdentity } from '../drivers/driver.ts';
import { SafetyRefusal } from '../operations/errors.ts';

/** How long the run that has the target may take to say who it is: it may be walking a large folder. */
const ANSWER_TIMEOUT_MS = 3000;

/** What the run that has the target says of itself: `123 repair`. */
const ANSWER = /^(?<pid>\d+) (?<command>[a-z-]+)$/;

/**
 * Carries out a command that writes to a store while no other run of this machine does: `migrate` to its target,
 * `repair`, `fix-empty-tags`. Two at once can break a tag: what one of them knows to be in the store, or plans to
 * change, the other deletes or changes. The claim is taken before anything is looked at, as that is what plans rest
 * on. A dry run writes nothing, and neither claims nor is refused.
 * @throws SafetyRefusal TARGET_IN_USE, with the process that has it.
 */
export async function whileClaimed<Result>(
  store: Driver,
  { command, dryRun }: { command: string; dryRun: boolean },
  action: () => Promise<Result>,
): Promise<Result> {
  const claim = dryRun ? undefined : await claimTarget(store, command);
  try {
    return await action();
  } finally {
    await claim?.release();
  }
}

/**
 * Keeps other runs of this machine from writing to the store until `release` is called or the process is gone.
 *
 * The claim is a Unix socket in Linux's abstract namespace (unix(7)), which has a name and no file: the kernel
 * drops it with the process, however that ends, so no claim is ever stale and nothing is left behind. Whoever finds
 * the name taken asks there for the process to look at. Other systems have no such names, and no claim then.
 * @throws SafetyRefusal TARGET_IN_USE, with the process that has it.
 */
export async function claimTarget(
  { identity, location }: Pick<Driver, 'identity' | 'location'>,
  command: string,
): Promise<{ release: () => Promise<void> }> {
  if (process.platform !== 'linux') {
    return { release: async () => {} };
  }
  const name = socketName(identity);
  const server = createServer((socket) => {
    // Whoever asks may be gone before the answer; that is all the same here.
    socket.on('error', () => {});
    // And whoever never hangs up, as a process that was stopped, must not hold this one up at its end.
    socket.end(`${process.pid} ${command}`, () => socket.destroy());
  });
  if (!(await listens(server, name))) {
    const holder = await holderOf(name);
    const who =
      holder === undefined
        ? 'Another run of regtool'
        : `Another run of regtool (${holder.command}, process ${holder.pid})`;
    const how = holder === undefined ? 'find it with: pgrep -af regtool' : `kill ${holder.pid}`;
    throw new SafetyRefusal(
      'TARGET_IN_USE',
      `${who} is writing to ${location}: nothing was done. Wait until it has ended, or end it (${how}), and run this again.`,
    );
  }
  server.unref();
  return {
    async release() {
      server.close();
      await once(server, 'close');
    },
  };
}

/** Whether the name was free, and is now taken. */
async function listens(server: Server, name: string): Promise<boolean> {
  try {
    server.listen(name);
    await once(server, 'listening');
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      return false;
    }
    throw error;
  }
}

/** The process that has the name, and what it does, if it answers. */
async function holderOf(name: string): Promise<{ pid: string; command: string } | undefined> {
  const socket = connect(name);
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy());
  try {
    const answer = await text(socket);
    const { pid, command } = ANSWER.exec(answer)?.groups ?? {};
    return pid === undefined || command === undefined ? undefined : { pid, command };
  } catch (error) {
    if (error instanceof Error) {
      // It ended in between, or does not answer: the sentence does without.
      return undefined;
    }
    throw error;
  }
}

/** Roots, buckets and hosts may be longer than the 107 bytes that a name may have. */
function socketName({ service, container, root }: StoreIdentity): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([service, container, root]))
    .digest('hex');
  return `\0regtool-target-${hash}`;
}
