// What browser tests share: one Chromium, pages that record errors and requests, and words for what a person does.

import assert from "node:assert/strict";
import fs from "node:fs";
import { after } from "node:test";

const { chromium } = await import(`${process.env.NODE_MODULES}/playwright-core/index.mjs`);
export const PAGES = JSON.parse(process.env.PAGES); // name -> path of a page
export const axe = () => fs.readFileSync(`${process.env.NODE_MODULES}/axe-core/axe.min.js`, "utf8");

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
after(() => browser.close());

const open = new Map(); // pages that stay open for the next test: what they were opened with -> {page, seen}

// A page of PAGES (or of another address): opened, or one that is open, as a link would lead there. Hands it to `work`, and checks that
// nothing failed and nothing was asked of a network. fresh: opens it anew.
export async function visit(name, work, { hash, address, width = 1280, height = 800, routes, fresh = false, ...options } = {}) {
  const alone = fresh || address || routes, key = JSON.stringify([name, width, height, options]);
  const { page, seen } = (!alone && open.get(key)) || (await opened({ width, height, routes, options }));
  try {
    if (!alone && open.has(key)) await page.evaluate(led, hash ?? `#s=attention&l=${(options.locale ?? "en").slice(0, 2)}`);
    else await page.goto(address ?? `file://${PAGES[name]}${hash ?? ""}`);
    if (!alone) open.set(key, { page, seen });
    await work(page, seen);
    const here = page.url().split("#")[0];
    assert.deepEqual(seen.requests.filter((each) => each.split("#")[0] !== here && !/^(blob|data|about):/.test(each)), [], "a request left the page");
    assert.deepEqual(seen.errors, []);
  } catch (error) {
    open.delete(key);
    throw error;
  } finally {
    if (!open.has(key)) await page.context().close();
  }
}

async function opened({ width, height, routes, options }) {
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: "reduce", locale: "en", acceptDownloads: true, ...options });
  const page = await context.newPage(), seen = { errors: [], requests: [] };
  page.setDefaultTimeout(Number(process.env.PATIENCE ?? 60000)); // milliseconds
  page.on("pageerror", (error) => seen.errors.push(String(error.stack ?? error)));
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("request", (request) => seen.requests.push(request.url()));
  if (routes) await context.route("**/*", routes);
  return { page, seen };
}

// In the page: follows a link to this hash.
function led(hash) {
  document.activeElement?.blur();
  history.replaceState(null, "", hash);
  globalThis.jumokApp.hash = globalThis.jumokApp.answered = null;
  globalThis.jumokApp.follow();
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
