import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { describeFinding, finding, findingCodes } from '../../src/layout/findings.ts';

const page = readFileSync(new URL('../../docs/findings.md', import.meta.url), 'utf8');
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [heading = '', ...lines] = section.split(/^## /m)[0]?.split('\n') ?? [];
      return [heading, lines.join('\n').trim()] as const;
    }),
);

describe('the page of findings', () => {
  test('has one heading for each code, and no other', () => {
    expect([...sections.keys()].sort()).toEqual([...findingCodes].sort());
    expect(page.match(/^### /gm)).toHaveLength(findingCodes.length);
  });

  test.each(findingCodes)('says what the table says of %s', (code) => {
    const { severity, severityUnlessHurting, title, clientSees, cause, remedy } = describeFinding(code);
    const unless =
      severityUnlessHurting === undefined ? '' : `; ${severityUnlessHurting} where no manifest needs it`;
    expect(sections.get(code)).toBe(
      [
        `${title.charAt(0).toUpperCase()}${title.slice(1)}.`,
        '',
        `- Severity: ${severity}${unless}.`,
        `- Clients see: ${clientSees}.`,
        `- Cause: ${cause}`,
        `- Remedy: ${remedy}.`,
      ].join('\n'),
    );
  });
});

describe('a finding', () => {
  const facts = { code: 'layer-link-empty', detail: 'it is empty', paths: ['a'] } as const;

  test('is an error where it hurts a manifest, tagged or not', () => {
    expect(finding({ ...facts, paths: ['a'], tags: ['v1'] }).severity).toBe('error');
    expect(finding({ ...facts, paths: ['a'], revisions: [DIGEST] }).severity).toBe('error');
  });

  test('is less where nothing needs what it is about', () => {
    expect(finding({ ...facts, paths: ['a'] }).severity).toBe('warning');
  });

  test('has the severity of its code where that does not depend on anything', () => {
    expect(finding({ code: 'marker-harmless', detail: '', paths: ['a/'], tags: ['v1'] }).severity).toBe(
      'hint',
    );
    expect(finding({ code: 'tag-link-empty', detail: '', paths: ['a'] }).severity).toBe('error');
  });
});

const DIGEST = `sha256:${'a'.repeat(64)}` as Parameters<typeof finding>[0]['digest'] & string;
