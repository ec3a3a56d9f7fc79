/**
 * Whether something can name a storage account: in Azure 3 to 24 lower-case letters and digits, with a suffix for its
 * secondary place; emulators take other names as well. Nothing that can hold a key, which ends in `=`: what is no
 * name may be a secret that lost its place, and is not to be shown.
 */
export function isAccountName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/u.test(text);
}

/** Whether it can be so where it becomes a part of the host's name. */
export function isAccountHost(text: string): boolean {
  return isAccountName(text) && /^[a-z0-9-]+$/u.test(text);
}

export const accountRule = 'the name of a storage account has lower-case letters and digits only';
