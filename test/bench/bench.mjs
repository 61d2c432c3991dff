/**
 * The entry of `npm run bench -- WORKLOAD`: builds the hub and the load generator if they are out of date, then runs
 * main.ts. Plain JavaScript, because it runs before anything is built.
 */
import { buildTools } from './build.mjs';

if (!(await buildTools(process.argv.slice(2)))) process.exit(1);
await import('../../dist/bench/main.js');
