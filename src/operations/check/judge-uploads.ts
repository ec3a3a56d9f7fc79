import { isDriverError } from '../../drivers/errors.ts';
import { isUploadId } from '../../layout/names.ts';
import { REGISTRY_ROOT, repositoryPrefix } from '../../layout/paths.ts';
import type { RepositoryListing, UploadListing } from './repository-listing.ts';
import { type CheckRun, isGone } from './run.ts';

const STARTED_AT_MAX_BYTES = 64;

/** Uploads that were begun long ago. A younger one may be a push under way, and is no finding. */
export async function judgeUploads(run: CheckRun, { repository, uploads }: RepositoryListing): Promise<void> {
  for (const [uploadId, upload] of uploads) {
    const folder = `${repositoryPrefix(repository)}_uploads/${uploadId}/`;
    if (!isUploadId(uploadId)) {
      const detail = 'it is in the place of an upload, and its name is not that of one';
      await run.report({ code: 'file-unexpected', detail, paths: [upload.key], repository });
      continue;
    }
    const startedAtMs = await readStartedAt(run, upload);
    const beganAtMs = startedAtMs ?? upload.modifiedAtMs;
    const ageMs = beganAtMs === undefined ? undefined : run.nowMs - beganAtMs;
    if (ageMs !== undefined && ageMs < run.abandonedAfterMs) {
      continue;
    }
    await run.report({
      code: startedAtMs === undefined ? 'upload-unpurgeable' : 'upload-abandoned',
      detail:
        startedAtMs === undefined
          ? 'its startedat file is missing or holds no time'
          : `it was begun at ${new Date(startedAtMs).toISOString()}`,
      paths: [folder],
      repository,
      sizeBytes: upload.sizeBytes,
      objects: upload.objects,
      ...(ageMs !== undefined && { ageMs }),
    });
  }
}

/** The registry writes RFC 3339 in UTC (`2024-01-02T15:04:05Z`). */
async function readStartedAt(run: CheckRun, { startedAt }: UploadListing): Promise<number | undefined> {
  if (startedAt === undefined || startedAt.sizeBytes > STARTED_AT_MAX_BYTES) {
    return undefined;
  }
  try {
    const bytes = await run.call(() =>
      run.driver.readSmall(startedAt.key, STARTED_AT_MAX_BYTES, { signal: run.signal }),
    );
    const text = new TextDecoder().decode(bytes);
    const timeMs = RFC_3339.test(text) ? Date.parse(text) : Number.NaN;
    return Number.isNaN(timeMs) ? undefined : timeMs;
  } catch (error) {
    if (!isGone(error)) {
      await run.noteUnread(startedAt.key, error);
    } else {
      await run.isReallyGone(startedAt.key, { wasListed: true });
    }
    return undefined;
  }
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** Multipart uploads that were begun long ago, where the store can tell. Returns why it cannot, if that is so. */
export async function judgeMultipartUploads(run: CheckRun): Promise<string | undefined> {
  const { driver } = run;
  if (driver.listUploads === undefined) {
    return undefined;
  }
  try {
    for await (const page of driver.listUploads(REGISTRY_ROOT, { signal: run.signal })) {
      for (const { key, uploadId, startedAtMs, sizeBytes } of page) {
        const ageMs = run.nowMs - startedAtMs;
        if (ageMs >= run.abandonedAfterMs) {
          const detail = `the upload ${uploadId} was begun at ${new Date(startedAtMs).toISOString()}`;
          const facts = { code: 'multipart-upload-abandoned' as const, detail, paths: [key], ageMs };
          await run.report({ ...facts, ...(sizeBytes !== undefined && { sizeBytes }) });
        }
      }
    }
    return undefined;
  } catch (error) {
    // It costs money and harms no pull: not being allowed to see it is no reason to doubt the rest.
    if (isDriverError(error, 'PERMISSION_DENIED', 'UNSUPPORTED')) {
      return `multipart uploads were not looked at: ${error.message}`;
    }
    await run.noteUnread('multipart uploads', error);
    return undefined;
  }
}
