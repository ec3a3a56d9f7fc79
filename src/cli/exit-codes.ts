/** How every command ends. Scripts rely on these numbers: they never change their meaning. */
export const exitCodes = {
  done: 0,
  bug: 1,
  usage: 2,
  findings: 3,
  partial: 4,
  store: 5,
  refused: 6,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** What each exit code tells, as the documentation and the help say it. */
export const exitCodeMeanings: Readonly<Record<ExitCode, string>> = {
  0: 'done; nothing to report',
  1: 'unexpected error (a bug)',
  2: 'wrong usage or configuration',
  3: 'done, and found differences or broken things',
  4: 'done in part: some objects failed (each is named in the report)',
  5: 'a store could not be reached, or refused',
  6: 'refused for safety (not a registry root, empty source, delete guard, swapped stores)',
  130: 'interrupted; rerun to go on',
};
