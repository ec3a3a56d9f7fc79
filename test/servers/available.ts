import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

/** What a test may need beyond Node and this repository's sources. */
export type Need = 'rgw' | 'azurite' | 'docker-registry' | 'skopeo' | 'openssl';

/** `reason` reads `needs radosgw, install with: apt-get install radosgw ...`. */
export type Availability = { ok: true } | { ok: false; reason: string };

/** Tells whether everything that `needs` stand for is installed, and what to install when it is not. */
export function available(...needs: Need[]): Availability {
  const missing = needs.flatMap((need) => missingFor(need));
  if (missing.length === 0) {
    return { ok: true };
  }
  const names = missing.map(({ name }) => name).join(', ');
  const commands = [...new Set(missing.map(({ install }) => install))].join(' && ');
  return { ok: false, reason: `needs ${names}, install with: ${commands}` };
}

interface Missing {
  name: string;
  install: string;
}

/** Debian's names; `.ci/install-servers` installs the same. */
const PROGRAMS = {
  rgw: {
    programs: ['radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'monmaptool', 'ceph'],
    packages: 'radosgw ceph-mon ceph-osd ceph-common',
  },
  'docker-registry': { programs: ['docker-registry'], packages: 'docker-registry' },
  skopeo: { programs: ['skopeo'], packages: 'skopeo' },
  openssl: { programs: ['openssl'], packages: 'openssl' },
};

function missingFor(need: Need): Missing[] {
  if (need === 'azurite') {
    return isResolvable('azurite/dist/src/blob/main.js') ? [] : [{ name: 'azurite', install: 'npm ci' }];
  }
  const { programs, packages } = PROGRAMS[need];
  return programs
    .filter((program) => !isOnPath(program))
    .map((program) => ({
      name: program,
      install: `apt-get install --no-install-recommends ${packages}`,
    }));
}

function isOnPath(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  return folders.some((folder) => isExecutable(path.join(folder, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isResolvable(module: string): boolean {
  try {
    createRequire(import.meta.url).resolve(module);
    return true;
  } catch {
    return false;
  }
}
