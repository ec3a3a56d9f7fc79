/** What is wrong with a store's location. Stable between releases. */
export type LocationErrorCode =
  /** The text is not a location of any store that regtool knows. */
  | 'LOCATION_INVALID'
  /** A parameter after `?` is unknown, repeated, or has a value that cannot be. */
  | 'LOCATION_PARAMETER'
  /** A key, token or password stands in the location. */
  | 'LOCATION_CREDENTIAL'
  /** A scheme for which there is no driver. */
  | 'LOCATION_UNSUPPORTED'
  /** The location is a configuration file that cannot be read, or is neither YAML nor a `gitlab.rb`. */
  | 'CONFIGURATION_UNREADABLE'
  /** The storage section of a configuration file names no driver, several, or has a value that cannot be. */
  | 'CONFIGURATION_INVALID'
  /** The configuration file names a store that regtool does not open, or computes what it says. */
  | 'CONFIGURATION_UNSUPPORTED'
  /** The environment names a proxy on the way to the store in a way that cannot be understood. */
  | 'PROXY_INVALID';

/** A wrong location: wrong usage, exit code 2. `message` is a sentence for an operator and holds no secret. */
export class LocationError extends Error {
  override readonly name = 'LocationError';
  readonly code: LocationErrorCode;

  constructor(code: LocationErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
