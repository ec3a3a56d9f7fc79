#!/usr/bin/env node
// Runs the TypeScript sources as they are: oclif maps dist to src, and tsx translates.
import { register } from 'tsx/esm/api';

process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
register();

const { execute } = await import('@oclif/core');
await execute({ development: true, dir: import.meta.url });
