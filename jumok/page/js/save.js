// What can be taken along: picture, table, data, and a link that holds the state.

import { h } from "./dom.js";
import { toPng, toSvg } from "./picture.js";
import { toCsv, toJson, translationOf } from "./take.js";

export function saveView(app) {
  const { t } = app;
  const said = h("p", { class: "note", role: "status" });
  const text = h("textarea", { readonly: true, rows: 4, class: "copied", hidden: true, "aria-label": t("copyThis") }); // where a frame forbids to copy
  const button = (name, kind, work) => h("button", { class: kind, type: "button", onclick: () => guarded(work) }, name);
  // of each form: what makes it; whether it needs weights; whether it is text that can be copied, too
  const FORMS = [
    ["saveSvg", "svg", "image/svg+xml", true, true, picture],
    ["savePng", "png", "image/png", true, false, () => toPng(picture())],
    ["saveCsv", "csv", "text/csv", true, true, () => toCsv(now())],
    ["saveJson", "json", "application/json", false, true, () => toJson(app.trace ?? now())],
  ];
  const buttons = FORMS.map(([key, suffix, type, weights, text, make]) => ({
    weights,
    root: h("div", { class: "form" }, button(t(key), "button", async () => keep(suffix, type, await make())), text && button(t("copyForm", { form: suffix.toUpperCase() }), "quiet", () => copy(make()))),
  }));
  // (a frame of a notebook has no address that a link could lead to)
  const root = h("div", { class: "save" }, h("p", { class: "hint" }, t("saveIntro")), h("div", { class: "chips" }, buttons.map((each) => each.root),
    app.trace || location.protocol === "about:" ? null : h("div", { class: "form" }, button(t("saveLink"), "button", () => copy(location.href.replace(/#.*/s, "") + app.state.toHash())))),
  h("p", { class: "hint" }, t("saveHint")), text, said);

  function now() {
    return translationOf(app.result, app.trace?.source ?? app.state.text);
  }

  function picture() {
    const translation = now();
    const { source, text } = translation;
    return toSvg(translation, { title: t("attentionOf", { source, text }), coverage: t("coverageShort"), entropy: t("entropyShort"), margin: t("marginShort") });
  }

  async function guarded(work) {
    said.textContent = "";
    text.hidden = true;
    try {
      await work();
    } catch (error) {
      said.textContent = t("error", { message: error.message });
    }
  }

  function keep(suffix, type, content) {
    const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: `${type};charset=utf-8` }));
    const anchor = h("a", { href: url, download: `${name(app.trace?.source ?? app.state.text)}.${suffix}` });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  async function copy(content) {
    try {
      await navigator.clipboard.writeText(content);
      said.textContent = t("copied");
    } catch {
      said.textContent = t("copyThis");
      text.hidden = false;
      text.value = content;
      text.focus();
      text.select();
    }
  }

  return {
    root,
    update() {
      const { rows, steps } = app.result;
      for (const { root: form, weights } of buttons) form.querySelectorAll("button").forEach((each) => (each.disabled = !(weights ? rows : steps).length));
      if (!steps.length) said.textContent = t("nothing");
      else if (said.textContent === t("nothing")) said.textContent = "";
    },
  };
}

// A file name from a text: letters and digits alone.
function name(text) {
  return text.normalize("NFC").replace(/[^\p{L}\p{M}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 40) || "attention";
}
