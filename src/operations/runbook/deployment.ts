import type { StoreLocation } from '../../drivers/location.ts';

/** How the registry is run, which decides where its configuration stands and how it is made to read it. */
export type DeploymentKind = 'omnibus' | 'yaml' | 'helm';

/** The stores, as they are named in commands, and what is known of them. */
export interface RunbookStores {
  source: RunbookStore;
  target: RunbookStore;
}

export interface RunbookStore {
  location: StoreLocation;
  /** What commands name it by: full paths, and nothing that a later step changes. */
  argument: string;
}

/** The steps that differ from deployment to deployment, as blocks of Markdown. */
export interface Deployment {
  name: string;
  /** Variables to set and files to keep before anything is changed. */
  prepare: string[];
  /** Pushes and deletes are refused; pulls go on. */
  readOnlyOn: string[];
  /** The registry runs on the target, still read-only. */
  switchOver: string[];
  /** The registry takes pushes again. */
  readOnlyOff: string[];
  /** The former configuration is back, with or without read-only. */
  goBack: string[];
  /** Shows what the registry says. */
  logs: string;
}

/** Where Omnibus keeps the registry, and its configuration, wherever a copy of it lies: no other registry has one in Ruby. */
const omnibusPaths = [/^\/var\/opt\/gitlab(\/|$)/, /\.rb$/];

/** The deployment that a source path suggests: Omnibus by its own folders and files, else a config.yml. */
export function guessDeployment(path: string | undefined): DeploymentKind {
  return path !== undefined && omnibusPaths.some((pattern) => pattern.test(path)) ? 'omnibus' : 'yaml';
}
