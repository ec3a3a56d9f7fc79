import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { findFreePort, statusOf } from './ports.ts';
import { createTemporaryFolder, runProgram, startProcess, type ServerProcess } from './process.ts';

export interface RgwOptions {
  /** Where S3 is served on 127.0.0.1; a free port when left out. */
  port?: number;
  /**
   * `memstore` holds everything in memory (about twice its size) and starts in a second;
   * `bluestore` keeps it in a sparse file: for more than 2 GiB, and for measuring.
   */
  store?: 'memstore' | 'bluestore';
}

export interface RgwUser {
  accessKey: string;
  secretKey: string;
}

export interface RgwServer extends RgwUser {
  /** `http://127.0.0.1:PORT`. Buckets are addressed by path. */
  endpoint: string;
  region: 'us-east-1';
  /** Another user, who sees none of the first one's buckets. */
  createUser(name: string): Promise<RgwUser>;
  /** Runs `radosgw-admin` against this server and returns what it prints. */
  admin(...args: string[]): Promise<string>;
  /** Ends the servers and removes their data. */
  stop(): Promise<void>;
}

/**
 * Starts a Ceph RADOS Gateway (S3, Swift) with a monitor and one storage daemon of its own,
 * all on 127.0.0.1, all data in one temporary folder.
 * @throws Error with the end of the log of whichever server did not start.
 */
