import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RoleKeys {
  accessKey: string;
  secretKey: string;
}

export interface MachineMetadata {
  /** `http://127.0.0.1:PORT`, for AWS_EC2_METADATA_SERVICE_ENDPOINT. */
  endpoint: string;
  keysGiven(): number;
  stop(): Promise<void>;
}

/** The metadata of an EC2 machine with a role (EC2 User Guide, "Retrieve security credentials from instance metadata"). */
export async function startMachineMetadata({ accessKey, secretKey }: RoleKeys): Promise<MachineMetadata> {
  let keysGiven = 0;
  const server = createServer((request, response) => {
    const folder = '/latest/meta-data/iam/security-credentials/';
    if (request.method === 'PUT' && request.url === '/latest/api/token') {
      response.end('a token');
    } else if (request.url === folder) {
      response.end('role');
    } else if (request.url === `${folder}role`) {
      keysGiven += 1;
      response.end(
        JSON.stringify({
          Code: 'Success',
          AccessKeyId: accessKey,
          SecretAccessKey: secretKey,
          // Ceph takes keys of a user that come with no token; an empty one is not sent.
          Token: '',
          Expiration: new Date(Date.now() + 3_600_000).toISOString(),
        }),
      );
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keysGiven: () => keysGiven,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** What the Security Token Service answers whoever comes with a web identity (STS API Reference, AssumeRoleWithWebIdentity). */
export function answerAsTokenService({ accessKey, secretKey }: RoleKeys): RequestListener {
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  const credentials = `<Credentials><AccessKeyId>${accessKey}</AccessKeyId><SecretAccessKey>${secretKey}</SecretAccessKey><SessionToken></SessionToken><Expiration>${expiration}</Expiration></Credentials>`;
  const answer = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>${credentials}</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
  return (request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/xml' }).end(answer);
    });
  };
}
