#!/usr/bin/env node
// Runs the TypeScript sources as they are, without a build and without a manifest.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { register } from 'tsx/esm/api';

process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
register();

const root = fileURLToPath(new URL('..', import.meta.url));
const pjson = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
pjson.oclif.commands = './src/commands';

const { execute, settings } = await import('@oclif/core');
// oclif's own mapping from dist to src needs the compiler's old interface.
settings.enableAutoTranspile = false;
await execute({ loadOptions: { root, pjson, ignoreManifest: true } });
