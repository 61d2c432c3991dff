/**
 * The way in of `npm run bench -- WORKLOAD`: builds the hub and the load generator where they are stale, then runs main.ts.
 * Plain JavaScript, since it runs before anything is built.
 */
import { buildTools } from './build.mjs';

if (!(await buildTools(process.argv.slice(2)))) process.exit(1);
await import('../../dist/bench/main.js');
