import { blobKey, currentKey, indexKey, revisionKey } from '../../../fixtures/keys.ts';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { digestOf } from '../../support/images.ts';

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/**
 * A healthy registry with the tag `a:v1`: two images, which have tags, too, and so many levels of two indexes, each of which names both of
 * the level below. So there are 2^levels ways from the tag to an image.
 * @returns the registry and the digest that the tag stands for.
 */
export function nestedIndexes(levels: number): { registry: RegistryBuilder; top: string } {
  const registry = new RegistryBuilder();
  const images = ['first', 'second'].map((tag) => registry.push('a', tag, registry.image()));
  let level: { digest: string; size: number; mediaType: string }[] = images.map(
    ({ digest, manifestBytes }) => ({
      digest,
      size: manifestBytes.length,
      mediaType: OCI_MANIFEST,
    }),
  );
  for (let depth = 1; depth <= levels; depth += 1) {
    level = ['left', 'right'].map((side) => {
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: level, annotations: { side } };
      const bytes = Buffer.from(JSON.stringify(index));
      const digest = digestOf(bytes);
      registry.objects.set(blobKey(digest), bytes);
      registry.objects.set(revisionKey('a', digest), Buffer.from(digest));
      return { digest, size: bytes.length, mediaType: OCI_INDEX };
    });
  }
  const top = level[0]?.digest ?? '';
  registry.objects.set(currentKey('a', 'v1'), Buffer.from(top));
  registry.objects.set(indexKey('a', 'v1', top), Buffer.from(top));
  return { registry, top };
}
