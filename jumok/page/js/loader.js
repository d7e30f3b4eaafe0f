// What the page runs first: unpacks the script of the page, and runs it.

import { unpacked } from "./packed.js";

async function load() {
  const code = new TextDecoder().decode(await unpacked(document.getElementById("jumok-main").textContent)), script = document.createElement("script");
  script.textContent = code;
  document.head.append(script);
}

load().catch((error) => {
  document.getElementById("app").textContent = `This page needs a browser of 2023 or later (${error.message}).`;
});
