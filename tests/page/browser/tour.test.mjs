// The tour: every stop in both languages, and every number on it equal to Python's ($TOUR: page -> of each model the numbers at one step).

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { visit, written } from "./harness.mjs";

const wanted = JSON.parse(fs.readFileSync(process.env.TOUR, "utf8"));
const NEXT = { en: "Next", ko: "다음" };

// Walks through all stops, inside the page; what is shown on them, and all that is said.
const walked = (page, next) => page.evaluate(async (name) => {
  const seen = {}, titles = [], said = [], frame = () => new Promise((done) => requestAnimationFrame(done));
  const button = [...document.querySelectorAll(".tour button")].find((each) => each.textContent === name);
  for (;;) {
    while (!document.querySelector(".numbers").childElementCount || (document.querySelector("#gold") && !document.querySelector("[data-name=loss]"))) await frame();
    titles.push(document.querySelector(".tour h2").textContent);
    said.push(document.querySelector(".tour").textContent);
    for (const each of document.querySelectorAll(".numbers [data-name]")) seen[each.dataset.name] = [...each.querySelectorAll("[data-value]")].map((x) => Number(x.dataset.value));
    if (button.disabled) return { seen, titles, said: said.join("\n") };
    button.click();
  }
}, next);

function near(found, expected, what) {
  assert.ok(found, `${what} is not shown`);
  assert.equal(found.length, expected.length, what);
  found.forEach((x, i) => assert.ok(Math.abs(x - expected[i]) < 1e-3, `${what}[${i}]: ${x}, Python ${expected[i]}`));
}

for (const [name, models] of Object.entries(wanted)) for (const lang of ["en", "ko"]) {
  test(`${name}, ${lang}`, () => visit(name, async (page) => {
    await written(page);
    for (const [i, { step, stops, values }] of models.entries()) {
      await page.evaluate((hash) => (location.hash = hash), `#s=attention&m=${i}&v=tour&t=0.${step}&g=AH%20T%20N&l=${lang}`);
      await page.waitForFunction((model) => globalThis.jumokApp?.state.model === model && globalThis.jumokApp.result.done && globalThis.jumokApp.answered === "attention", i);
      await written(page);
      const { seen, titles, said } = await walked(page, NEXT[lang]);
      assert.equal(new Set(titles).size, stops, `model ${i}`);
      assert.doesNotMatch(said, /undefined|NaN|\{\w+\}/);
      for (const [key, expected] of Object.entries(values)) near(seen[key], expected, `model ${i}: ${key}`);
    }
  }, { locale: lang === "ko" ? "ko-KR" : "en", hash: "#s=a&v=tour" }));
}
