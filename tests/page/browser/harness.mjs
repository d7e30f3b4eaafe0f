// What browser tests share: one Chromium, pages that record errors and requests, and words for what a person does.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after } from "node:test";

const { chromium } = await import(`${process.env.NODE_MODULES}/playwright-core/index.mjs`);
export const PAGES = JSON.parse(process.env.PAGES); // name -> path of a page
export const axe = () => fs.readFileSync(`${process.env.NODE_MODULES}/axe-core/axe.min.js`, "utf8");

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
after(() => browser.close());

// Opens a page of PAGES (or another address), hands it to `work`, and checks that nothing failed and nothing was asked of a network.
export async function visit(name, work, { hash = "", address, width = 1280, height = 800, routes, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: "reduce", locale: "en", acceptDownloads: true, ...options });
  const page = await context.newPage(), errors = [], requests = [];
  page.setDefaultTimeout(Number(process.env.PATIENCE ?? 60000)); // milliseconds
  page.on("pageerror", (error) => errors.push(String(error.stack ?? error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("request", (request) => requests.push(request.url()));
  if (routes) await context.route("**/*", routes);
  try {
    const url = address ?? `file://${PAGES[name]}${hash}`;
    await page.goto(url);
    await work(page, { errors, requests });
    const beyond = requests.filter((each) => each.split("#")[0] !== url.split("#")[0] && !/^(blob|data|about):/.test(each));
    assert.deepEqual(beyond, [], "a request left the page");
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
  }
}

export const output = (page) => page.locator(".tokens.out .tok");
export const source = (page) => page.locator(".tokens:not(.out) .tok");
export const texts = (locator) => locator.evaluateAll((list) => list.map((each) => each.textContent));

// Waits until the engine has written what belongs to the text that stands there.
export async function written(page) {
  await page.waitForFunction(() => globalThis.jumokApp?.result.done && !document.querySelector(".loading"));
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

export async function type(page, text) {
  await page.locator("#input").fill(text);
  await page.waitForFunction((wanted) => globalThis.jumokApp.state.text === wanted && globalThis.jumokApp.result.done && globalThis.jumokApp.answered === wanted, text);
  await written(page);
}

export const tab = (page, name) => page.getByRole("tab", { name, exact: true }).click();
