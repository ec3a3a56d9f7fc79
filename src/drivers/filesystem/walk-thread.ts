import { parentPort } from 'node:worker_threads';
import type { AttachedFolder } from './attached-folders.ts';
import { filesystemError } from './errors.ts';
import { openSmallReader } from './read-small.ts';
import { countSleeps } from './sleeps.ts';
import { packError, packPage, type WalkBegin, type WalkReply, type WalkRequest } from './walk-messages.ts';
import { walkFiles, type Walk } from './walk.ts';

// What runs in each thread of `walk-threads.ts`: started as a thread, never imported.

/** Two pages of each listing under way are in memory, here or there. */
const PAGE_SIZE = 250;

interface Begun extends WalkBegin {
  walk?: Walk;
  /** Followed since the last page. */
  links: AttachedFolder[];
}

/** Those under way. Each goes on by a page when it is asked for one, so that they take turns. */
const walks = new Map<number, Begun>();
const smallFiles = openSmallReader();

parentPort?.on('message', (request: WalkRequest) => {
  if (request.kind === 'end') {
    walks.delete(request.walk);
    return;
  }
  if (request.begin !== undefined) {
    walks.set(request.walk, { ...request.begin, links: [] });
  }
  const begun = walks.get(request.walk);
  if (begun !== undefined) {
    parentPort?.postMessage(answerTo(request.job, begun));
  }
});

function answerTo(job: number, begun: Begun): WalkReply {
  const { root, prefix, wanted } = begun;
  const sleepsBefore = countSleeps();
  try {
    begun.walk ??= walkFiles(root, prefix, {
      ...wanted,
      readNow: smallFiles.readNow,
      onLink: (link) => begun.links.push(link),
    });
    const page = begun.walk.nextPage(PAGE_SIZE);
    const sleeps = countSleeps() - sleepsBefore;
    const links = begun.links.splice(0);
    return { kind: 'page', job, page: packPage(page), isLast: page.length < PAGE_SIZE, sleeps, links };
  } catch (error) {
    // A failed system call is the store's failure.
    return { kind: 'failed', job, error: packError(filesystemError(error, 'list', root + prefix, prefix)) };
  }
}
