#!/usr/bin/env node
import module from 'node:module';
import { loadBundle, root } from './load-bundle.js';

// From Node 22.1 on, what is compiled of the SDKs is kept between runs.
module.enableCompileCache?.();

await loadBundle().exports.run(root, process.argv.slice(2));
