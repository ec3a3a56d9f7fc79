import { readFileSync } from 'node:fs';

/** What the compiler of oclif makes of an import: `const os_1 = require("node:os");`, perhaps within a helper. */
const IMPORT = /^(?:const|var) (\w+_\d+) = ((?:__import(?:Default|Star)\()?require\("[^"]+"\)\)?);$/gm;

/**
 * Lets each module of oclif start those that it imports when it first needs something of them, where it would start
 * all of them at once: what finds commands in folders, makes manifests, runs child processes or draws spinners is
 * needed by none of our commands.
 */
export function lazyOclif() {
  return {
    name: 'lazy oclif',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]@oclif[\\/]core[\\/]lib[\\/].*\.js$/ }, ({ path: file }) => ({
        contents: withLazyImports(readFileSync(file, 'utf8')),
      }));
    },
  };
}

/** The text of a CommonJS module, with its imports as functions. One that is used as a whole is left as it is. */
export function withLazyImports(text) {
  let lazy = text;
  for (const [statement, name, value] of text.matchAll(IMPORT)) {
    const uses = new RegExp(`\\b${name}\\b`, 'g');
    const members = new RegExp(`\\b${name}\\.`, 'g');
    const isUsedByMembers = text.match(uses)?.length === (text.match(members)?.length ?? 0) + 1;
    if (isUsedByMembers) {
      lazy = lazy
        // In parentheses, for `new` would take the function itself.
        .replaceAll(members, `(${name}()).`)
        .replace(statement, () => `let ${name}_started; const ${name} = () => ${name}_started ??= ${value};`);
    }
  }
  return lazy;
}
