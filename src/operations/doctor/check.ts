/** `unknown`: it could not be found out; that is no failure. */
export type DoctorStatus = 'ok' | 'warning' | 'failed' | 'unknown';

/** One line of a diagnosis. Sentences hold no secret. */
export interface DoctorCheck {
  /** Stable between releases: `list`, `clock`, `lockfiles`, ... */
  name: string;
  status: DoctorStatus;
  /** What was found, one sentence. */
  finding: string;
  /** What it means or what to do, one sentence or two. */
  advice?: string | undefined;
}

/** What a store is in the migration that is meant; `store` when it is looked at by itself. */
export type DoctorRole = 'store' | 'source' | 'target';

export function ok(name: string, finding: string, advice?: string): DoctorCheck {
  return { name, status: 'ok', finding, advice };
}

export function warning(name: string, finding: string, advice?: string): DoctorCheck {
  return { name, status: 'warning', finding, advice };
}

export function failed(name: string, finding: string, advice?: string): DoctorCheck {
  return { name, status: 'failed', finding, advice };
}

export function unknown(name: string, finding: string, advice?: string): DoctorCheck {
  return { name, status: 'unknown', finding, advice };
}
