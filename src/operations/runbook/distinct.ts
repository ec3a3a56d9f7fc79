import type { StoreIdentity } from '../../drivers/driver.ts';
import { overlap } from '../../drivers/keys.ts';
import type { S3Location, StoreLocation } from '../../drivers/location.ts';
import { azureRoot, s3Root } from '../../drivers/root.ts';
import { SafetyRefusal } from '../errors.ts';
import type { RunbookStores } from './deployment.ts';
import { isAws } from './storage-section.ts';

/**
 * Refuses what migrate would refuse, as far as the locations alone tell: nothing is contacted, so a folder that two
 * paths lead to, or a bucket that two endpoints do, is left to it.
 * @throws SafetyRefusal STORES_OVERLAP
 */
export function assertDistinct({ source, target }: RunbookStores): void {
  const [first, second] = [identityOf(source.location), identityOf(target.location)];
  const found = overlap(first, second);
  if (found === 'same') {
    throw new SafetyRefusal(
      'STORES_OVERLAP',
      `Source and target are the same store (${source.argument}): there is nothing to move. Name another target.`,
    );
  }
  const mayMeet =
    source.location.driver === 'filesystem' || overlap(dockerOf(first), dockerOf(second)) !== 'none';
  if (found !== 'none' && mayMeet) {
    const [inner, outer] = found === 'first-inside-second' ? [source, target] : [target, source];
    throw new SafetyRefusal(
      'STORES_OVERLAP',
      `${inner.argument} lies inside ${outer.argument}, so one would be changed by the other. Choose stores that do not overlap.`,
    );
  }
}

/** Where the registry itself lies: roots of one bucket may lie inside of one another, as long as these do not. */
function dockerOf(identity: StoreIdentity): StoreIdentity {
  return { ...identity, root: `${identity.root}docker/` };
}

function identityOf(location: StoreLocation): StoreIdentity {
  switch (location.driver) {
    case 'filesystem':
      return { service: 'filesystem', container: '', root: `${location.path.replace(/\/+$/, '')}/` };
    case 's3':
      return {
        service: `s3:${addressOf(location)}`,
        container: location.bucket,
        root: s3Root(location.rootdirectory),
      };
    case 'azure':
      return {
        service: `azure:${location.account ?? location.serviceurl ?? ''}`,
        container: location.container,
        root: azureRoot(location),
      };
  }
}

/** AWS has the same name in no two buckets of a region, whichever of its addresses is taken. */
function addressOf(location: S3Location): string {
  return isAws(location)
    ? `aws:${location.region ?? ''}`
    : (location.endpoint ?? '')
        .replace(/^https?:\/\//i, '')
        .replace(/\/+$/, '')
        .toLowerCase();
}