export async function startRgw(options: RgwOptions = {}): Promise<RgwServer> {
  const folder = createTemporaryFolder('regtool-rgw');
  const processes: ServerProcess[] = [];
  const stop = async (): Promise<void> => {
    for (const server of processes.toReversed()) {
      await server.stop();
    }
    folder.remove();
  };
  try {
    const port = options.port ?? (await findFreePort());
    const cluster = writeConfiguration(folder.path, options.store ?? 'memstore', await findFreePort(), port);
    await startMonitor(cluster, processes);
    await startStorage(cluster, processes);
    const admin = async (...args: string[]): Promise<string> =>
      runProgram('radosgw-admin', ['-c', cluster.configPath, ...args]);
    const user = await createUser(admin, 'regtool');
    const endpoint = `http://127.0.0.1:${port}`;
    await startGateway(cluster, endpoint, processes);
    return {
      endpoint,
      region: 'us-east-1',
      ...user,
      createUser: async (name) => createUser(admin, name),
      admin,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Cluster {
  folder: string;
  configPath: string;
  fsid: string;
  monitorAddress: string;
}

/**
 * One ceph.conf for everything. Without authentication between the daemons (`auth_* = none`) the gateway must be
 * told not to ask for encryption (`ms_mon_client_mode`), or it waits for ever. Short paxos intervals make
 * pools in 0.4 s rather than 11 s; without lifecycle threads the gateway stops at once rather than after 10 s.
 */
function writeConfiguration(
  folder: string,
  store: 'memstore' | 'bluestore',
  monitorPort: number,
  port: number,
): Cluster {
  const fsid = randomUUID();
  const monitorAddress = `v2:127.0.0.1:${monitorPort}/0`;
  const configPath = path.join(folder, 'ceph.conf');
  const lines = [
    '[global]',
    `fsid = ${fsid}`,
    `mon_host = [${monitorAddress}]`,
    'ms_bind_msgr1 = false',
    'public_network = 127.0.0.0/8',
    'cluster_network = 127.0.0.0/8',
    'auth_cluster_required = none',
    'auth_service_required = none',
    'auth_client_required = none',
    `run_dir = ${folder}`,
    `admin_socket = ${folder}/$type.$id.$pid.asok`,
    `crash_dir = ${folder}`,
    `log_file = ${folder}/$type.$id.log`,
    'osd_pool_default_size = 1',
    'osd_pool_default_min_size = 1',
    'osd_pool_default_pg_num = 8',
    'osd_pool_default_pg_autoscale_mode = off',
    'osd_crush_chooseleaf_type = 0',
    'mon_allow_pool_size_one = true',
    'mon_max_pg_per_osd = 1000',
    'paxos_propose_interval = 0.02',
    'paxos_min_wait = 0.01',
    'mon_client_hunt_interval = 0.3',
    '[mon]',
    `mon_data = ${folder}/mon`,
    '[osd]',
    `osd_data = ${folder}/osd`,
    `osd_objectstore = ${store}`,
    'osd_fast_shutdown = false',
    // Neither is taken in advance: memory is used as it fills, and the block file is sparse.
    `memstore_device_bytes = ${16 * 2 ** 30}`,
    `bluestore_block_size = ${64 * 2 ** 30}`,
    '[client.rgw]',
    `rgw_frontends = beast endpoint=127.0.0.1:${port}`,
    'ms_mon_client_mode = crc',
    'rgw_enable_lc_threads = false',
    'rgw_enable_quota_threads = false',
    'rgw_dynamic_resharding = false',
    'rgw_enable_apis = s3, swift, swift_auth, admin',
    '',
  ];
  writeFileSync(configPath, lines.join('\n'));
  return { folder, configPath, fsid, monitorAddress };
}

async function startMonitor(cluster: Cluster, processes: ServerProcess[]): Promise<void> {
  const monitorMap = path.join(cluster.folder, 'monmap');
  mkdirSync(path.join(cluster.folder, 'mon'));
  await runProgram('monmaptool', [
    '--create',
    '--fsid',
    cluster.fsid,
    '--addv',
    'a',
    `[${cluster.monitorAddress}]`,
    '--set-min-mon-release',
    '16',
    monitorMap,
  ]);
  const common = ['-c', cluster.configPath, '-i', 'a'];
  await runProgram('ceph-mon', [...common, '--mkfs', '--monmap', monitorMap]);
  processes.push(
    await startProcess({
      name: 'ceph-mon',
      command: 'ceph-mon',
      args: [...common, '-f'],
      logPath: path.join(cluster.folder, 'mon.out'),
      isReady: () => logHas(cluster, 'mon.a.log', /is new leader|won leader election/),
    }),
  );
}

async function startStorage(cluster: Cluster, processes: ServerProcess[]): Promise<void> {
  const ceph = ['-c', cluster.configPath, '--connect-timeout', '20'];
  const uuid = randomUUID();
  const common = ['-c', cluster.configPath, '-i', '0'];
  mkdirSync(path.join(cluster.folder, 'osd'));
  await Promise.all([
    runProgram('ceph', [...ceph, 'osd', 'new', uuid]),
    runProgram('ceph-osd', [...common, '--mkfs', '--osd-uuid', uuid]),
  ]);
  processes.push(
    await startProcess({
      name: 'ceph-osd',
      command: 'ceph-osd',
      args: [...common, '-f'],
      logPath: path.join(cluster.folder, 'osd.out'),
      isReady: () => logHas(cluster, 'osd.0.log', /booting -> active/),
    }),
  );
}

async function startGateway(cluster: Cluster, endpoint: string, processes: ServerProcess[]): Promise<void> {
  processes.push(
    await startProcess({
      name: 'radosgw',
      command: 'radosgw',
      args: ['-c', cluster.configPath, '-f', '-n', 'client.rgw'],
      logPath: path.join(cluster.folder, 'radosgw.out'),
      isReady: async () => (await statusOf(endpoint)) === 200,
    }),
  );
}

async function createUser(admin: RgwServer['admin'], name: string): Promise<RgwUser> {
  const accessKey = `KEY${randomBytes(8).toString('hex').toUpperCase()}`;
  const secretKey = `secret${randomBytes(16).toString('hex')}`;
  await admin(
    'user',
    'create',
    '--uid',
    name,
    '--display-name',
    name,
    '--access-key',
    accessKey,
    '--secret-key',
    secretKey,
  );
  return { accessKey, secretKey };
}

function logHas(cluster: Cluster, file: string, pattern: RegExp): boolean {
  try {
    return pattern.test(readFileSync(path.join(cluster.folder, file), 'utf8'));
  } catch {
    // The daemon has not opened its log yet.
    return false;
  }
}
