// The tour: every stop in both languages, and every number on it equal to Python's ($TOUR: page -> numbers at one step).

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { visit, written } from "./harness.mjs";

const wanted = JSON.parse(fs.readFileSync(process.env.TOUR, "utf8"));
const NEXT = { en: "Next", ko: "다음" };

const shown = (page) => page.evaluate(() => Object.fromEntries([...document.querySelectorAll(".numbers [data-name]")].map((each) => [
  each.dataset.name, [...each.querySelectorAll("[data-value]")].map((x) => Number(x.dataset.value)),
])));

function near(found, expected, what) {
  assert.ok(found, `${what} is not shown`);
  assert.equal(found.length, expected.length, what);
  found.forEach((x, i) => assert.ok(Math.abs(x - expected[i]) < 1e-3, `${what}[${i}]: ${x}, Python ${expected[i]}`));
}

for (const [name, numbers] of Object.entries(wanted)) {
  for (const lang of ["en", "ko"]) {
    test(`${name}, ${lang}`, () => visit(name, async (page) => {
      await written(page);
      const seen = {}, titles = new Set();
      for (;;) {
        await page.waitForFunction(() => document.querySelector(".numbers").childElementCount > 0);
        if (await page.locator("#gold").count()) await page.waitForFunction(() => document.querySelector("[data-name=loss]"));
        titles.add(await page.locator(".tour h2").textContent());
        Object.assign(seen, await shown(page));
        const next = page.getByRole("button", { name: NEXT[lang] });
        if (await next.isDisabled()) break;
        await next.click();
      }
      assert.equal(titles.size, numbers.stops);
      for (const [key, expected] of Object.entries(numbers.values)) near(seen[key], expected, key);
    }, { locale: lang === "ko" ? "ko-KR" : "en", hash: `#s=attention&v=tour&t=0.${numbers.step}&g=AH%20T%20N` }));
  }
}
