import type { ObjectStat } from '../../drivers/driver.ts';
import { classifyMarker, markerPlace } from '../../layout/markers.ts';
import { isDriverPath } from '../../layout/names.ts';
import { REPOSITORIES_PREFIX, type RegistryPath, repositoryOf } from '../../layout/paths.ts';
import type { CheckRun } from './run.ts';

/** Judges an object that is neither content nor part of a repository that is judged as a whole. */
export async function judgeStray(run: CheckRun, path: RegistryPath, object: ObjectStat): Promise<void> {
  const { key, sizeBytes } = object;
  if (object.isFolderStub === true && path.kind !== 'directory-marker') {
    run.gather('folder-stub', '', 'zero-byte objects stand for folders', object);
    return;
  }
  switch (path.kind) {
    case 'directory-marker': {
      const facts = { store: run.driver.name, tagHasLinks: false, sizeBytes };
      const code = classifyMarker(path.folder, facts);
      await run.report({ code, detail: markerDetail(path.folder), paths: [key], sizeBytes });
      return;
    }
    case 'temporary': {
      const ageMs = object.modifiedAtMs === undefined ? undefined : run.nowMs - object.modifiedAtMs;
      const detail = `${path.by === 'regtool' ? 'regtool' : 'a registry'} was writing ${path.of}`;
      const repository = repositoryOf(key);
      await run.report({
        code: 'temporary-file',
        detail,
        paths: [key],
        sizeBytes,
        ...(repository !== undefined && { repository }),
        ...(ageMs !== undefined && { ageMs }),
      });
      return;
    }
    case 'tarsum':
      run.gather('tarsum-data', '', 'files of registry 2.0', object);
      return;
    case 'scheduler-state':
      await run.report({ code: 'pull-through-cache', detail: 'scheduler-state.json is there', paths: [key] });
      return;
    case 'foreign':
      await judgeForeign(run, path, object);
      return;
    default:
  }
}

export function markerDetail(folder: string): string {
  const where = markerPlace(folder);
  switch (where.place) {
    case 'tags':
      return 'it stands for the folder of the tags';
    case 'tag':
      return `it stands for a folder of the tag ${JSON.stringify(where.tag)}`;
    case 'walked':
      return 'it stands for a folder that the upload purger walks';
    case 'elsewhere':
      return 'it stands for a folder';
  }
}

type ForeignPath = Extract<RegistryPath, { kind: 'foreign' }>;

async function judgeForeign(run: CheckRun, { key, reason }: ForeignPath, object: ObjectStat): Promise<void> {
  const { sizeBytes } = object;
  const repository = repositoryOf(key);
  switch (reason) {
    case 'leading-slash':
      run.gather('key-leading-slash', '', 'keys begin with a slash', object);
      break;
    case 'double-slash': {
      const prefix = key.slice(0, key.indexOf('//') + 2);
      run.gather('key-double-slash', prefix, `keys begin with ${JSON.stringify(prefix)}`, object);
      break;
    }
    case 'driver-grammar': {
      const prefix = firstRefused(key);
      run.gather('key-outside-grammar', prefix, `${JSON.stringify(prefix)} cannot be addressed`, object);
      break;
    }
    case 'repository-name': {
      const name = repository ?? key.slice(REPOSITORIES_PREFIX.length).split('/')[0] ?? '';
      run.gather(
        'repository-name-invalid',
        name,
        `${JSON.stringify(name)} is no name for a repository`,
        object,
      );
      break;
    }
    case 'v1':
      run.gather('registry-v1-data', '', 'keys of the former layout', object);
      break;
    case 'outside-registry':
      await run.report({
        code: 'foreign-files',
        detail: "it is not the registry's",
        paths: [key],
        sizeBytes,
      });
      break;
    case 'digest':
      await run.report({
        code: 'key-digest-invalid',
        detail: 'a folder in it should be named by a digest, and is not',
        paths: [key],
        sizeBytes,
        ...(repository !== undefined && { repository }),
      });
      break;
    // Both are judged with the names of the repository's tags, where they have one.
    case 'tag-name':
      break;
    case 'unknown-place':
      await run.report({
        code: 'file-unexpected',
        detail: 'no registry looks there',
        paths: [key],
        sizeBytes,
        ...(repository !== undefined && { repository }),
      });
  }
}

/** The key up to the first component that a registry's driver refuses. */
function firstRefused(key: string): string {
  const components = key.split('/');
  const index = components.findIndex((component) => !isDriverPath(component));
  return components.slice(0, index + 1).join('/');
}
