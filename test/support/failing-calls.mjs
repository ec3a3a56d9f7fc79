// Loaded into the built command with `--import`: makes system calls on chosen paths fail as a disk, a kernel or
// another user would make them fail. The command's own code is as it is shipped. FAILING_CALLS is JSON:
// [{ "call": "open", "path": "/registry/", "code": "EIO", "after": 2, "times": 1 }], where `path` is a part of the
// path, `after` is how many such calls go well before, and `times` how many fail then (all, if it is left out).
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { getSystemErrorName } from 'node:util';

const faults = JSON.parse(process.env.FAILING_CALLS ?? '[]').map((fault) => ({ ...fault, seen: 0 }));
const paths = new Map();
/** Of Linux (errno(3)), which Node does not know. */
const MORE = { EUCLEAN: 117 };

/** Throws what the system would, if this call is one of those that are to fail. */
function meet(call, where) {
  const path = String(where);
  for (const fault of faults) {
    if (fault.call !== call || !path.includes(fault.path)) {
      continue;
    }
    fault.seen += 1;
    const nth = fault.seen - (fault.after ?? 0);
    if (nth < 1 || nth > (fault.times ?? Number.POSITIVE_INFINITY)) {
      continue;
    }
    if (fault.signal !== undefined) {
      process.kill(process.pid, fault.signal);
      continue;
    }
    const errno = -(os.constants.errno[fault.code] ?? MORE[fault.code]);
    // Node has no names for some: it says `Unknown system error -122` for EDQUOT.
    const code = getSystemErrorName(errno);
    throw Object.assign(new Error(`${code}: made to fail, ${call} '${path}'`), {
      errno,
      code,
      syscall: call,
      path,
    });
  }
}

for (const call of ['open', 'lstat', 'stat', 'readdir', 'realpath']) {
  const original = fs[`${call}Sync`];
  fs[`${call}Sync`] = Object.assign(function checked(path, ...rest) {
    meet(call, path);
    const result = original.call(this, path, ...rest);
    if (call === 'open') {
      paths.set(result, path);
    }
    return result;
  }, original);
}

for (const call of ['read', 'fstat', 'close']) {
  const original = fs[`${call}Sync`];
  fs[`${call}Sync`] = function checked(file, ...rest) {
    meet(call, paths.get(file) ?? '');
    return original.call(this, file, ...rest);
  };
}

for (const call of [
  'mkdir',
  'mkdtemp',
  'rename',
  'unlink',
  'rmdir',
  'readdir',
  'realpath',
  'stat',
  'chown',
]) {
  const original = fs.promises[call];
  fs.promises[call] = async function checked(path, ...rest) {
    meet(call, path);
    return original.call(this, path, ...rest);
  };
}

const open = fs.promises.open;
fs.promises.open = async function checked(path, flags, ...rest) {
  meet('open', path);
  const file = await open.call(this, path, flags, ...rest);
  const calls = {
    read: 'read',
    write: 'write',
    writeFile: 'write',
    appendFile: 'write',
    sync: 'fsync',
    stat: 'fstat',
    chown: 'chown',
  };
  for (const [method, call] of Object.entries(calls)) {
    const original = file[method].bind(file);
    file[method] = async (...args) => {
      meet(call, path);
      return original(...args);
    };
  }
  return file;
};

syncBuiltinESMExports();
