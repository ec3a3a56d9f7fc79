/**
 * Writes oclif.manifest.json, which goes into the bundle, so that `--help` and `--version` know all commands without
 * loading one. Part of every build, so that it says what the code says; what runs the sources
 * (bin/dev.mjs, the documents, the tests of commands) does not read it.
 */
import { rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Plugin, settings } from '@oclif/core';

// What is described is what was built, also where NODE_ENV says "development" or "test".
settings.enableAutoTranspile = false;

const root = fileURLToPath(new URL('..', import.meta.url));
const file = new URL('../oclif.manifest.json', import.meta.url);
// Where a command cannot be loaded, none is better than an old one.
await rm(file, { force: true });
const plugin = new Plugin({
  root,
  type: 'core',
  ignoreManifest: true,
  errorOnManifestCreate: true,
  respectNoCacheDefault: true,
});
await plugin.load();
await writeFile(file, `${JSON.stringify(plugin.manifest, null, 2)}\n`);
