import { createContainer, describeWithServers } from '../servers/index.ts';
import { openAzure } from '../../src/drivers/azure.ts';
import { describeDriver } from './contract.ts';

describeWithServers('azure', ['azurite'], (servers) => {
  for (const root of ['', '/', 'some/root/']) {
    describeDriver(`azure, root ${JSON.stringify(root)}`, {
      open: async () => {
        const container = await createContainer(servers.azurite);
        const driver = await openAzure({
          container,
          root,
          location: `azure://${container}`,
          ...servers.azurite,
          partSizeBytes: 64 * 1024,
          singlePutMaxBytes: 128 * 1024,
          listPageSize: 7,
        });
        return { driver, dispose: async () => {} };
      },
      refuses: (key) => key.includes('\\'),
      largeBytes: 700_000,
    });
  }
});
