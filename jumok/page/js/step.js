// One step, chosen by the reader: the likeliest tokens with bars, a token of one's own, and where to look instead.

import { bdi, h, put, roving } from "./dom.js";
import { css, rgbOf, textOn } from "./color.js";
import { isSpecial, label } from "./labels.js";
import { percent } from "./stage.js";

export function stepPanel(app) {
  const { t } = app;
  const head = h("h2", { class: "small" });
  const list = h("ol", { class: "bars", "aria-label": t("alternatives") });
  const own = h("input", { type: "text", id: "own-token", autocomplete: "off", spellcheck: "false", maxlength: 200 });
  const form = h("form", { class: "own", onsubmit: (e) => (e.preventDefault(), own.value && app.lockText(app.selected, own.value), (own.value = "")) },
    h("label", { for: "own-token" }, t("ownToken")), own, h("button", { class: "button" }, t("write")));
  const places = h("ol", { class: "places", "aria-label": t("lookOnly") });
  const freeLook = h("button", { class: "quiet", type: "button", onclick: () => app.look(app.selected, []) }, t("lookFree"));
  const look = h("div", { class: "look" }, h("h3", {}, t("lookOnly")), h("p", { class: "hint" }, t("lookHint")), places, freeLook);
  const close = h("button", { class: "quiet close", type: "button", onclick: () => app.select(null), "aria-label": t("close") }, "×");
  const root = h("section", { class: "step", "aria-label": t("stepPanel"), onkeydown: (e) => e.key === "Escape" && (e.stopPropagation(), app.select(null)) },
    h("div", { class: "row" }, head, close), h("div", { class: "halves" }, h("div", {}, h("h3", {}, t("alternatives")), list, form), look));
  roving(list, 2);
  roving(places);

  function update() {
    const at = app.selected, { steps, rows, tokens } = app.result, step = at === null ? null : steps[at];
    if (at !== null && !app.result.done) return; // the panel stays as it is until the new output is whole
    root.hidden = !step || app.trace !== null;
    if (root.hidden) return;
    head.textContent = t("atStep", { n: at + 1, token: label(step.token) });
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    put(list, step.top.map((one, i) => {
      const p = Math.exp(one.logp), here = one.id === step.id;
      const choose = h("button", {
        type: "button", class: "bar", "data-item": true, "data-key": `a${i}`, tabindex: i ? -1 : 0, "aria-pressed": String(here),
        "aria-label": t("choose", { token: label(one.token), p: percent(p) }),
        style: { "--p": p.toFixed(4) }, onclick: () => app.lock(at, [one.id]),
      }, bdi(label(one.token), { class: isSpecial(one.token) ? "special" : null }), " ", h("span", { class: "number" }, percent(p)));
      const barred = app.state.never.includes(one.id), name = label(one.token);
      const bar = h("button", {
        type: "button", class: "never", "data-item": true, "data-key": `n${i}`, tabindex: -1, "aria-pressed": String(barred),
        "aria-label": t("forbid", { token: name }), title: t("forbid", { token: name }), onclick: () => app.forbid(one.id),
      }, "⊘");
      return h("li", { class: barred ? "barred" : null }, choose, bar);
    }));
    look.hidden = !rows[at];
    if (rows[at]) {
      const asked = app.state.edits[at] ?? [];
      put(places, tokens.map((token, i) => {
        const color = rgbOf(rows[at][i], app.theme), on = asked.includes(i);
        return h("li", {}, h("button", {
          type: "button", class: on ? "tok small on" : "tok small", "data-item": true, "data-key": `p${i}`, tabindex: i ? -1 : 0,
          "aria-pressed": String(on), "aria-label": t("lookAt", { token: label(token), p: percent(rows[at][i]) }),
          style: { background: css(color), color: textOn(color) },
          onclick: () => app.look(at, on ? asked.filter((s) => s !== i) : [...asked, i]),
        }, bdi(label(token))));
      }));
      freeLook.hidden = !asked.length;
    }
    if (focused) root.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  return { root, update };
}
