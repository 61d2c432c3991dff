/**
 * The way in of `npm run fuzz -- TARGET`: builds the hub and the fuzzer where they are stale, then runs main.ts.
 * Plain JavaScript, since it runs before anything is built.
 */
import { buildTools } from '../bench/build.mjs';

if (!(await buildTools(process.argv.slice(2)))) process.exit(1);
await import('../../dist/fuzz/main.js');
