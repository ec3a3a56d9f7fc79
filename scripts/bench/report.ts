/** One program's figures for one piece of work. */
export interface Result {
  what: string;
  tool: string;
  isRegtool: boolean;
  wallS: number;
  cpuS: number;
  peakMb: number | undefined;
  /** How many objects it handled, for what is told of each. */
  objects?: number;
  bytes?: number;
  /** What came to be known besides, in words. */
  note?: string;
}

/** Lines to print: for each piece of work the ratios to regtool first, then the figures. */
export function present(results: Result[]): string[] {
  const works = new Map<string, Result[]>();
  for (const result of results) {
    works.set(result.what, [...(works.get(result.what) ?? []), result]);
  }
  return [...works].flatMap(([what, measured]) => [...presentWork(what, measured), '']);
}

function presentWork(what: string, measured: Result[]): string[] {
  const own = measured.find(({ tool }) => tool === 'regtool');
  const ratio = (theirs: number, ours: number | undefined): string =>
    ours === undefined || ours === 0 ? '-' : `${(theirs / ours).toFixed(2)}x`;
  const rows = measured.map((result) => [
    result.tool,
    ratio(result.wallS, own?.wallS),
    ratio(result.cpuS, own?.cpuS),
    result.wallS.toFixed(2),
    result.cpuS.toFixed(2),
    result.objects === undefined ? '-' : ((result.cpuS / result.objects) * 1e6).toFixed(0),
    rateOf(result),
    result.peakMb?.toFixed(0) ?? '-',
    result.note ?? '',
  ]);
  const header = ['', 'wall / ours', 'CPU / ours', 'wall s', 'CPU s', 'CPU us/object', 'rate', 'peak MB', ''];
  const rule = header.map(() => '---');
  return [`### ${what}`, '', ...[header, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`)];
}

function rateOf({ bytes, objects, wallS }: Result): string {
  if (bytes !== undefined) {
    return `${(bytes / wallS / 1e6).toFixed(0)} MB/s`;
  }
  return objects === undefined ? '-' : `${(objects / wallS).toFixed(0)} objects/s`;
}
