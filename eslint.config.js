import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { oldElectronRules } from './scripts/old-electron-rules.mjs';

const TYPESCRIPT = ['**/*.ts', '**/*.tsx'];

const NO_DEFAULT_EXPORT = {
  selector: 'ExportDefaultDeclaration, ExportSpecifier[exported.name="default"]',
  message: 'Export by name, so that one thing has one name everywhere.',
};

/** `no-restricted-syntax` lists do not add up over blocks: each block names the common entry again. */
const [severity, ...oldElectronSyntax] = oldElectronRules['no-restricted-syntax'];

export default defineConfig(
  { ignores: ['dist/', '**/*.d.ts', '**/target/', 'coverage/', 'examples/', '.tmp/', 'bench-results/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts', '**/*.tsx', '**/*.mjs', '**/*.js'],
    rules: {
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'object-shorthand': 'error',
      'no-duplicate-imports': ['error', { allowSeparateTypeImports: true }],
      'no-useless-rename': 'error',
      'no-self-compare': 'error',
      'no-unreachable': 'error',
      'no-unsafe-finally': 'error',
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-fallthrough': 'error',
      'no-sparse-arrays': 'error',
      'no-loss-of-precision': 'error',
      'no-dupe-else-if': 'error',
      'no-duplicate-case': 'error',
      'no-empty': 'error',
      'no-control-regex': 'error',
      'require-yield': 'error',
    },
  },
  {
    files: ['**/*.mjs', '**/*.js'],
    rules: { 'no-unused-vars': 'error' },
  },
  {
    files: TYPESCRIPT,
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/prefer-readonly': 'error',
      'no-restricted-syntax': ['error', NO_DEFAULT_EXPORT],
    },
  },
  {
    files: ['core/**/*.ts', 'workers/**/*.ts', 'native-kernels/*.ts'],
    rules: {
      ...oldElectronRules,
      'no-restricted-syntax': [severity, NO_DEFAULT_EXPORT, ...oldElectronSyntax],
      'no-console': 'error',
    },
  },
  {
    // Tools ask for a default export in these.
    files: ['*.config.ts', 'test/helpers/*-setup.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    // Tests build hostile values on purpose.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
    },
  },
);
