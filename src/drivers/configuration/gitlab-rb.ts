import { LocationError } from '../location-error.ts';
import { NotLiteral, readRubyLiteral } from './ruby-literal.ts';
import type { StorageFile } from './storage-file.ts';

/** What Omnibus generates from a gitlab.rb, with everything computed. */
const generated = '/var/opt/gitlab/registry/config.yml';

/** Omnibus `files/gitlab-cookbooks/gitlab/attributes/default.rb`: `shared_path`, and `registry_path` below it. */
const defaultSharedPath = '/var/opt/gitlab/gitlab-rails/shared';

interface Assignment {
  value: unknown;
  /** Offsets of the keys of a hash, by path. */
  keys: ReadonlyMap<string, number>;
  offset: number;
}

/**
 * Reads the registry's storage from Omnibus GitLab's `gitlab.rb`, without running it: the literal that is assigned to
 * `registry['storage']`, the last one if there are several; without one, the folder `gitlab_rails['registry_path']`,
 * as Omnibus does (`libraries/registry.rb`).
 * @throws LocationError CONFIGURATION_UNSUPPORTED for anything that Ruby would have to compute; it points to the
 *   configuration that Omnibus generates.
 */
export function parseGitlabRb(source: string, path: string): StorageFile {
  const text = withoutBlockComments(source);
  const storage = lastAssignment('registry', 'storage');
  if (storage !== undefined && storage.value !== null) {
    return {
      storage: storage.value,
      where: (names) => {
        for (let length = names.length; length > 0; length -= 1) {
          const offset = storage.keys.get(names.slice(0, length).join('.'));
          if (offset !== undefined) {
            return lineAt(offset);
          }
        }
        return lineAt(storage.offset);
      },
    };
  }
  const folder = lastAssignment('gitlab_rails', 'registry_path');
  const shared = folder === undefined ? lastAssignment('gitlab_rails', 'shared_path') : undefined;
  const rootdirectory = folder?.value ?? `${textOf(shared) ?? defaultSharedPath}/registry`;
  const offset = (folder ?? shared ?? storage)?.offset;
  return {
    storage: { filesystem: { rootdirectory } },
    where: () => (offset === undefined ? path : lineAt(offset)),
  };

  function lastAssignment(section: string, name: string): Assignment | undefined {
    const include = /^[ \t]*from_file\b/m.exec(text);
    if (include !== null) {
      throw computed(include.index, 'another file is read here, which may say where the registry is');
    }
    let found: Assignment | undefined;
    for (const { index, 0: written } of text.matchAll(mentionOf(section, name))) {
      if (isInComment(text, index)) {
        continue;
      }
      const assigned = /^[ \t]*=(?![=~>])/.exec(text.slice(index + written.length))?.[0];
      const startsLine = /(^|\n)[ \t]*$/.test(text.slice(0, index));
      if (assigned === undefined || !startsLine || isInBlock(text, index)) {
        throw computed(index, `${section}['${name}'] is not simply assigned here`);
      }
      found = readAssignment(index, index + written.length + assigned.length, `${section}['${name}']`);
    }
    return found;
  }

  function readAssignment(offset: number, start: number, name: string): Assignment {
    const keys = new Map<string, number>();
    try {
      const { value, end } = readRubyLiteral(text, start, keys);
      if (!/^[ \t]*(;[ \t]*)?(#[^\n]*)?(\r?\n|$)/.test(text.slice(end))) {
        throw new NotLiteral(end);
      }
      return { value, keys, offset };
    } catch (error) {
      if (error instanceof NotLiteral) {
        throw computed(error.offset, `${name} is not a plain value here`);
      }
      throw error;
    }
  }

  function textOf(assignment: Assignment | undefined): string | undefined {
    return typeof assignment?.value === 'string' ? assignment.value : undefined;
  }

  function lineAt(offset: number): string {
    return `${path}:${text.slice(0, offset).split('\n').length}`;
  }

  function computed(offset: number, what: string): LocationError {
    return new LocationError(
      'CONFIGURATION_UNSUPPORTED',
      `${lineAt(offset)}: ${what}, and regtool does not run Ruby: give ${generated}, which \`gitlab-ctl reconfigure\` generates.`,
    );
  }
}

function mentionOf(section: string, name: string): RegExp {
  return new RegExp(`(?<![\\w.'"])${section}\\[(?:'${name}'|"${name}"|:${name})\\]`, 'g');
}

/** Keeps lines and offsets. */
function withoutBlockComments(source: string): string {
  return source.replace(/^=begin\b[^]*?^=end\b[^\n]*/gm, (comment) => comment.replace(/[^\n]/g, ' '));
}

/** Quotes before a `#` are not weighed: a mention after a `#` in a text is rare, and harmless to overlook. */
function isInComment(text: string, offset: number): boolean {
  return text.slice(text.lastIndexOf('\n', offset) + 1, offset).includes('#');
}

/** Whether what stands here may not happen, or more than once: it is inside of an `if`, a `do` and the like. */
function isInBlock(text: string, offset: number): boolean {
  let depth = 0;
  for (const line of text.slice(0, offset).split('\n')) {
    if (
      /^\s*(if|unless|case|while|until|for|begin|def|class|module)\b/.test(line) ||
      /\bdo\s*(\|[^|]*\|)?\s*$/.test(line)
    ) {
      depth += /\bend\s*$/.test(line) ? 0 : 1;
    } else if (/^\s*end\b/.test(line)) {
      depth = Math.max(0, depth - 1);
    }
  }
  return depth > 0;
}
