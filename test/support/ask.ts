/** One HTTP request with whatever headers a test wants, Host too, which fetch keeps for itself. */
import { request } from 'node:http';
import { request as requestOverTls } from 'node:https';

export interface Asked {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Any address of loopback, to be somebody else. */
  readonly from?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  /** As JSON where it is some. */
  readonly body: unknown;
}

export function ask(base: string, method: string, path: string, asked: Asked = {}): Promise<Answer> {
  const { token, body, headers, from } = asked;
  return new Promise((resolve, reject) => {
    const send = base.startsWith('https:') ? requestOverTls : request;
    const sent = send(base + path, {
      method,
      // The certificates of the tests are signed by nobody.
      rejectUnauthorized: false,
      agent: false,
      ...(from !== undefined && { localAddress: from }),
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        const isJson = response.headers['content-type']?.includes('json') === true && text !== '';
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: isJson ? (JSON.parse(text) as unknown) : text,
        });
      });
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
