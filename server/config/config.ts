/**
 * Merges the settings into one frozen object: flags override environment variables, which override the file, which
 * overrides the defaults. Starts nothing and reads nothing from the system: main.ts passes in arguments, environment and
 * files. Encodings, names, codes, addresses, origins and tokens stay text here. hub/context.ts has them parsed by the
 * modules that know their formats.
 */
import type { Environment } from '../../shared/environment.ts';
import { fail, ok, type Result } from '../../shared/result.ts';
import { faultAcross, warningsFor, warningsForFlags } from './rules.ts';
import { flagOf, settings, type SettingName, type Values } from './settings.ts';
import { give, quoted, readEnvironment, readSettingsFile, type Given, type GivenSettings } from './sources.ts';

export { describeSettings } from './settings.ts';
export { readFlags, type CommandLine } from './sources.ts';

export type Config = Readonly<ReturnType<typeof withDerivedDefaults>>;

export interface ConfigSources {
  readonly flags: ReadonlyMap<SettingName, string>;
  readonly env: Environment;
  /** Reads a text file. Throws if it cannot be read. */
  readonly readFile: (path: string) => string;
}

export interface Settings {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** Reads the settings. A failure is the first problem: one line that names the setting and says what is valid. */
export function readConfig(sources: ConfigSources): Result<Settings> {
  const gathered = gather(sources);
  if (!gathered.ok) return gathered;
  const { layers, injected } = gathered.value;
  const given = new Map(layers.flatMap((layer) => [...layer]));
  const fault = firstFault(layers);
  if (fault !== undefined) return fail(fault);
  const config = Object.freeze(withDerivedDefaults(valuesOf(given)));
  const problem = faultAcross(config);
  if (problem !== undefined) return fail(problem);
  const warnings = [...warningsFor(config, (name) => given.has(name)), ...warningsForFlags(given)];
  if (injected.length > 0)
    warnings.unshift(
      `ignored, because Kubernetes injects them for Services named hub or hub-…: ${injected.join(', ')}`,
    );
  return ok({ config, warnings });
}

/** The settings that a reload applies. */
export function liveSettingsOf(config: Config): Partial<Config> {
  return Object.fromEntries(Object.entries(config).filter(([field]) => settings[field]?.isLive === true));
}

/** Fills in the defaults that depend on another setting. */
function withDerivedDefaults(values: Values) {
  return {
    ...values,
    tcpHost: values.tcpHost ?? values.host,
    /** null: no TCP. */
    tcpPort: values.tcpPort === 0 ? null : values.tcpPort,
    tcpAuth: values.tcpAuth ?? (values.auth === 'jwt' ? 'token' : 'none'),
    warmMs: values.warmMs ?? values.timeoutMs,
    databaseUrl: values.databaseUrl ?? (values.roster.startsWith('postgres') ? values.roster : null),
  };
}

/** Every given value has passed the check of its form. */
function valuesOf(given: GivenSettings): Values {
  const fields = Object.entries(settings).map(([field, { name, form, fallback }]) => {
    const one = given.get(name);
    return [field, (one === undefined ? fallback : form.parse(one.value)) ?? null];
  });
  return Object.fromEntries(fields) as Values;
}

/**
 * A wrong value stops the start even if a stronger source overrides it, because it would take effect once that source
 * is gone.
 */
function firstFault(layers: readonly GivenSettings[]): string | undefined {
  for (const { name, form } of Object.values(settings)) {
    for (const layer of layers) {
      const one = layer.get(name);
      if (one === undefined || form.parse(one.value) !== undefined) continue;
      return `${name} is ${quoted(one.value)}${source(name, one)}: it must be ${form.mustBe}`;
    }
  }
  return undefined;
}

function source(name: SettingName, { saidAs }: Given): string {
  return saidAs === name ? '' : ` (given as ${saidAs})`;
}

/** The settings of each source, the strongest last. */
function gather(sources: ConfigSources): Result<{ layers: readonly GivenSettings[]; injected: readonly string[] }> {
  const environment = readEnvironment(sources.env);
  if (!environment.ok) return environment;
  const { given: fromEnv, injected } = environment.value;
  const fromFlags = new Map<SettingName, Given>();
  for (const [name, value] of sources.flags) give(fromFlags, name, value, `--${flagOf(name)}`);
  const path = (fromFlags.get('HUB_CONFIG') ?? fromEnv.get('HUB_CONFIG'))?.value;
  const fromFile = path === undefined ? ok<GivenSettings>(new Map()) : readFileOfSettings(path, sources.readFile);
  if (!fromFile.ok) return fromFile;
  return ok({ layers: [fromFile.value, fromEnv, fromFlags], injected });
}

function readFileOfSettings(path: string, readFile: ConfigSources['readFile']): Result<GivenSettings> {
  let json: string;
  try {
    json = readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return fail(`HUB_CONFIG is "${path}": the file cannot be read (${code ?? message}); give a JSON file`);
  }
  return readSettingsFile(json, path);
}
