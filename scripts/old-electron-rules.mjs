/**
 * ESLint rules against what an old Electron (22: Node 16.17, V8 10.8) does not have. The window's tests run core, the
 * engine and the kernels' door there, bundled to CommonJS: syntax can be lowered by the bundler, missing APIs cannot.
 */
const WHY = 'is missing in the old Electron that the window is tested on';

const GLOBALS = [
  'structuredClone',
  'fetch',
  'Request',
  'Response',
  'Headers',
  'FormData',
  'WebSocket',
  'EventSource',
  'Blob',
  'File',
  'BroadcastChannel',
  'DOMException',
  'CustomEvent',
  'crypto',
  'Crypto',
  'CryptoKey',
  'SubtleCrypto',
  'navigator',
  'Navigator',
  'Iterator',
  'ReadableStream',
  'ReadableStreamDefaultReader',
  'ReadableStreamBYOBReader',
  'ReadableStreamBYOBRequest',
  'ReadableStreamDefaultController',
  'ReadableByteStreamController',
  'WritableStream',
  'WritableStreamDefaultWriter',
  'WritableStreamDefaultController',
  'TransformStream',
  'TransformStreamDefaultController',
  'ByteLengthQueuingStrategy',
  'CountQueuingStrategy',
  'TextEncoderStream',
  'TextDecoderStream',
  'CompressionStream',
  'DecompressionStream',
];

const STATIC_METHODS = [
  ['Object', 'groupBy'],
  ['Map', 'groupBy'],
  ['Promise', 'withResolvers'],
  ['Promise', 'try'],
  ['AbortSignal', 'any'],
  ['URL', 'canParse'],
  ['URL', 'parse'],
  ['Array', 'fromAsync'],
  ['fs', 'glob'],
  ['fsPromises', 'glob'],
];

/** Members whose names nothing else has. */
const MEMBERS = [
  'toSorted',
  'toReversed',
  'toSpliced',
  'isWellFormed',
  'toWellFormed',
  'symmetricDifference',
  'isSubsetOf',
  'isSupersetOf',
  'isDisjointFrom',
  'fromWeb',
  'toWeb',
  'styleText',
  'availableParallelism',
  'constrainedMemory',
  'availableMemory',
  'statfs',
  'statfsSync',
  'globSync',
  'openAsBlob',
  'addAbortListener',
  'crc32',
  'transferToFixedLength',
];

/** Named imports from Node's modules (with or without `node:`). */
const NAMED_IMPORTS = [
  ['fs', ['statfs', 'statfsSync', 'glob', 'globSync', 'openAsBlob']],
  ['fs/promises', ['statfs', 'glob']],
  ['util', ['styleText', 'parseEnv', 'MIMEType']],
  ['os', ['availableParallelism', 'machine']],
  ['process', ['constrainedMemory', 'availableMemory', 'loadEnvFile']],
  ['events', ['addAbortListener']],
  ['buffer', ['isUtf8', 'isAscii', 'File']],
  ['crypto', ['hash']],
];

const SYNTAX = [
  // Set methods and Array.prototype.with share their names with other libraries' (z.union): those are let through.
  [
    "CallExpression[callee.property.name=/^(union|intersection|difference)$/][callee.object.name!='z']",
    `A Set method ${WHY}: write the loop.`,
  ],
  ["CallExpression[callee.property.name='with']", `Array.prototype.with ${WHY}: copy and assign.`],
  [
    "CallExpression[callee.property.name=/^(map|filter|take|drop|flatMap|reduce|toArray|forEach|some|every|find)$/][callee.object.type='CallExpression'][callee.object.callee.property.name=/^(values|keys|entries|matchAll)$/][callee.object.callee.object.name!='Object']",
    `An iterator helper ${WHY}: spread the iterator into an array first.`,
  ],
  [
    "VariableDeclaration[kind='using'], VariableDeclaration[kind='await using']",
    '"using" cannot be relied on: use try and finally.',
  ],
  ['Literal[regex.flags=/v/]', `The RegExp flag "v" ${WHY}.`],
  ["NewExpression[callee.name='RegExp'] > Literal.arguments:nth-child(2)[value=/v/]", `The RegExp flag "v" ${WHY}.`],
  [
    'CallExpression:matches([callee.name=/^(readdir|readdirSync|opendir|opendirSync)$/], [callee.property.name=/^(readdir|readdirSync|opendir|opendirSync)$/]) > ObjectExpression > Property[key.name="recursive"]',
    'The option "recursive" is silently ignored by the old Electron: walk the folders.',
  ],
  ['MemberExpression[property.name=/zstd/i], ImportSpecifier[imported.name=/zstd/i]', `zlib's zstd ${WHY}.`],
  ["ImportSpecifier[imported.name='crc32']", `zlib.crc32 ${WHY}.`],
  [
    'CallExpression:matches([callee.name=/^create(Hash|Hmac|Cipheriv|Decipheriv)$/], [callee.property.name=/^create(Hash|Hmac|Cipheriv|Decipheriv)$/]) > Literal[value=/^(blake2|sha3-|shake|chacha20)/i]',
    "Electron's crypto does not have this algorithm.",
  ],
  ['NewExpression[callee.name=/^(Shared)?ArrayBuffer$/] > ObjectExpression', `A resizable ArrayBuffer ${WHY}.`],
  ['ImportExpression[source.value=/^(node:)?(readline.promises|sqlite)$/]', `This module ${WHY}.`],
  [
    'AwaitExpression:not(:function AwaitExpression), ForOfStatement[await=true]:not(:function ForOfStatement)',
    'Top-level await cannot be bundled to CommonJS: move it into a function.',
  ],
  ["MetaProperty[meta.name='import']", 'import.meta is empty in a CommonJS bundle: let the caller pass the path.'],
];

/** Rules for the files that the window's engine runs. */
export const oldElectronRules = {
  'no-restricted-globals': [
    'error',
    { globals: GLOBALS.map((name) => ({ name, message: `"${name}" ${WHY}.` })), checkGlobalObject: true },
  ],
  'no-restricted-properties': [
    'error',
    ...STATIC_METHODS.map(([object, property]) => ({ object, property, message: `It ${WHY}.` })),
    ...MEMBERS.map((property) => ({ property, message: `It ${WHY}.` })),
  ],
  'no-restricted-imports': [
    'error',
    {
      paths: [
        ...['readline/promises', 'sqlite']
          .flatMap((name) => [name, `node:${name}`])
          .map((name) => ({ name, message: `It ${WHY}.` })),
        ...NAMED_IMPORTS.flatMap(([name, importNames]) =>
          [name, `node:${name}`].map((source) => ({ name: source, importNames, message: `It ${WHY}.` })),
        ),
      ],
    },
  ],
  'no-restricted-syntax': ['error', ...SYNTAX.map(([selector, message]) => ({ selector, message }))],
};
