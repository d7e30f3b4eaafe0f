// Where the page may stand: a file, a server with policies of its own, a frame, a sandboxed frame; and no request leaves it.

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { output, PAGES, visit, written } from "./harness.mjs";

const POLICIES = {
  "a notebook's": "frame-ancestors 'self'; default-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'self' blob:",
  "no workers": "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; worker-src 'none'",
  "the page's own": "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; worker-src blob:",
};
const ADDRESS = "https://page.example/";

const serve = (body, policy) => (route) => route.fulfill({ status: 200, contentType: "text/html; charset=utf-8", headers: policy ? { "Content-Security-Policy": policy } : {}, body });
const html = () => fs.readFileSync(PAGES.dot, "utf8");

for (const [name, policy] of Object.entries(POLICIES)) {
  test(`it works under a policy: ${name}`, () => visit("dot", async (page, seen) => {
    await page.waitForFunction(() => globalThis.jumokApp?.result.done);
    assert.ok((await output(page).count()) > 0);
    seen.errors.splice(0, seen.errors.length, ...seen.errors.filter((e) => !/Content Security Policy|blob:/.test(e)));
  }, { address: ADDRESS, routes: serve(html(), policy) }));
}

test("where WebAssembly is forbidden it says so", () => visit("dot", async (page, seen) => {
  await page.getByText("forbids WebAssembly").waitFor();
  seen.errors.length = 0;
}, { address: ADDRESS, routes: serve(html(), "script-src 'unsafe-inline'; worker-src blob:") }));

for (const [name, sandbox] of [["a frame", null], ["a sandboxed frame", "allow-scripts"]]) {
  test(`it works in ${name}`, () => visit("dot", async (page) => {
    await page.evaluate(([text, box]) => {
      const frame = document.createElement("iframe");
      if (box !== null) frame.setAttribute("sandbox", box);
      frame.srcdoc = text;
      frame.style.cssText = "width:1000px;height:700px";
      document.body.append(frame);
    }, [html(), sandbox]);
    const inside = page.frameLocator("iframe");
    await inside.locator(".tokens.out .tok").first().waitFor();
    await inside.locator("#input").fill("zebra");
    await inside.locator(".tokens:not(.out) .tok").nth(4).waitFor();
    assert.deepEqual(await inside.locator(".tokens:not(.out) .tok").allTextContents(), [..."zebra", "</s>"]);
  }, { address: ADDRESS, routes: serve("<!DOCTYPE html><title>host</title><body></body>") }));
}

test("the frame of a notebook shows the page", () => visit("dot", async (page) => {
  await page.frameLocator("iframe").locator(".tokens.out .tok").first().waitFor();
}, { address: ADDRESS, routes: serve(`<!DOCTYPE html><title>notebook</title><body>${fs.readFileSync(PAGES.frame, "utf8")}</body>`) }));

test("from a file, with its own policy, and nothing is asked of any network", () => visit("dot", async (page, seen) => {
  await written(page);
  assert.deepEqual(seen.requests.filter((r) => !r.startsWith("file:") && !r.startsWith("blob:") && !r.startsWith("data:")), []);
  assert.match(await page.locator("meta[http-equiv]").getAttribute("content"), /default-src 'none'/);
}));
