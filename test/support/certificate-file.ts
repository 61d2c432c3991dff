import { fileURLToPath } from 'node:url';

/** The path of one of the tests' own files: `first.crt`, `first.key`, `second.crt`, `second.key`. */
export function certificateFile(name: string): string {
  return fileURLToPath(new URL(`certificates/${name}.pem`, import.meta.url));
}
