/**
 * The rate of ONNX Runtime's matrix product, which runs the models here, on one thread. A program:
 * `node matrix-product.mjs SIZE ROUNDS`; prints one JSON object. Two operations to each multiplication.
 */
import { OnnxGraph } from '../../../core/forward/onnx-graph.ts';
import { openOnnxRuntime } from '../../../workers/inference/onnx-runtime.ts';

const [size = 4096, rounds = 3] = process.argv.slice(2).map(Number);

const graph = new OnnxGraph();
const factors = ['a', 'b'].map((name) => graph.input(name, 'float32', [size, size]));
graph.output('c', graph.node('MatMul', factors), [size, size]);
const runtime = await openOnnxRuntime({ threads: 1 });
const session = await runtime.open(graph.toModel('product'));

/** Numbers that repeat with a period no power of two, so that no two rows are alike. */
function matrix(period: number) {
  const data = Float32Array.from({ length: size * size }, (_, place) => (place % period) / period - 0.5);
  return { type: 'float32' as const, data, shape: [size, size] };
}
const [a, b, c] = [matrix(7919), matrix(6101), matrix(1)];

const seconds: number[] = [];
// The first round warms up.
for (let round = -1; round < rounds; round++) {
  const before = process.cpuUsage();
  await session.run({ a, b }, { c });
  const { user, system } = process.cpuUsage(before);
  if (round >= 0) seconds.push((user + system) / 1e6);
}
await session.close();

let expected = 0;
for (let place = 0; place < size; place++) expected += (a.data[size + place] ?? 0) * (b.data[place * size + 2] ?? 0);
if (Math.abs((c.data[size + 2] ?? NaN) - expected) > 1e-4 * size) throw new Error('The product is wrong.');

const median = [...seconds].sort((one, other) => one - other)[rounds >> 1] ?? NaN;
const gflopPerSecond = (2 * size ** 3) / median / 1e9;
console.log(JSON.stringify({ version: runtime.version, size, rounds, seconds: median, gflopPerSecond }));
