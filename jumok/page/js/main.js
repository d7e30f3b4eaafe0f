// Where the page begins: reads its data, opens the engine, shows the first example.

import { App, PANELS } from "./app.js";
import { connect } from "./client.js";
import { h, put } from "./dom.js";
import { unpacked } from "./packed.js";
import { fromHash, State } from "./state.js";
import { LANGS, preferred, speaker } from "./words.js";

const read = (name) => document.getElementById(`jumok-${name}`).textContent;

async function start() {
  const root = document.getElementById("app"), data = JSON.parse(read("data"));
  const lang = preferred(navigator.languages ?? [navigator.language ?? "en"]), [first] = data.examples;
  const asked = location.hash, state = new State({ lang, text: first?.source ?? "", features: first?.features ?? [], reference: first?.gold ?? "", gold: first?.gold ?? "" });
  if (!data.trace) Object.assign(state, fromHash(asked, { models: data.models, panels: Object.keys(PANELS), langs: LANGS }));
  const t = speaker(state.lang);
  document.documentElement.lang = state.lang;
  put(root, h("p", { class: "loading", role: "status" }, t("loading")));
  try {
    const models = await Promise.all(data.models.map(async (facts, i) => ({ facts, block: await unpacked(read(`model-${i}`)) })));
    const engine = data.trace ? null : await connect(new TextDecoder().decode(await unpacked(read("worker"))), await unpacked(read("engine")), models);
    const app = (globalThis.jumokApp = new App(root, data, state, engine)); // for tests, and for the curious
    app.mount();
    app.run();
    if (location.hash !== asked) app.follow(); // a link that was followed while the page opened
  } catch (error) {
    const forbidden = /wasm|WebAssembly/i.test(String(error?.message));
    put(root, h("p", { class: "loading", role: "alert" }, forbidden ? t("noWasm") : t("failed", { message: String(error?.message ?? error) })));
  }
}

start();
