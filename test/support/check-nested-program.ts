// Run by test/operations/check-nested.test.ts: checks a registry with so many levels of indexes, and prints the result.
import { openMemory } from '../../src/drivers/memory.ts';
import { nestedIndexes } from '../operations/check/nested-indexes.ts';
import { observe } from '../operations/check/observe.ts';

const { registry } = nestedIndexes(Number(process.argv[2]));
const { verdict, tags, untaggedManifests } = await observe(openMemory({ objects: registry.objects }));
process.stdout.write(JSON.stringify({ verdict, tags, untaggedManifests }));
