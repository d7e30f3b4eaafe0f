// Greedy outputs of a page's model, in node and in Chromium, against checksums: node page.mjs PAGE CASES

import fs from "node:fs";
import { ask, open } from "../../tests/page/node/load.mjs";
import { greedy } from "../../jumok/page/js/search.js";

const [, , page, file] = process.argv;
const { lines, wanted, browser } = JSON.parse(fs.readFileSync(file, "utf8"));
const [model] = await open(page);

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc(typed, before) {
  let c = ~before;
  for (const byte of new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength)) c = TABLE[(c ^ byte) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}

const checksum = (steps) => steps.reduce((sum, { id, logp, weights }) => {
  sum = crc(Float32Array.of(logp), crc(Int32Array.of(id), sum));
  return weights ? crc(Float32Array.from(weights), sum) : sum;
}, 0);

const of = (line) => (model.codec.isBlank(line) || ask(model, line).ids.length > model.facts.longest ? 0 : checksum([...greedy(model.engine, ask(model, line))]));
const inNode = lines.filter((line, i) => of(line) === wanted[i]).length;

let inChromium = null, asked = 0;
if (process.env.CHROMIUM && browser) {
  const { chromium } = await import(`${process.env.NODE_MODULES}/playwright-core/index.mjs`);
  const opened = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
  const tab = await opened.newPage();
  await tab.goto(`file://${page}`);
  await tab.waitForFunction(() => globalThis.jumokApp?.result.done);
  inChromium = 0;
  for (const [i, line] of lines.slice(0, browser).entries()) {
    asked++;
    const steps = await tab.evaluate((text) => new Promise((done) => {
      const steps = [];
      globalThis.jumokApp.engine.ask("same", { op: "write", model: 0, text, features: [], prefix: [], edits: {}, beam: 1 }, (a) => {
        if (a.kind === "step") steps.push({ id: a.id, logp: a.logp, weights: a.weights && Array.from(a.weights) });
        if (a.kind === "done") done(steps);
      });
    }), line);
    if (checksum(steps) === wanted[i]) inChromium++;
  }
  await opened.close();
}
console.log(JSON.stringify({ lines: lines.length, same_in_node: inNode, asked_in_chromium: asked, same_in_chromium: inChromium }));
