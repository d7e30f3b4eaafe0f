// What a person does with the page, by mouse and by keyboard: write, see, steer, search, compare, trust, take along.

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { output, source, tab, texts, type, visit, written } from "./harness.mjs";

test("an example is written at first sight, and typing writes on", () => visit("dot", async (page) => {
  await written(page);
  assert.equal(await page.locator("#input").inputValue(), "attention");
  assert.deepEqual(await texts(source(page)), [..."attention", "</s>"]);
  assert.ok((await output(page).count()) > 0);
  assert.ok((await page.locator(".ribbons path").count()) > 0);
  await page.locator("#input").press("End");
  await page.keyboard.type(" b\u00a0");
  await page.waitForFunction(() => globalThis.jumokApp.answered === "attention b\u00a0");
  await written(page);
  assert.deepEqual((await texts(source(page))).slice(-4), ["␣", "b", "⍽", "</s>"]);
  await page.getByRole("button", { name: "zebra" }).click();
  await page.waitForFunction(() => globalThis.jumokApp.answered === "zebra");
}));

test("output comes token by token, and a newer text stops an older one", () => visit("dot", async (page) => {
  await written(page);
  const seen = await page.evaluate(async () => {
    const app = globalThis.jumokApp, kinds = [];
    await new Promise((done) => app.engine.ask("watch", app.question("write", { text: "abcdef" }), (a) => (kinds.push(a.kind), a.kind === "done" && done())));
    return kinds;
  });
  assert.equal(seen[0], "source");
  assert.ok(seen.filter((kind) => kind === "step").length >= 1);
  assert.equal(seen.at(-1), "done");
  await page.locator("#input").fill("a".repeat(500));
  await type(page, "ab");
  assert.deepEqual(await texts(source(page)), ["a", "b", "</s>"]);
}));

test("pointing at a token shades the other side and shows exact weights", () => visit("dot", async (page) => {
  await written(page);
  const all = await page.locator(".ribbons path").count();
  await output(page).first().hover();
  await page.waitForTimeout(80);
  const tip = page.getByRole("tooltip");
  assert.match(await tip.textContent(), /step 1.*looked at.*entropy.*margin/s);
  assert.ok((await page.locator(".ribbons path").count()) <= all + 10);
  assert.ok(await source(page).first().evaluate((b) => b.style.background !== ""));
  await page.mouse.move(2, 2);
  await source(page).nth(1).hover();
  assert.match(await tip.textContent(), /source 2.*coverage/s);
  assert.ok(await output(page).first().evaluate((b) => b.style.background !== ""));
  await page.locator(".map canvas").scrollIntoViewIfNeeded();
  const box = await page.locator(".map canvas").boundingBox(), at = await page.evaluate(() => globalThis.jumokApp.view.place(0, 2));
  await page.mouse.move(box.x + at.x, box.y + at.y);
  assert.match(await tip.textContent(), /looked at .* \d+\.\d\d %/);
}));

test("by keyboard: Tab reaches a row once, arrows go along it, focus shows what hovering shows", () => visit("dot", async (page) => {
  await written(page);
  await source(page).first().focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "t");
  assert.match(await page.getByRole("tooltip").textContent(), /source 2/);
  await page.keyboard.press("End");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "</s>");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest(".out") !== null));
}));

test("a likelier or unlikelier token is chosen, the prefix is locked, the decoder goes on; undo, redo, release", () => visit("dot", async (page) => {
  await written(page);
  const before = await texts(output(page));
  await output(page).nth(1).click();
  const bars = page.locator(".step .bar");
  assert.equal(await bars.count(), 10);
  assert.equal(await bars.first().getAttribute("aria-pressed"), "true");
  const chosen = await bars.nth(2).locator("bdi").textContent();
  await bars.nth(2).click();
  await written(page);
  const after = await texts(output(page));
  assert.equal(after[0], before[0]);
  assert.equal(after[1], chosen);
  assert.equal(await page.locator(".tok.locked").count(), 2);
  await page.getByRole("button", { name: "Undo" }).click();
  await written(page);
  assert.deepEqual(await texts(output(page)), before);
  await page.getByRole("button", { name: "Redo" }).click();
  await written(page);
  assert.deepEqual(await texts(output(page)), after);
  await page.keyboard.press("Control+z");
  await written(page);
  assert.deepEqual(await texts(output(page)), before);
  await page.keyboard.press("Control+Shift+z");
  await written(page);
  await page.getByRole("button", { name: "Let it run free" }).click();
  await written(page);
  assert.deepEqual(await texts(output(page)), before);
}));

