// What can be taken along: picture, table, data, and a link that holds the state.

import { h } from "./dom.js";
import { toPng, toSvg } from "./picture.js";
import { toCsv, toJson, translationOf } from "./take.js";

export function saveView(app) {
  const { t } = app;
  const said = h("p", { class: "note", role: "status" });
  const link = h("input", { type: "text", readonly: true, class: "link", hidden: true, "aria-label": t("saveLink") });
  const button = (key, work) => h("button", { class: "button", type: "button", onclick: () => guarded(work) }, t(key));
  const buttons = [
    button("saveSvg", () => keep("svg", "image/svg+xml", picture())),
    button("savePng", async () => keep("png", "image/png", await toPng(picture()))),
    button("saveCsv", () => keep("csv", "text/csv", toCsv(now()))),
    button("saveJson", () => keep("json", "application/json", toJson(now()))),
    app.trace ? null : button("saveLink", copy),
  ];
  const root = h("div", { class: "save" }, h("p", { class: "hint" }, t("saveIntro")), h("div", { class: "chips" }, buttons), h("p", { class: "hint" }, t("saveHint")), link, said);

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

  async function copy() {
    const address = location.href.replace(/#.*/s, "") + app.state.toHash();
    try {
      await navigator.clipboard.writeText(address);
      said.textContent = t("copied");
    } catch {
      said.textContent = t("copyThis");
      link.hidden = false;
      link.value = address;
      link.focus();
      link.select();
    }
  }

  return {
    root,
    update() {
      const { rows, steps } = app.result;
      buttons.forEach((each, i) => each && (each.disabled = i === 4 ? false : i === 3 ? !steps.length : !rows.length));
      if (!steps.length) said.textContent = t("nothing");
      else if (said.textContent === t("nothing")) said.textContent = "";
    },
  };
}

// A file name from a text: letters and digits alone.
function name(text) {
  return text.normalize("NFC").replace(/[^\p{L}\p{M}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 40) || "attention";
}
