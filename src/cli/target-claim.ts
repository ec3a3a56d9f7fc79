import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Driver, StoreIdentity } from '../drivers/driver.ts';
import { SafetyRefusal } from '../operations/errors.ts';

/** How long the run that has the target may take to say who it is: it may be walking a large folder. */
const ANSWER_TIMEOUT_MS = 3000;

/**
 * Keeps a second run of this machine from writing to the same target until `release` is called or the process is
 * gone. Two runs at once can break a tag: what one of them knows to be at the target, the other deletes.
 *
 * The claim is a Unix socket in Linux's abstract namespace (unix(7)), which has a name and no file: the kernel
 * drops it with the process, however that ends, so no claim is ever stale and nothing is left behind. Whoever finds
 * the name taken asks there for the process to look at. Other systems have no such names, and no claim then.
 * @throws SafetyRefusal TARGET_IN_USE, with the process that has it.
 */
export async function claimTarget({
  identity,
  location,
}: Pick<Driver, 'identity' | 'location'>): Promise<{ release: () => Promise<void> }> {
  if (process.platform !== 'linux') {
    return { release: async () => {} };
  }
  const name = socketName(identity);
  const server = createServer((socket) => {
    // Whoever asks may be gone before the answer; that is all the same here.
    socket.on('error', () => {});
    socket.end(String(process.pid));
  });
  if (!(await listens(server, name))) {
    const holder = await holderOf(name);
    throw new SafetyRefusal(
      'TARGET_IN_USE',
      `Another run of regtool${holder === undefined ? '' : `, process ${holder},`} is writing to ${location}: nothing was done. ` +
        `Wait until it has ended, or end it (${holder === undefined ? 'find it with: pgrep -af regtool' : `kill ${holder}`}) and run this again, which goes on where it was.`,
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

/** The number of the process that has the name, if it answers. */
async function holderOf(name: string): Promise<number | undefined> {
  const socket = connect(name);
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy());
  try {
    const answer = await text(socket);
    return /^\d+$/.test(answer) ? Number(answer) : undefined;
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
