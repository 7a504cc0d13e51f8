// Runs one model with onnxruntime-web's WebAssembly build: the code a browser runs.
//
//   node web_worker.mjs DIST
//
// DIST is onnxruntime-web's folder `dist`. Frames on stdin and stdout: "RNNP", the size of a JSON
// header (uint32), the size of what follows it (uint64), all little-endian, the header, the bytes
// of its tensors one after another. The first frame opens a model, every later one runs it. What
// the library prints goes to stderr. Ends with stdin.

import { readFileSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const MAGIC = "RNNP";
const PREFIX = 16;
const TYPES = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

for (const level of ["debug", "log", "info", "warn"]) console[level] = console.error;

/** Reads exactly so many bytes; null where stdin ends before the first of them. */
function read(size) {
  const bytes = Buffer.alloc(size);
  let got = 0;
  while (got < size) {
    const count = readSync(0, bytes, got, Math.min(size - got, 1 << 30), null);
    if (count === 0) {
      if (got === 0) return null;
      throw new Error("stdin ended within a frame");
    }
    got += count;
  }
  return bytes;
}

function write(bytes) {
  for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
}

/** The next frame's header, with `tensors` as [{name, dtype, shape, bytes}]; null at the end. */
function receive() {
  const prefix = read(PREFIX);
  if (prefix === null) return null;
  if (prefix.toString("latin1", 0, 4) !== MAGIC) throw new Error("a frame without its mark");
  const header = JSON.parse(read(prefix.readUInt32LE(4)).toString("utf8"));
  let left = Number(prefix.readBigUInt64LE(8));
  for (const tensor of header.tensors) {
    const count = tensor.shape.reduce((product, size) => product * size, 1);
    const size = count * TYPES[tensor.dtype].BYTES_PER_ELEMENT;
    if (size > left) throw new Error("tensors larger than their frame");
    tensor.bytes = size ? read(size) : Buffer.alloc(0);
    left -= size;
  }
  if (left !== 0) throw new Error("tensors smaller than their frame");
  return header;
}

function send(header, payloads = []) {
  const text = Buffer.from(JSON.stringify(header), "utf8");
  const prefix = Buffer.alloc(PREFIX);
  prefix.write(MAGIC, 0, "latin1");
  prefix.writeUInt32LE(text.length, 4);
  prefix.writeBigUInt64LE(BigInt(payloads.reduce((sum, bytes) => sum + bytes.length, 0)), 8);
  write(prefix);
  write(text);
  payloads.forEach(write);
}

function toTensor(ort, { dtype, shape, bytes }) {
  const Type = TYPES[dtype];
  const data = new Type(bytes.length / Type.BYTES_PER_ELEMENT);
  new Uint8Array(data.buffer).set(bytes);
  return new ort.Tensor(dtype, data, shape);
}

function fromTensor(name, tensor) {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return [{ name, dtype: tensor.type, shape: tensor.dims }, Buffer.from(buffer, byteOffset, byteLength)];
}

async function load(dist) {
  const ort = await import(pathToFileURL(join(dist, "ort.wasm.min.mjs")));
  ort.env.logLevel = "fatal";
  // As in a page that is not cross-origin isolated. More would have the library fetch its own
  // module, which Node's fetch does not do for files.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = readFileSync(join(dist, "ort-wasm-simd-threaded.wasm"));
  return ort;
}

async function open(ort, { model, data }) {
  const options = { executionProviders: ["wasm"], logSeverityLevel: 4 };
  if (data) options.externalData = [{ path: data.name, data: readFileSync(data.path) }];
  return ort.InferenceSession.create(readFileSync(model), options);
}

async function run(ort, session, { outputs, tensors }) {
  const feeds = Object.fromEntries(tensors.map((tensor) => [tensor.name, toTensor(ort, tensor)]));
  const found = await session.run(feeds, outputs);
  const given = outputs.map((name) => fromTensor(name, found[name]));
  return [{ tensors: given.map(([header]) => header) }, given.map(([, bytes]) => bytes)];
}

const said = (error) => String(error?.message ?? error);

async function main([dist]) {
  let ort, session;
  for (let frame = receive(); frame !== null; frame = receive()) {
    let answer;
    try {
      if (session === undefined) {
        ort = await load(dist);
        session = await open(ort, frame);
        answer = [{ inputs: session.inputNames, outputs: session.outputNames, tensors: [] }];
      } else {
        answer = await run(ort, session, frame);
      }
    } catch (error) {
      answer = [{ error: said(error), tensors: [] }];
    }
    send(...answer);
  }
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(said(error));
    process.exit(1);
  },
);
