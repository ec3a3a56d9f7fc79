/**
 * `error`: a tag or a manifest cannot be pulled. `warning`: pulls work, and something does harm all the same.
 * `hint`: harmless.
 */
export type Severity = 'error' | 'warning' | 'hint';

/** What is known of a kind of finding, the same for each of them. */
export interface FindingDescription {
  severity: Severity;
  /** Where it hurts no manifest of any repository. Absent: the same. */
  severityUnlessHurting?: Severity;
  /** A few words, for a heading and for a line of counts. */
  title: string;
  /** The registry's own words where it says any. */
  clientSees: string;
  cause: string;
  /** The regtool command, or what to do by hand. */
  remedy: string;
}
