#!/usr/bin/env node
'use strict';
const { loadPart, parts, root } = require('./load-bundle.js');

const { run } = loadPart(parts.start).exports;
void run(root, process.argv.slice(2), (lend) => {
  // From Node 22.1 on, what is compiled of the SDKs is kept between runs.
  require('node:module').enableCompileCache?.();
  return loadPart(parts.commands, lend).exports.commands;
});
