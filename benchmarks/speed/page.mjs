// Times and memory of a page in Chromium: node page.mjs PAGE LINES

import fs from "node:fs";

const { chromium } = await import(`${process.env.NODE_MODULES}/playwright-core/index.mjs`);
const [, , page, file] = process.argv, lines = JSON.parse(fs.readFileSync(file, "utf8"));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--js-flags=--expose-gc", "--enable-precise-memory-info"] });
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const round = (x) => Math.round(100 * x) / 100;

const first = [];
let tab;
for (let i = 0; i < 5; i++) {
  await tab?.close();
  tab = await browser.newPage();
  await tab.addInitScript(() => {
    new MutationObserver(() => (document.querySelector(".tokens.out .tok") ? (globalThis.firstOutput ??= performance.now()) : 0)).observe(document, { childList: true, subtree: true });
  });
  await tab.goto(`file://${page}`);
  await tab.waitForFunction(() => globalThis.firstOutput && globalThis.jumokApp.result.done);
  first.push(await tab.evaluate(() => globalThis.firstOutput));
}

const each = (texts) => tab.evaluate(async (list) => {
  const app = globalThis.jumokApp, times = [];
  for (const text of list) {
    const t0 = performance.now();
    await new Promise((done) => app.engine.ask("speed", app.question("write", { text, prefix: [], edits: {}, beam: 1 }), (a) => a.kind === "done" && done()));
    times.push(performance.now() - t0);
  }
  return times;
}, texts);

// the whole page at work: what it shows, too
const shown = (texts) => tab.evaluate(async (list) => {
  const app = globalThis.jumokApp;
  for (const text of list) {
    app.write(text);
    await new Promise((done) => {
      const look = () => (app.answered === text && app.result.done ? done() : requestAnimationFrame(look));
      look();
    });
  }
}, texts);

// What the page and its worker hold once what is not needed is gone: bytes of both heaps, nodes; and by how many bytes the engine's
// memory has grown since `watched`.
const watched = () => tab.workers()[0].evaluate(() => {
  const { grow } = WebAssembly.Memory.prototype;
  globalThis.grown = 0;
  WebAssembly.Memory.prototype.grow = function (pages) {
    globalThis.grown += 65536 * pages;
    return grow.call(this, pages);
  };
});
async function held() {
  const session = await tab.context().newCDPSession(tab);
  await session.send("Performance.enable");
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics"), of = (name) => metrics.find((m) => m.name === name).value;
  const [worker, engine] = await tab.workers()[0].evaluate(() => (globalThis.gc(), [performance.memory?.usedJSHeapSize ?? 0, globalThis.grown]));
  return { heap: of("JSHeapUsedSize"), nodes: of("Nodes"), worker, engine };
}

const longest = (op, text) => tab.evaluate(async ([name, source]) => {
  const app = globalThis.jumokApp, own = { text: source, prefix: [], edits: {}, beam: name === "tree" ? 10 : 1 };
  let target = [], going = true, last = performance.now(), pause = 0;
  await new Promise((done) => app.engine.ask("speed", app.question("write", { ...own, beam: 1 }), (a) => a.kind === "done" && ((target = a.ids), done())));
  const beat = () => ((pause = Math.max(pause, performance.now() - last)), (last = performance.now()), going && setTimeout(beat, 0));
  const t0 = (last = performance.now());
  beat();
  await new Promise((done) => app.engine.ask("speed", app.question(name, { ...own, target }), done));
  going = false;
  return [performance.now() - t0, pause];
}, [op, text]);

await each(lines.slice(0, 30));
const times = await each(lines.slice(0, 200));
const longestFirst = [...lines].sort((a, b) => b.length - a.length);
await shown([...longestFirst.slice(0, 20), ...lines.slice(0, 80), lines[0]]);
await watched();
const before = await held();
await shown([...lines, lines[0]]);
const after = await held();
const text = [...lines].sort((a, b) => a.length - b.length)[Math.floor(lines.length / 2)];
const [occlusion, pause1] = await longest("occlude", text), [tree, pause2] = await longest("tree", text);
console.log(JSON.stringify({
  megabytes: round(fs.statSync(page).size / 1e6), first_output_ms: round(median(first)), output_ms: round(median(times)),
  slowest_output_ms: round(Math.max(...times)), occlusion_ms: round(occlusion), tree_of_10_ms: round(tree), longest_pause_ms: round(Math.max(pause1, pause2)),
  outputs: lines.length, before, after,
}));
await browser.close();
