#!/usr/bin/env node
import module from 'node:module';

// From Node 22.1 on, compiled code is kept between runs.
module.enableCompileCache?.();

// The AWS SDK would say at each start that its next versions need a newer Node; the documentation says so once.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

// The index of oclif loads half as many modules again as these two, and none of them is needed.
const [{ execute }, { settings }] = await Promise.all([
  import('@oclif/core/execute'),
  import('@oclif/core/settings'),
]);
// What runs is what was built, also where NODE_ENV says "development" or "test".
settings.enableAutoTranspile = false;
await execute({ dir: import.meta.url });
