import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { LocationError } from '../location-error.ts';
import { applyEnvironment, type Environment } from './environment.ts';
import { parseGitlabRb } from './gitlab-rb.ts';
import { readStorageSection, type StorageSection } from './storage-section.ts';
import { parseYamlFile } from './yaml-file.ts';

/** A registry's configuration is a few kilobytes. */
const maxFileBytes = 1024 * 1024;

/** A store that a configuration file describes. */
export interface Configuration extends StorageSection {
  /** The file. */
  path: string;
}

/**
 * Reads where a registry keeps its content from the registry's own `config.yml`, or from a `gitlab.rb`.
 * `REGISTRY_STORAGE_...` variables override it as they override it for the registry.
 * @throws LocationError CONFIGURATION_UNREADABLE, CONFIGURATION_INVALID, CONFIGURATION_UNSUPPORTED: names file and line,
 *   and shows nothing of what stands there.
 */
export function readConfiguration(path: string, env: Environment): Configuration {
  return parseConfiguration(readText(path), path, env);
}

/** The same for a text that was read already. The path says which kind it is, and is named in messages. */
export function parseConfiguration(text: string, path: string, env: Environment): Configuration {
  const file = path.endsWith('.rb') ? parseGitlabRb(text, path) : parseYamlFile(text, path);
  return { ...readStorageSection(applyEnvironment(file, env), path), path };
}

function readText(path: string): string {
  const bytes = readBytes(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable(path, 'it is not text');
  }
}

function readBytes(path: string): Buffer {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    const { size } = fstatSync(descriptor);
    if (size > maxFileBytes) {
      throw unreadable(path, `it has ${size} bytes`);
    }
    return readFileSync(descriptor);
  } catch (error) {
    if (error instanceof LocationError) {
      throw error;
    }
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new LocationError(
      'CONFIGURATION_UNREADABLE',
      `${path} cannot be read (${code}): run regtool as a user who may read it, such as root, as registries keep keys in it.`,
    );
  } finally {
    if (descriptor !== undefined) {
      closeSync(descriptor);
    }
  }
}

function unreadable(path: string, why: string): LocationError {
  return new LocationError(
    'CONFIGURATION_UNREADABLE',
    `${path} is no configuration of a registry, as ${why}: give its config.yml, or the folder that holds docker/.`,
  );
}
