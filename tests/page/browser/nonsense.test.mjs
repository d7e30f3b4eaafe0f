// The page survives what nobody means to type, and text never becomes markup.

import assert from "node:assert/strict";
import { test } from "node:test";
import { output, source, tab, texts, type, visit, written } from "./harness.mjs";

const NONSENSE = {
  empty: "",
  blanks: "   \u00a0\u3000",
  markup: "<img src=x onerror=alert(1)></script><script>document.title='x'</script>",
  controls: "a\u0000\u0001\u001b[31m\u007f\u0085b",
  separators: "a\u2028b\u2029c\ufeff",
  "right to left": "שלום עולם abc \u202eevil",
  marks: "\u0301\u0301e\u0301" + "z" + "\u0310".repeat(40),
  jamo: "한ㅎ한글",
  emoji: "👩‍👩‍👧‍👦👍🏽🇰🇷",
  "half a character": "a\ud83d b\udc00",
};

test("whatever is typed, the page goes on", () => visit("dot", async (page) => {
  await written(page);
  page.on("dialog", () => assert.fail("text ran as a script"));
  for (const [name, text] of Object.entries(NONSENSE)) {
    await page.evaluate((value) => globalThis.jumokApp.write(value), text);
    await page.waitForFunction((value) => globalThis.jumokApp.answered === value, text);
    await written(page);
    const blank = name === "empty" || name === "blanks";
    assert.equal((await output(page).count()) > 0, !blank, name);
    assert.equal((await texts(source(page))).every((shown) => shown.length > 0), true, name);
    assert.equal(await page.locator("img").count(), 0, name);
  }
  for (const panel of ["Search", "Trust", "Tour", "Save", "Attention"]) {
    await tab(page, panel);
    await page.evaluate((value) => globalThis.jumokApp.write(value), NONSENSE.markup);
    await page.waitForFunction((value) => globalThis.jumokApp.answered === value, NONSENSE.markup);
    await page.evaluate(() => globalThis.jumokApp.write(""));
    await page.waitForFunction(() => globalThis.jumokApp.answered === "");
    await written(page);
  }
  assert.equal(await page.title(), "dot · jumok");
}));

test("nonsense as a reference, as a gold target and as a token of one's own", () => visit("dot", async (page) => {
  await written(page);
  await output(page).first().click();
  for (const name of ["empty", "markup", "controls", "emoji"]) {
    const text = NONSENSE[name];
    await tab(page, "Search");
    await page.locator("#reference").fill(text);
    await page.waitForFunction(() => document.querySelector(".tree"));
    await tab(page, "Tour");
    await page.evaluate(() => (Object.assign(globalThis.jumokApp.state, { tour: 7 }), globalThis.jumokApp.open("tour")));
    await page.locator("#gold").fill(text);
    await output(page).first().click();
    await page.locator("#own-token").fill(text);
    await page.locator("#own-token").press("Enter");
    await page.evaluate(() => new Promise((done) => globalThis.jumokApp.engine.ask("turn", { op: "cut", text: "x", model: 0 }, done)));
    await written(page);
    assert.ok((await output(page).count()) > 0, name);
    assert.equal(await page.locator("img").count(), 0, name);
  }
}));

test("four models of other kinds read nonsense side by side", () => visit("more", async (page) => {
  await written(page);
  await tab(page, "Compare");
  for (const name of ["empty", "right to left", "jamo", "half a character"]) {
    const text = NONSENSE[name];
    await page.evaluate((value) => globalThis.jumokApp.write(value), text);
    await page.waitForFunction((value) => globalThis.jumokApp.answered === value && globalThis.jumokApp.result.done, text);
    await written(page);
    assert.equal(await page.locator(".card").count(), 4, name);
  }
}));

test("10,000 characters are too long for the model, and typing goes on", () => visit("dot", async (page) => {
  await written(page);
  await type(page, "x".repeat(10000));
  await page.getByText("Too long: 10001 tokens; this model reads fewer than 2500.").waitFor();
  await type(page, "ab".repeat(200));
  assert.equal(await source(page).count(), 160);
  await page.getByText("and 241 more").waitFor();
  await type(page, "ok");
  assert.deepEqual(await texts(source(page)), ["o", "k", "</s>"]);
}));

test("a pasted line break is a blank; a link with nonsense is a page all the same", async () => {
  await visit("dot", async (page) => {
    await written(page);
    await page.locator("#input").fill("a\nb");
    await page.waitForFunction(() => globalThis.jumokApp.answered === "a b");
  });
  await visit("dot", written, { fresh: true, hash: "#s=ab&p=9999.-1.x&e={\"0\":[99,-3]}&b=77&v=nothing&m=9&l=xx&t=99.99&f=[1]&r=<img>" });
  await visit("dot", written, { hash: "#%%%", fresh: true });
  await visit("dot", written, { hash: "#s=ab&e={\"0\":[99]}&v=tour&t=99.99" });
});

test("a damaged page says so, in words", () => visit("damaged", async (page) => {
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").textContent(), /could not start/);
}));
