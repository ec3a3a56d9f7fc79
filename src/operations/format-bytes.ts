const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `1.2 GiB`; whole numbers below one KiB. Units of 1024, as file systems and stores bill them. */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  // What would be shown as 1024.0 belongs to the next unit.
  while (Number(amount.toFixed(unit === 0 ? 0 : 1)) >= 1024 && unit < byteUnits.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(amount) : amount.toFixed(1)} ${byteUnits[unit]}`;
}