test("a token of one's own, by keyboard; one that the model does not know is refused in words", () => visit("dot", async (page) => {
  await written(page);
  await output(page).first().focus();
  await page.keyboard.press("Enter");
  await page.locator("#own-token").fill("T N");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => globalThis.jumokApp.state.prefix.length === 2);
  await written(page);
  assert.deepEqual((await texts(output(page))).slice(0, 2), ["T", "N"]);
  await page.locator("#own-token").fill("ЖЖ");
  await page.keyboard.press("Enter");
  await page.getByText("This model has no token for “ЖЖ”.").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".step").isVisible(), false);
  assert.ok(await page.evaluate(() => document.activeElement.closest(".out") !== null));
}));

test("look only here: by button, by dragging on the heat map, by keys", () => visit("dot", async (page) => {
  await written(page);
  await output(page).nth(1).click();
  await page.locator(".places button").nth(3).click();
  await written(page);
  const row = () => page.evaluate(() => Array.from(globalThis.jumokApp.result.rows[1]));
  assert.equal((await row())[3], 1);
  assert.equal(await page.locator(".tok.edited").count(), 1);
  await page.getByRole("button", { name: "As the model wants" }).click();
  await written(page);
  assert.ok((await row())[3] < 1);
  await page.locator(".map canvas").scrollIntoViewIfNeeded();
  const box = await page.locator(".map canvas").boundingBox();
  const at = await page.evaluate(() => globalThis.jumokApp.view.place(0, 2));
  const to = await page.evaluate(() => globalThis.jumokApp.view.place(0, 4));
  await page.mouse.move(box.x + at.x, box.y + at.y);
  await page.mouse.down();
  await page.mouse.move(box.x + to.x, box.y + to.y, { steps: 4 });
  await page.mouse.up();
  await written(page);
  assert.deepEqual(await page.evaluate(() => globalThis.jumokApp.state.edits), { 0: [2, 3, 4] });
  await page.locator(".map").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Shift+ArrowRight");
  assert.match(await page.locator("[aria-live=polite]").textContent(), /step 2.*looked at/);
  await page.keyboard.press("Enter");
  await written(page);
  assert.deepEqual(await page.evaluate(() => globalThis.jumokApp.state.edits), { 0: [2, 3, 4], 1: [1, 2] });
}));

test("search: the beam, its tree, and a reference that falls out of it", () => visit("dot", async (page) => {
  await written(page);
  await tab(page, "Search");
  await page.locator("#beam").focus();
  for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => document.querySelectorAll(".best li").length === 5);
  assert.equal(await page.locator("output").textContent(), "5");
  assert.ok((await page.locator(".tree .node").count()) > 10);
  assert.ok((await page.locator(".tree .node.best").count()) > 1);
  assert.ok((await page.locator(".tree .node.ended").count()) >= 1);
  await page.locator("#reference").fill("AH T N AH T N");
  await page.getByText(/Search error|Model error/).waitFor();
  await page.getByText(/fell out of the beam at step \d+/).waitFor();
  const best = await page.locator(".best li bdi").first().textContent();
  await page.locator("#reference").fill(best);
  await page.getByText("The reference is the best output.").waitFor();
  await page.locator(".tree .node").first().focus();
  await page.keyboard.press("ArrowRight");
  assert.match(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), /step 2: /);
}));

