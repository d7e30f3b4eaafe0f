// The front of the page: name, language and colours above; the input, its examples and features.

import { bdi, h, put } from "./dom.js";
import { label } from "./labels.js";
import { LANGS } from "./words.js";

const LONG = 40; // characters, from which on the input is set smaller
const THEMES = ["", "light", "dark"];

export function headView(app) {
  const { t } = app;
  const other = LANGS.find((lang) => lang !== app.state.lang);
  const language = h("button", { class: "quiet", type: "button", lang: other, onclick: () => {
    app.state.lang = other;
    app.mount();
    app.keep();
    app.head.focus();
  } }, t("language"));
  const theme = h("button", { class: "quiet", type: "button", onclick: () => {
    app.state.theme = THEMES[(THEMES.indexOf(app.state.theme) + 1) % THEMES.length];
    app.colours();
  } });
  const root = h("header", {}, h("p", { class: "brand" }, h("b", {}, "jumok"), h("span", { lang: "ko" }, " 주목")), which(app), h("div", { class: "tools" }, theme, language));
  return {
    root,
    focus: () => language.focus(),
    update() {
      theme.textContent = t("theme", { now: t({ "": "themeAuto", light: "themeLight", dark: "themeDark" }[app.state.theme]) });
    },
  };
}

function which(app) {
  if (app.models.length < 2) return h("h1", { class: "name" }, app.models[0]?.name ?? app.data.trace?.text ?? "");
  const choose = h("select", { id: "model", onchange: () => app.set({ model: Number(choose.value), features: [] }) },
    app.models.map((model, i) => h("option", { value: i, selected: i === app.state.model }, model.name)));
  return h("div", { class: "name" }, h("h1", { class: "unseen" }, app.models.map((m) => m.name).join(", ")), h("label", { for: "model" }, app.t("model")), choose);
}

export function frontView(app) {
  const { t } = app;
  if (app.trace) return recorded(app);
  const area = h("textarea", {
    id: "input", rows: 1, spellcheck: "false", autocapitalize: "off", autocomplete: "off", dir: "auto", placeholder: t("placeholder"), value: app.state.text,
    oninput: () => (fit(), app.write(line(area.value))),
    onkeydown: (event) => event.key === "Enter" && event.preventDefault(),
  });
  const said = h("p", { class: "note", role: "status", hidden: true });
  const examples = h("ul", { class: "chips examples", "aria-label": t("examples") }, app.data.examples.slice(0, 8).map((example) =>
    h("li", {}, h("button", { type: "button", class: "chip", onclick: () => app.take(example) }, bdi(example.source)))));
  const features = h("div", { class: "chips features", role: "group", "aria-label": t("features") });
  const root = h("section", { class: "front", "aria-label": t("input") }, h("p", { class: "intro" }, t("intro")),
    h("label", { for: "input", class: "unseen" }, t("input")), area, examples, features, said);
  let shown = "";
  new ResizeObserver(() => fit()).observe(area.parentElement);

  function fit() {
    area.classList.toggle("long", area.value.length > LONG);
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, 400)}px`;
  }

  function toggle(feature) {
    const { features: on } = app.state;
    app.set({ features: on.includes(feature) ? on.filter((f) => f !== feature) : [...on, feature] });
  }

  return {
    root,
    fill() {
      area.value = app.state.text;
      fit();
    },
    say(text) {
      said.textContent = text;
      said.hidden = !text;
    },
    update() {
      const key = JSON.stringify([app.state.model, app.state.features]);
      if (key === shown) return;
      shown = key;
      put(features, app.model.features.slice(0, 60).map((feature) => h("button", {
        type: "button", class: "chip", "aria-pressed": String(app.state.features.includes(feature)), onclick: () => toggle(feature),
      }, label(feature))));
      features.hidden = !app.model.features.length;
    },
  };
}

// What a line is: line breaks that were pasted become blanks.
const line = (text) => text.replace(/\r\n|[\r\n]/g, " ");

function recorded(app) {
  const { trace } = app;
  const root = h("section", { class: "front" }, h("p", { class: "recorded" }, bdi(trace.source)));
  return { root, update() {}, fill() {}, say() {} };
}
