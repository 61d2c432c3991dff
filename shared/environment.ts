/** The environment variables of a process, as passed to code that must not read `process`. Type only. */
export type Environment = Readonly<Record<string, string | undefined>>;
