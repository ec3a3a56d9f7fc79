// Adds to package-lock.json the optional platform packages that its packages name and that it lacks
// (npm leaves out those the registry did not serve, and `npm ci` then refuses the file).
import { readFileSync, writeFileSync } from 'node:fs';
const file = process.argv[2] ?? 'package-lock.json';
const lock = JSON.parse(readFileSync(file, 'utf8'));
const cpus = ['x64', 'arm64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'wasm32'];
const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
let added = 0;
for (const [folder, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const isThere =
      folder
        .split('/node_modules/')
        .some(
          (_, depth, parts) =>
            `${parts.slice(0, depth + 1).join('/node_modules/')}/node_modules/${name}` in lock.packages,
        ) || `node_modules/${name}` in lock.packages;
    if (isThere) continue;
    const words = name.split('/').at(-1).split('-');
    const os = systems.filter((word) => words.includes(word));
    const cpu = cpus.filter((word) => words.includes(word));
    const libc = words.some((word) => word.startsWith('musl'))
      ? ['musl']
      : words.includes('gnu')
        ? ['glibc']
        : [];
    lock.packages[`node_modules/${name}`] = {
      version,
      ...(cpu.length && { cpu }),
      dev: true,
      ...(libc.length && { libc }),
      optional: true,
      ...(os.length && { os }),
    };
    console.log(name, version, os, cpu, libc);
    added += 1;
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')),
);
writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
console.log(`${added} added`);
