/**
 * Roles: parts of a load that run in processes of their own, so that none measures another. A role answers commands, one
 * argument and one result each, plain values both. Here is only how a command gets across.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

type Command = (argument: never) => unknown;

interface Call {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly problem?: string;
}

export interface Role<Commands> {
  call<Name extends keyof Commands & string>(
    name: Name,
    ...argument: Commands[Name] extends (...argument: infer Argument) => unknown ? Argument : []
  ): Promise<Commands[Name] extends (...args: never[]) => infer Result ? Awaited<Result> : never>;
  stop(): void;
}

const running = new Set<ChildProcess>();

/** `module`: the role's own JavaScript, which calls `serveRole`. */
export function startRole<Commands>(module: URL): Role<Commands> {
  const child = fork(fileURLToPath(module), [], { serialization: 'advanced' });
  running.add(child);
  const waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  let calls = 0;
  child.on('message', (answer: Answer) => {
    const waiter = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.problem === undefined) waiter?.resolve(answer.result);
    else waiter?.reject(new Error(answer.problem));
  });
  child.on('exit', (code) => {
    running.delete(child);
    for (const { reject } of waiting.values()) reject(new Error(`${module.pathname} ended with ${code ?? 'a signal'}`));
  });
  const call = (name: string, argument?: unknown): Promise<unknown> =>
    new Promise((resolve, reject) => {
      calls += 1;
      waiting.set(calls, { resolve, reject });
      child.send({ id: calls, name, argument } satisfies Call);
    });
  return { call: call as Role<Commands>['call'], stop: () => child.kill('SIGKILL') };
}

/** In the role's own process. */
export function serveRole(commands: Readonly<Record<string, Command>>): void {
  process.on('message', (call: Call) => {
    void answer(commands, call).then((result) => process.send?.(result));
  });
  process.on('disconnect', () => process.exit(0));
}

async function answer(commands: Readonly<Record<string, Command>>, { id, name, argument }: Call): Promise<Answer> {
  const command = commands[name];
  if (command === undefined) return { id, problem: `no command ${name}` };
  try {
    return { id, result: await command(argument as never) };
  } catch (error) {
    return { id, problem: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

export function stopRoles(): void {
  for (const child of running) child.kill('SIGKILL');
}
