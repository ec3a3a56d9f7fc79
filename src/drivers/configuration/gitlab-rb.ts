import { LocationError } from '../location-error.ts';
import { codeOf, inText, isInBlock, otherCodeAt, otherUseAt, withoutBlockComments } from './ruby-code.ts';
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
  const code = codeOf(text);
  refuseOtherWays();
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

  function refuseOtherWays(): void {
    const include = otherCodeAt(text, code);
    if (include !== undefined) {
      throw computed(include, 'other code is run here, which may say where the registry is');
    }
    const use = otherUseAt(text, code, 'registry');
    if (use !== undefined) {
      throw computed(
        use,
        'the settings of the registry may be changed here by other means than an assignment',
      );
    }
  }

  function lastAssignment(section: string, name: string): Assignment | undefined {
    let found: Assignment | undefined;
    for (const { index, 0: written } of text.matchAll(mentionOf(section, name))) {
      const startsLine = /(^|\n)[ \t]*$/.test(text.slice(0, index));
      // In a comment, or in a text, unless it looks as if that had ended before.
      if (code[index] === ' ' || (code[index] === inText && !startsLine)) {
        continue;
      }
      const assigned = /^[ \t]*=(?![=~>])/.exec(text.slice(index + written.length))?.[0];
      const isSimple = assigned !== undefined && startsLine && code[index] !== inText;
      if (!isSimple || isInBlock(code, index)) {
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
      const isCalled = /^\s*&?\.(?!\.)/.test(code.slice(end));
      if (isCalled || !/^[ \t]*(;[ \t]*)?(#[^\n]*)?(\r?\n|$)/.test(text.slice(end))) {
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
  return new RegExp(`(?<![\\w.'"])${section}\\s*\\[\\s*(?:'${name}'|"${name}"|:${name})\\s*\\]`, 'g');
}
