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
  const bars = page.locator(".step .bars button");
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
  const box = await page.locator(".card canvas").first().boundingBox();
  await page.mouse.move(box.x + 80, box.y + 34);
  assert.match(await page.getByRole("tooltip").textContent(), /looked at/);
  await page.locator("#model").selectOption("1");
  await page.waitForFunction(() => globalThis.jumokApp.state.model === 1 && globalThis.jumokApp.result.done);
  await page.getByText("This model has no attention: all that its decoder knows").first().waitFor();
}));

test("take along: picture, table, data, and a link that opens to the same", () => visit("dot", async (page) => {
  await written(page);
  await output(page).nth(1).click();
  await page.locator(".step .bars button").nth(1).click();
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
