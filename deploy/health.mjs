/**
 * The health check of the image: ends with 0 if the hub answers /healthz. Reads the same variables as the hub, so the
 * container's port and certificate must be set in the environment. Plain JavaScript, since nothing is installed for it.
 */
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';

/** Below the timeout of HEALTHCHECK. */
const TIMEOUT_MS = 3000;
const { HUB_HOST = '127.0.0.1', HUB_PORT = '', HUB_TLS_CERT } = process.env;
// Kubernetes may set HUB_PORT to the address of a Service, which the hub ignores, too.
const port = /^\d+$/.test(HUB_PORT) ? HUB_PORT : '8080';
const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[HUB_HOST] ?? HUB_HOST;
const get = HUB_TLS_CERT ? getHttps : getHttp;

// The certificate is for a name that leads here from outside.
const request = get(
  { host, port, path: '/healthz', timeout: TIMEOUT_MS, rejectUnauthorized: false },
  ({ statusCode }) => {
    if (statusCode !== 200) fail(`/healthz answered ${statusCode}`);
    process.exit(0);
  },
);
request.on('timeout', () => fail('/healthz does not answer'));
request.on('error', (error) => fail(error.message));

function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}
