/**
 * Reads what a good answer says about its user. A JSON object or an XML heartbeat may set the status; anything else
 * means online. Pure, and never throws, because answers are not trusted. The function that reads XML is a parameter,
 * because adapters must not import each other.
 */
import { replaceHalves, text } from '../../../shared/ids.ts';
import { parseFields } from '../../../shared/messages/json.ts';
import { sessionStatus, type SessionStatus } from '../../../shared/status.ts';

export interface AnswerReaders {
  readonly codes: {
    readonly codeOf: (status: SessionStatus) => number;
    readonly statusOf: (code: number) => SessionStatus;
  };
  /** The state in one XML heartbeat: 1 or above, or 0 or -1 for leaving; undefined if it is not a heartbeat. */
  readonly readXmlState: (body: Buffer) => number | undefined;
}

/** `left`: the target itself says that its user is not there. */
export type Said =
  | {
      readonly kind: 'present';
      readonly status: SessionStatus;
      readonly code: number;
      readonly text: string | undefined;
    }
  | { readonly kind: 'left' };

const LEFT: Said = { kind: 'left' };
const BRACE = 0x7b;
const LESS_THAN = 0x3c;

export function readAnswer(body: Buffer | undefined, readers: AnswerReaders): Said {
  const { codes, readXmlState } = readers;
  switch (body === undefined ? undefined : formOf(body)) {
    case 'json':
      return readJson(String(body), codes);
    case 'xml': {
      const state = readXmlState(body as Buffer);
      if (state === undefined) return present('online', codes);
      return state > 0 ? { kind: 'present', status: codes.statusOf(state), code: state, text: undefined } : LEFT;
    }
    case undefined:
      return present('online', codes);
  }
}

/** The first byte that is neither white space nor NUL decides, after a byte order mark. */
function formOf(body: Buffer): 'json' | 'xml' | undefined {
  if ((body[0] === 0xff && body[1] === 0xfe) || (body[0] === 0xfe && body[1] === 0xff)) return 'xml';
  const hasMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  const first = body
    .subarray(hasMark ? 3 : 0)
    .find((byte) => byte !== 0 && byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  return first === BRACE ? 'json' : first === LESS_THAN ? 'xml' : undefined;
}

function readJson(json: string, codes: AnswerReaders['codes']): Said {
  const fields = parseFields(json.replace(/^\uFEFF/, ''));
  if (fields === undefined) return present('online', codes);
  if (fields['status'] === 'offline') return LEFT;
  const status = sessionStatus.safeParse(fields['status']);
  const field = fields['text'];
  const said = text.safeParse(typeof field === 'string' ? replaceHalves(field) : field);
  return present(status.success ? status.data : 'online', codes, said.success ? said.data : undefined);
}

function present(status: SessionStatus, codes: AnswerReaders['codes'], said?: string): Said {
  return { kind: 'present', status, code: codes.codeOf(status), text: said };
}