test("trust: occlusion beside attention, and how far they agree", () => visit("dot", async (page) => {
  await written(page);
  await tab(page, "Trust");
  await page.getByText(/Rank agreement of attention and occlusion: −?-?\d\.\d\d/).waitFor();
  const [n, S] = await page.evaluate(() => [document.querySelectorAll(".cells tbody tr").length, globalThis.jumokApp.result.tokens.length]);
  assert.equal(n, 2 * (await output(page).count()));
  assert.equal(await page.locator(".cells thead th").count(), S);
  await page.getByText("A weight says where the model looked, not what mattered.").waitFor();
}));

test("compare: four models on one source, and what each makes of a growing one", () => visit("four", async (page) => {
  await written(page);
  await tab(page, "Compare");
  await page.waitForFunction(() => [...document.querySelectorAll(".card .said")].filter((each) => each.textContent).length === 4);
  await page.waitForFunction(() => document.querySelectorAll(".growing tbody tr").length >= 5);
  assert.equal(await page.locator(".growing thead th").count(), 5);
  assert.match(await page.locator(".card").nth(1).textContent(), /no attention/);
  await page.getByText(/general: .*output/).waitFor();
  await page.locator(".card canvas").first().scrollIntoViewIfNeeded();
  const box = await page.locator(".card canvas").first().boundingBox(), at = await page.evaluate(() => globalThis.jumokApp.view.place(0, 0, 1));
  await page.mouse.move(box.x + at.x, box.y + at.y);
  assert.match(await page.getByRole("tooltip").textContent(), /\(step 1\) looked at t \(position 2\)/);
  assert.deepEqual(await page.evaluate(() => globalThis.jumokApp.pointed), { side: "source", at: 1 });
  await page.locator(".card .grid").nth(2).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  assert.match(await page.locator(".card").nth(2).locator("[aria-live]").textContent(), /looked at t \(position 2\)/);
  assert.equal(await page.locator(".card").nth(2).locator("table td").count(), 10 * (await page.locator(".card").nth(2).locator("tbody tr").count()) + 1);
  await page.locator("#model").selectOption("1");
  await page.waitForFunction(() => globalThis.jumokApp.state.model === 1 && globalThis.jumokApp.result.done);
  await page.getByText("This model has no attention: all that its decoder knows").first().waitFor();
}));

test("the difference of two models' attention is a map of its own, by mouse and by keys", () => visit("four", async (page) => {
  await written(page);
  await tab(page, "Compare");
  const block = page.locator(".difference"), choose = block.getByRole("combobox");
  await choose.first().focus();
  await choose.nth(1).selectOption("3");
  const wanted = await page.evaluate(async () => {
    const app = globalThis.jumokApp, both = await Promise.all([0, 3].map((model) => new Promise((done) => {
      const rows = [];
      app.engine.ask(`watch-${model}`, app.question("write", { model }), (a) => (a.kind === "step" && rows.push([a.token, Array.from(a.weights)]), a.kind === "done" && done(rows)));
    })));
    return both.map((rows) => rows[0]);
  });
  await block.getByText(/A row for each token that both wrote|nothing to subtract/).waitFor();
  if (wanted[0][0] === wanted[1][0]) {
    const first = wanted[0][1].map((w, s) => 100 * (w - wanted[1][1][s])), shown = await block.locator("tbody tr").first().locator("td").allTextContents();
    shown.forEach((text, s) => assert.ok(Math.abs(Number(text.replace("−", "-").replace(" %", "")) - first[s]) < 0.06, `${text}, ${first[s]}`));
  }
  await choose.nth(1).selectOption("0");
  await block.getByText("Choose two models.").waitFor();
  await choose.first().selectOption("2");
  await block.locator(".grid").focus();
  await page.keyboard.press("ArrowDown");
  assert.match(await block.locator("[aria-live]").textContent(), /at a: general \d+\.\d\d %, dot \d+\.\d\d %, difference [+−]\d/);
  assert.equal(await block.locator(".legend span").count(), 2);
}));

