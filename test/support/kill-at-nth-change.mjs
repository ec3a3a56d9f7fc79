// Loaded into the built command with `--import`: SIGKILL at the nth call that changes the file system, before it,
// in the middle of it or after it, as KILL_AT and KILL_MOMENT say. The command's own code is as it is shipped.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const nth = Number(process.env.KILL_AT);
const moment = process.env.KILL_MOMENT;
const store = process.env.KILL_STORE;
let changes = 0;

/** Whether this call is the one. */
function counts(path) {
  if (!String(path).startsWith(store)) {
    return false;
  }
  changes += 1;
  return changes === nth;
}

function die() {
  process.kill(process.pid, 'SIGKILL');
  // The signal is delivered when the system call returns, and nothing may happen any more.
  for (;;);
}

function around(object, name) {
  const original = object[name];
  object[name] = async function changed(path, ...rest) {
    const isTheOne = counts(path);
    if (isTheOne && moment !== 'after') {
      die();
    }
    const result = await original.call(this, path, ...rest);
    if (isTheOne) {
      die();
    }
    return result;
  };
}

for (const name of ['mkdir', 'rename', 'unlink', 'rmdir']) {
  around(fs.promises, name);
}

const open = fs.promises.open;
fs.promises.open = async function openCounted(path, flags, ...rest) {
  const isNew = typeof flags === 'string' && flags.startsWith('w');
  const isLog = typeof flags === 'number' && (flags & fs.constants.O_APPEND) !== 0;
  if (isNew && counts(path)) {
    die();
  }
  const file = await open.call(this, path, flags, ...rest);
  if (isNew) {
    const write = file.writeFile.bind(file);
    file.writeFile = async (content) => {
      if (counts(path)) {
        await write(moment === 'before' ? '' : content.subarray(0, Math.ceil(content.length / 2)));
        die();
      }
      return write(content);
    };
  }
  if (isLog) {
    const append = file.appendFile.bind(file);
    file.appendFile = async (text) => {
      if (counts(path)) {
        await append(
          moment === 'before' ? '' : text.slice(0, Math.ceil(text.length / (moment === 'after' ? 1 : 2))),
        );
        die();
      }
      return append(text);
    };
  }
  return file;
};

syncBuiltinESMExports();
