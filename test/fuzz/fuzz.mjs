/**
 * The entry of `npm run fuzz -- TARGET`: builds the hub and the fuzzer if they are out of date, then runs main.ts.
 * Plain JavaScript, because it runs before anything is built.
 */
import { buildTools } from '../bench/build.mjs';

if (!(await buildTools(process.argv.slice(2)))) process.exit(1);
await import('../../dist/fuzz/main.js');
