import { parentPort } from 'node:worker_threads';
import { filesystemError } from './errors.ts';
import { openSmallReader } from './read-small.ts';
import { countSleeps } from './sleeps.ts';
import { packError, packPage, type WalkReply, type WalkRequest } from './walk-messages.ts';
import { walkFiles, type Walk } from './walk.ts';

// What runs in each thread of `walk-threads.ts`: started as a thread, never imported.

/** Two pages of each listing under way are in memory, here or there. */
const PAGE_SIZE = 250;

/** Those under way. Each goes on by a page when it is asked for one, so that they take turns. */
const walks = new Map<number, Walk>();
const smallFiles = openSmallReader();

parentPort?.on('message', (request: WalkRequest) => {
  if (request.kind === 'end') {
    walks.delete(request.walk);
  } else {
    parentPort?.postMessage(answerTo(request));
  }
});

function answerTo(request: Exclude<WalkRequest, { kind: 'end' }>): WalkReply {
  const { job, root, prefix } = request;
  const sleepsBefore = countSleeps();
  try {
    const page = walkOf(request).nextPage(PAGE_SIZE);
    const sleeps = countSleeps() - sleepsBefore;
    return { kind: 'page', job, page: packPage(page), isLast: page.length < PAGE_SIZE, sleeps };
  } catch (error) {
    // A failed system call is the store's failure.
    return { kind: 'failed', job, error: packError(filesystemError(error, 'list', root + prefix, prefix)) };
  }
}

function walkOf({ walk, root, prefix, wanted }: Exclude<WalkRequest, { kind: 'end' }>): Walk {
  const begun = walks.get(walk) ?? walkFiles(root, prefix, { ...wanted, readNow: smallFiles.readNow });
  walks.set(walk, begun);
  return begun;
}