test("a token is forbidden and allowed again, by mouse and by keys; the link and undo know it", () => visit("dot", async (page) => {
  await written(page);
  const before = await texts(output(page));
  await output(page).first().click();
  await page.locator(".step .never").first().click();
  await written(page);
  const after = await texts(output(page));
  assert.ok(!after.includes(before[0]) && (await page.locator(".step .barred").count()) >= 1);
  assert.match(await page.evaluate(() => globalThis.jumokApp.state.toHash()), /&n=\d+/);
  await page.locator(".nevers button").focus();
  await page.keyboard.press("Enter");
  await written(page);
  assert.deepEqual(await texts(output(page)), before);
  await page.getByRole("button", { name: "Undo" }).click();
  await written(page);
  assert.deepEqual(await texts(output(page)), after);
  await page.locator(".step .bar").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  assert.match(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), /^Never write /);
  await page.keyboard.press("Enter");
  await written(page);
  assert.equal(await page.locator(".nevers button").count(), 2);
  await tab(page, "Search");
  await page.locator("#reference").fill(before[0]);
  await page.getByText("The reference has a token that you forbade.").waitFor();
}));

test("a token is chosen by keys; search, trust and saving need no mouse", () => visit("dot", async (page) => {
  await written(page);
  await output(page).first().focus();
  await page.keyboard.press("Enter");
  await page.locator(".step .bar").first().focus();
  await page.keyboard.press("ArrowDown");
  const chosen = await page.evaluate(() => document.activeElement.querySelector("bdi").textContent);
  await page.keyboard.press("Enter");
  await written(page);
  assert.equal((await texts(output(page)))[0], chosen);
  await page.keyboard.press("Escape");
  await page.getByRole("tab", { name: "Attention" }).focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "Search");
  await page.keyboard.press("ArrowRight");
  await page.locator(".cells td[tabindex='0']").focus();
  await page.keyboard.press("ArrowDown");
  assert.match(await page.getByRole("tooltip").textContent(), /without a: log-probability [+−]\d/);
  await page.getByRole("tab", { name: "Trust" }).focus();
  await page.keyboard.press("End");
  assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "Save");
  await page.getByRole("button", { name: "Table (CSV)" }).focus();
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  assert.equal(download.suggestedFilename(), "attention.csv");
}));

test("what is saved can be copied; where a frame forbids it, it is shown to be copied", () => visit("dot", async (page) => {
  await written(page);
  await tab(page, "Save");
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: async (text) => (globalThis.copied = text) } }));
  await page.getByRole("button", { name: "Copy JSON" }).click();
  await page.getByText("Copied.").waitFor();
  assert.equal(JSON.parse(await page.evaluate(() => globalThis.copied)).source, "attention");
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.waitForFunction(() => globalThis.copied.includes("#s=attention"));
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { configurable: true, value: undefined }));
  await page.getByRole("button", { name: "Copy CSV" }).click();
  assert.match(await page.locator("textarea.copied").inputValue(), /^,a,t,t,e,n,t,i,o,n,<\/s>,entropy \(bits\),margin,probability\r?\n/);
}, { fresh: true }));

test("touch: a tap shows a token's weights, and again lets it go", () => visit("dot", async (page) => {
  await written(page);
  await source(page).nth(1).tap();
  assert.equal(await source(page).nth(1).getAttribute("aria-pressed"), "true");
  assert.match(await page.getByRole("tooltip").textContent(), /source 2: t/);
  await source(page).nth(1).tap();
  assert.equal(await source(page).nth(1).getAttribute("aria-pressed"), "false");
}, { width: 390, height: 844, hasTouch: true }));

