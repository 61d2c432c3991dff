/** What the TCP-XML adapter needs from the hub, and its connections from the listener. */
import type { BadFrameReason, RefusalReason } from '../../../shared/reasons.ts';
import type { SessionStatus } from '../../../shared/status.ts';
import type { Admission } from '../../admission.ts';
import type { Authenticator } from '../../auth/authenticator.ts';
import type { Cidrs } from '../../auth/cidrs.ts';
import type { Intake } from '../../intake.ts';
import type { FairQueue } from '../../lib/collections/fair-queue.ts';
import type { ExplainRefusal } from '../../lib/log/refusal-log.ts';
import type { TlsFiles } from '../../lib/net/tls-files.ts';
import type { Clock } from '../../lib/time/clock.ts';
import type { InputWait } from '../../lib/time/input-wait.ts';
import type { Rate } from '../../lib/time/token-bucket.ts';
import type { Encoding } from './frames/charset.ts';
import type { FrameTemplates } from './frames/frame-templates.ts';
import type { FieldNames } from './frames/names.ts';

export interface TcpXmlOptions {
  readonly authenticator: Authenticator;
  /** The first frame of a user needs a token. */
  readonly asksForToken: boolean;
  readonly admission: Admission;
  /** Addresses that may connect. Null allows all. */
  readonly allowed: Cidrs | null;
  /** Peers whose PROXY header is trusted. */
  readonly trustedProxies: Cidrs;
  /** Certificate files. If present, the port accepts TLS; null disables TLS. */
  readonly tls: TlsFiles | null;
  /** Whether the port accepts plain connections in addition to TLS. */
  readonly tlsMode: 'allow' | 'require';
  readonly onRefused: (reason: RefusalReason) => void;
  readonly explainRefusal: ExplainRefusal;
  /** Maximum users of one connection. */
  readonly maxUsers: number;
  /** Frame rate of each user on a connection. */
  readonly messages: Rate;
  /** Maximum time until a connection completes its first frame, and until any frame that has begun is complete. */
  readonly frameMs: number;
  readonly intake: Intake;
  readonly clock: Clock;
  readonly inputWait: InputWait;
  /** Encoding of a frame that does not declare one. */
  readonly encoding: Encoding;
  readonly names: FieldNames;
  readonly statusOf: (code: number) => SessionStatus;
  readonly timeoutMs: number;
  /** Whether to answer each frame. */
  readonly ack: boolean;
  /** Whether to probe silent connections. */
  readonly probe: boolean;
  readonly onBadFrame: (bad: BadFrame) => void;
}

export interface BadFrame {
  readonly reason: BadFrameReason;
  readonly why: string;
  /**
   * The offending value as received, never a token. Undefined if nothing can be shown. Computed only if it is logged.
   */
  readonly value: () => string | undefined;
  readonly peer: string;
}

/** What the listener provides to a connection. The queue and the templates are shared by all connections of a port. */
export interface ConnectionHost {
  readonly queue: FairQueue;
  readonly templates: FrameTemplates;
  /** Schedules a tick of the connection at that monotonic time, unless an earlier one is planned. */
  readonly visitBy: (atMs: number) => void;
  /** Nothing that the connection received is still to be applied. */
  readonly onDone: () => void;
}
