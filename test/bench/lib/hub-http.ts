/**
 * The load generator's requests that are not part of the load: friend lists, metrics, health. They are not measured, so
 * they use a client library. Each request has its own connection, so that none stays open.
 */
import { request } from 'node:http';
import { adminHeader } from './credentials.ts';

interface Reply {
  readonly status: number;
  readonly body: string;
}

export function ask(port: number, method: string, path: string, body?: unknown, timeoutMs = 10_000): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const length = text === undefined ? 0 : Buffer.byteLength(text);
    const typed = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': length };
    const headers = { ...adminHeader(), ...typed };
    const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (part: string) => (answer += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: answer }));
      response.on('error', reject);
    });
    asked.setTimeout(timeoutMs, () => asked.destroy(new Error(`${method} ${path}: no answer within ${timeoutMs} ms`)));
    asked.on('error', reject);
    asked.end(text);
  });
}

/** One direction: `user` follows `friends`. */
export async function putFriends(port: number, user: string, friends: readonly string[]): Promise<void> {
  const { status, body } = await ask(port, 'PUT', `/v1/users/${user}/friends?oneway=true`, { friends });
  if (status !== 204) throw new Error(`PUT friends: ${status} ${body}`);
}

export type Metrics = ReadonlyMap<string, number>;

/** By name and labels as they are printed: `presence_hub_sessions{adapter="ws-json"}`. */
export async function readMetrics(port: number, timeoutMs?: number): Promise<Metrics> {
  const { body } = await ask(port, 'GET', '/metrics', undefined, timeoutMs);
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

/** The sum over all labels of one name, without those with a label value to leave out. */
export function sumOf(metrics: Metrics, name: string): number {
  let sum = 0;
  for (const [key, value] of metrics) if (key === name || key.startsWith(`${name}{`)) sum += value;
  return sum;
}

export function labelled(metrics: Metrics, name: string, adapter: string): number {
  return metrics.get(`${name}{adapter="${adapter}"}`) ?? 0;
}

/** Milliseconds until /healthz answered 200; null if it did not within the time. */
export async function probeHealth(port: number, timeoutMs: number): Promise<number | null> {
  const fromMs = performance.now();
  try {
    const { status } = await ask(port, 'GET', '/healthz', undefined, timeoutMs);
    return status === 200 ? performance.now() - fromMs : null;
  } catch {
    return null;
  }
}