test("memory: after many outputs the page holds what it held", () => visit("dot", async (page) => {
  await written(page);
  const session = await page.context().newCDPSession(page);
  const held = async (count) => {
    await page.evaluate(async (n) => {
      const app = globalThis.jumokApp;
      for (let i = n; i > 0; i--) {
        const text = i === 1 ? "attention" : `word ${i % 10}${"x".repeat(i % 7)}`;
        app.write(text);
        while (app.answered !== text || !app.result.done) await new Promise((done) => requestAnimationFrame(done));
      }
    }, count);
    await session.send("HeapProfiler.collectGarbage");
    const { metrics } = await session.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map((m) => [m.name, m.value]));
  };
  await session.send("Performance.enable");
  const before = await held(15), after = await held(45);
  assert.ok(after.JSHeapUsedSize < before.JSHeapUsedSize + 400_000, `${before.JSHeapUsedSize} to ${after.JSHeapUsedSize} bytes`);
  assert.ok(after.Nodes <= before.Nodes + 100 && after.JSEventListeners <= before.JSEventListeners + 100, `${after.Nodes} nodes, ${after.JSEventListeners} listeners`);
}));

test("take along: picture, table, data, and a link that opens to the same", () => visit("dot", async (page) => {
  await written(page);
  await output(page).nth(1).click();
  await page.locator(".step .bar").nth(1).click();
  await written(page);
  const shown = await texts(output(page));
  await tab(page, "Save");
  const kept = {};
  for (const name of ["Picture (SVG)", "Picture (PNG)", "Table (CSV)", "Data (JSON)"]) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
    kept[name] = { file: download.suggestedFilename(), data: fs.readFileSync(await download.path()) };
  }
  assert.equal(kept["Picture (SVG)"].file, "attention.svg");
  assert.match(kept["Picture (SVG)"].data.toString(), /^<svg xmlns/);
  assert.equal(kept["Picture (PNG)"].data.subarray(1, 4).toString(), "PNG");
  const json = JSON.parse(kept["Data (JSON)"].data.toString());
  assert.equal(json.schema, "jumok.translation/1");
  assert.equal(kept["Table (CSV)"].data.toString().split("\r\n").length, json.tokens.length + 3);
  if (process.env.KEEP) for (const { file, data } of Object.values(kept)) fs.writeFileSync(`${process.env.KEEP}/${file}`, data);
  const hash = await page.evaluate(() => globalThis.jumokApp.state.toHash());
  await page.waitForFunction((wanted) => location.hash === wanted, hash);
  await page.reload();
  await written(page);
  assert.deepEqual(await texts(output(page)), shown);
}));

test("features are chosen, and change the source", () => visit("features", async (page) => {
  await written(page);
  await page.getByRole("button", { name: "PST", exact: true }).click();
  await page.waitForFunction(() => globalThis.jumokApp.state.features.length === 1 && globalThis.jumokApp.result.done);
  await written(page);
  assert.equal((await texts(source(page)))[0], "‹PST›");
}));

test("a monotonic model shows posteriors and says so", () => visit("chain", async (page) => {
  await written(page);
  await page.getByText("The weights are posteriors").waitFor();
  const rows = await page.evaluate(() => globalThis.jumokApp.result.rows.map((row) => row.reduce((a, b) => a + b)));
  rows.forEach((sum) => assert.ok(Math.abs(sum - 1) < 1e-4));
}));

test("a recording is the same view without a model: read, point, save; nothing to steer", () => visit("trace", async (page) => {
  await page.waitForFunction(() => globalThis.jumokApp?.result.done);
  assert.ok((await output(page).count()) > 0);
  assert.equal(await page.locator("#input").count(), 0);
  await output(page).first().hover();
  assert.match(await page.getByRole("tooltip").textContent(), /looked at/);
  await output(page).first().click();
  assert.equal(await page.locator(".step").isVisible(), false);
  assert.deepEqual(await texts(page.getByRole("tab")), ["Attention", "Save"]);
  await tab(page, "Save");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Data (JSON)" }).click()]);
  assert.equal(JSON.parse(fs.readFileSync(await download.path(), "utf8")).source, "attention");
}));
