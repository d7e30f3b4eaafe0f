// Opens a page's models in node, from the page itself: engine, codec and facts.

import fs from "node:fs";
import zlib from "node:zlib";
import { openCodec } from "../../../jumok/page/js/codec.js";
import { openEngine } from "../../../jumok/page/js/engine.js";
import { fromBase85 } from "../../../jumok/page/js/packed.js";

export function read(html, name) {
  return html.match(new RegExp(`id="jumok-${name}">([^<]*)<`))[1];
}

export const bytes = (html, name) => new Uint8Array(zlib.inflateSync(fromBase85(read(html, name))));

export async function open(path) {
  const html = fs.readFileSync(path, "utf8"), data = JSON.parse(read(html, "data"));
  return Promise.all(data.models.map(async (facts, i) => ({
    facts,
    codec: openCodec(facts.text),
    engine: await openEngine(bytes(html, "engine"), bytes(html, `model-${i}`), facts),
  })));
}

export const ask = (model, text, features = []) => {
  const source = model.codec.readSource(text, features), S = source.ids.length;
  return { ids: source.ids, tokens: source.tokens, limit: Math.max(1, Math.ceil(model.facts.limit[0] * S + model.facts.limit[1])) };
};

// Float32 values as one string, so that a comparison is bit for bit.
export const bits = (values) => Array.from(new Uint32Array(Float32Array.from(values).buffer), (x) => x.toString(16)).join(" ");

export function run(steps) {
  for (;;) {
    const { value, done } = steps.next();
    if (done) return value;
  }
}
