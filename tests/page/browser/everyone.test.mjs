// For everyone: axe-core finds nothing, in both languages and both colours; phone and wide screen; a table in place of the map.

import assert from "node:assert/strict";
import { test } from "node:test";
import { axe, output, source, tab, visit, written } from "./harness.mjs";

const PANELS = { en: ["Attention", "Search", "Trust", "Compare", "Tour", "Save"], ko: ["어텐션", "탐색", "신뢰", "비교", "둘러보기", "저장"] };

// where: what is looked at; the rest of the page has been looked at before.
async function clean(page, what, where = "html") {
  const { violations } = await page.evaluate((place) => globalThis.axe.run(place, { resultTypes: ["violations"] }), where);
  assert.deepEqual(violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 160))]), [], what);
}

for (const [lang, scheme] of [["en", "light"], ["ko", "dark"]]) {
  test(`axe-core finds nothing (${lang}, ${scheme})`, () => visit("four", async (page) => {
    await written(page);
    await page.evaluate(axe());
    await clean(page, "the page");
    for (const panel of PANELS[lang].slice(1)) {
      await tab(page, panel);
      await page.waitForTimeout(250);
      await clean(page, panel, "#panel");
    }
    for (const stop of [3, 7]) {
      await page.evaluate((n) => (Object.assign(globalThis.jumokApp.state, { tour: n, gold: "AH T N" }), globalThis.jumokApp.open("tour")), stop);
      await page.waitForFunction(() => document.querySelector(".numbers ol, .numbers table"));
      await clean(page, `stop ${stop} of the tour`, "#panel");
    }
    await output(page).nth(1).click();
    await page.locator(".step .never").nth(3).click();
    await written(page);
    await clean(page, "a step, and a forbidden token", ".stage");
    await clean(page, "a step", ".step");
    await page.evaluate(() => globalThis.jumokApp.write(""));
    await page.waitForFunction(() => globalThis.jumokApp.answered === "");
    await clean(page, "nothing written", "main");
    assert.equal(await page.locator("html").getAttribute("lang"), lang);
  }, { locale: lang === "ko" ? "ko-KR" : "en-GB", colorScheme: scheme }));
}

test("the language is the browser's, and can be switched; so can the colours", () => visit("dot", async (page) => {
  await written(page);
  assert.equal(await page.locator("#input").getAttribute("placeholder"), "여기에 입력");
  await page.getByRole("button", { name: "English" }).click();
  assert.equal(await page.locator("#input").getAttribute("placeholder"), "Type here");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "한국어");
  assert.ok((await output(page).count()) > 0);
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.getByRole("button", { name: /Colours/ }).click();
  await page.getByRole("button", { name: /Colours/ }).click();
  assert.notEqual(await paper(), light);
}, { locale: "ko-KR" }));

test("the heat map is a table, too", () => visit("dot", async (page) => {
  await written(page);
  const table = page.locator("table").first();
  const [rows, T] = await page.evaluate(() => [document.querySelectorAll("table tbody tr").length, globalThis.jumokApp.result.steps.length]);
  assert.equal(rows, T);
  await page.getByRole("button", { name: "As a table" }).click();
  for (const name of ["entropy", "margin", "log p"]) await table.getByRole("columnheader", { name }).waitFor();
  const [shown, sums] = await page.evaluate(() => {
    const { rows } = globalThis.jumokApp.result;
    return [[...document.querySelectorAll("tfoot td")].slice(0, -1).map((each) => each.textContent), Array.from(rows[0], (_, s) => rows.reduce((sum, row) => sum + row[s], 0).toFixed(2))];
  });
  assert.deepEqual(shown, sums);
  assert.equal(await page.locator(".map").isVisible(), false);
}));

test("source tokens that got too little or too much attention are marked, and say so", () => visit("dot", async (page) => {
  await written(page);
  const kinds = await source(page).evaluateAll((list) => list.map((each) => ["under", "over"].filter((kind) => each.classList.contains(kind)).join()));
  assert.deepEqual(kinds, ["over", ...new Array(9).fill("under")]);
  assert.match(await source(page).first().getAttribute("aria-label"), /looked at more than two steps' worth/);
  assert.match(await source(page).nth(1).getAttribute("aria-label"), /hardly looked at/);
}, { hash: `#s=attention&e=${JSON.stringify(Object.fromEntries(Array.from({ length: 40 }, (_, t) => [t, [0]])))}` }));

for (const [width, name] of [[320, "dot"], [390, "four"], [2560, "dot"]]) {
  test(`nothing sticks out at ${width} pixels`, () => visit(name, async (page) => {
    await written(page);
    for (const panel of PANELS.en) {
      await tab(page, panel);
      await page.waitForTimeout(120);
      const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(inner <= outer, `${panel}: ${inner} of ${outer}`);
    }
  }, { width, height: 800, hasTouch: width < 400 }));
}

test("right-to-left text goes from right to left; parts of a character stay together", () => visit("dot", async (page) => {
  await written(page);
  await page.locator("#input").fill("אב");
  await page.waitForFunction(() => globalThis.jumokApp.answered === "אב");
  await written(page);
  assert.equal(await page.locator(".tokens").first().getAttribute("dir"), "rtl");
  await page.locator("#input").fill("👩‍👩‍👧");
  await page.waitForFunction(() => globalThis.jumokApp.answered === "👩‍👩‍👧");
  await written(page);
  assert.equal(await page.locator(".tokens li.joined").count(), 4);
}));

test("a reader who wants no motion gets none", () => visit("dot", async (page) => {
  await written(page);
  const names = await page.evaluate(() => document.getAnimations().map((a) => a.animationName));
  assert.deepEqual(names, []);
}));
