import type { Deployment, RunbookStores } from './deployment.ts';
import { isAws } from './storage-section.ts';

/** What is seen, and which setting of the target mends it. */
export function troubles({ target }: RunbookStores, { logs }: Deployment): string[] {
  const { location } = target;
  const rows = [...common(logs), ...(location.driver === 's3' ? s3Rows(isAws(location)) : [])];
  const azure = location.driver === 'azure' ? azureRows : [];
  return [
    [
      '| what is seen | what to do |',
      '|---|---|',
      ...[...rows, ...azure].map(([seen, remedy]) => `| ${seen} | ${remedy} |`),
    ].join('\n'),
    'What is set in the registry because of this table goes into the location, too, where it has that parameter.',
  ];
}

type Row = readonly [seen: string, remedy: string];

function common(logs: string): Row[] {
  return [
    [
      'a `regtool` command ends with 3',
      'it found differences or broken tags: its report names them; decide about each',
    ],
    ['it ends with 4', 'some objects failed: run the same command again, then look at those that stay'],
    ['it ends with 5', 'a store cannot be reached or refuses: run `doctor` with the same stores'],
    ['it ends with 6', 'refused for safety, nothing was touched: its sentence says what looked wrong'],
    [
      'the registry does not start',
      `\`${logs}\` says why: most often two drivers in the storage section, or both lockfiles`,
    ],
    [
      'every image is gone, `_catalog` is empty',
      'wrong root (see the first lines of this document), or GitLab 19 on an empty database (step 5): go back, and only then look further',
    ],
    [
      'pulls fail on layers, while manifests come',
      'clients cannot reach the store to which they are redirected: set `redirect.disable: true`',
    ],
  ];
}

function s3Rows(isAmazon: boolean): Row[] {
  return [
    ['503 SlowDown in the log', '`maxrequestspersecond: 100` (GitLab; its default is 350)'],
    ['large pushes fail, "unexpected EOF"', '`chunksize: 26214400` to `52428800`'],
    [
      '403 on writes only, and the bucket demands encryption',
      '`encrypt: true`; for a key of your own also `keyid`',
    ],
    isAmazon
      ? [
          'the host name of the bucket is not resolved, as with a VPC endpoint',
          '`pathstyle: false` with `regionendpoint`',
        ]
      : [
          'the host name of the bucket is not resolved',
          '`pathstyle: true` (Distribution 3: `forcepathstyle: true`)',
        ],
    ...(isAmazon
      ? []
      : [
          [
            'writes fail with `s3_v2` or GitLab 19, and a checksum in the message',
            '`checksum_disabled: true`',
          ] as const,
        ]),
  ];
}

const azureRows: Row[] = [
  [
    'the registry does not start, and names `trimlegacyrootprefix`',
    'keep that one and remove `legacyrootprefix`: with both, they must be opposite, and booleans without quotes',
  ],
];
