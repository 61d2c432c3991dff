// Lint: typescript-eslint at its strictest with types, ESLint's own recommendation for plain JavaScript, and the house rules
// that syntax alone can show.
import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Names that plain JavaScript for Node may use without an import. */
const nodeGlobals = Object.fromEntries(
  ['process', 'performance', 'console', 'URL', 'setInterval', 'setTimeout'].map((name) => [name, 'readonly']),
);

const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'Export by name: one word for one thing, wherever it is used.',
};

export default tseslint.config(
  { ignores: ['dist/', 'data/', 'coverage/', 'node_modules/'] },
  {
    // Plain JavaScript runs before anything is built, or is handed to a browser or a process as it stands.
    files: ['**/*.mjs', '**/*.js'],
    extends: [eslint.configs.recommended],
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: { globals: nodeGlobals },
    rules: { eqeqeq: 'error', 'no-control-regex': 'off', 'prefer-const': 'error', 'no-var': 'error' },
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ['*.config.ts'] }, tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'no-control-regex': 'error',
      'no-restricted-syntax': ['error', noDefaultExport],
      'max-lines': ['warn', { max: 300, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['warn', { max: 60, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      // A default ends in `satisfies never` where the cases are a union of ours, so the compiler sees a missing one.
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // Numbers and booleans in a template are what a template is for.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // It asks for `!`, which the rule against non-null assertions forbids: `as T` it is, where an index is known to be there.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // Handlers that only pass on are clearer as one expression.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // A port may have methods that an implementation need not await or use `this` in.
      '@typescript-eslint/require-await': 'off',
      // Dot access on index signatures is what the compiler forbids here (noPropertyAccessFromIndexSignature).
      '@typescript-eslint/dot-notation': 'off',
      // CodeTable.parse and the like: a class may be made by a static function.
      '@typescript-eslint/no-extraneous-class': 'off',
    },
  },
  {
    files: ['test/**/*.ts', 'vitest.config.ts'],
    rules: {
      'max-lines': 'off',
      'max-lines-per-function': 'off',
      // A test says what it expects to be there; where it is not, it fails, as it should.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-empty-function': 'off',
    },
  },
  {
    // Tools read a configuration from the default export.
    files: ['*.config.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
);
