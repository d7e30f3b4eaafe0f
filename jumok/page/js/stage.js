// The stage: source and output as tokens, ribbons between them, and what stands under the pointer.

import { bdi, h, hideTip, oncePerFrame, put, roving, s, showTip } from "./dom.js";
import { css, rgbOf, textOn } from "./color.js";
import { continuing, isRtl, isSpecial, label } from "./labels.js";
import { entropy, margin, use } from "./spread.js";

const SHOWN = 160; // tokens of a side that are drawn; the rest is counted
const FAINT = 0.06; // thinner ribbons are left out where nothing is pointed at

export function stage(app) {
  const { t } = app;
  const source = h("ol", { class: "tokens", "aria-label": t("source") });
  const output = h("ol", { class: "tokens out", "aria-label": t("output") });
  const lines = s("svg", { class: "ribbons", "aria-hidden": "true" });
  const board = h("div", { class: "board" }, lines, source, output);
  const said = h("p", { class: "said" }), facts = h("p", { class: "facts" }), note = h("p", { class: "note", role: "status" });
  const undo = h("button", { class: "quiet", onclick: () => app.undo() }, t("undo"));
  const redo = h("button", { class: "quiet", onclick: () => app.redo() }, t("redo"));
  const release = h("button", { class: "quiet", onclick: () => app.release() }, t("release"));
  const nevers = h("span", { class: "nevers" });
  const tools = h("div", { class: "tools", role: "group", "aria-label": t("steering") }, undo, redo, release, nevers);
  const root = h("section", { class: "stage", "aria-label": t("stage") }, board, said, facts, note, app.trace ? null : tools);
  [source, output].forEach(roving);

  let buttons = { source: [], output: [] }, named = null;
  const drawn = oncePerFrame(ribbons);
  new ResizeObserver(() => layout()).observe(board);
  let fitted = "";

  function point(side, at) {
    app.point(side === null ? null : { side, at });
  }

  function token(side, at, text) {
    const button = h("button", {
      class: "tok", type: "button", "data-item": true, tabindex: at === 0 ? 0 : -1,
      onpointerenter: (e) => e.pointerType !== "touch" && (point(side, at), tell(side, at, button)),
      onpointerleave: () => (point(null), hideTip()),
      onfocus: () => button.matches(":focus-visible") && (point(side, at), tell(side, at, button)),
      onblur: () => (point(null), hideTip()),
      onclick: (e) => {
        if (side === "output") app.select(at);
        else app.hold({ side, at });
        if (e.pointerType === "touch") tell(side, at, button);
      },
    }, bdi(label(text)));
    return h("li", { "data-token": text }, button);
  }

  // Lines of a tooltip, and the name of the token for screen readers.
  function words(side, at) {
    const { steps, tokens, rows } = app.result;
    const weight = (row, s) => `${label(tokens[s])} ${percent(row[s])}`;
    if (side === "output") {
      const step = steps[at], row = rows[at], list = [t("tipStep", { n: at + 1, token: label(step.token), p: percent(Math.exp(step.logp)) })];
      if (row) {
        const best = top(row, 3);
        list.push(t("tipLooked", { list: best.map((s) => weight(row, s)).join(", ") }));
        list.push(t("tipSpread", { bits: entropy(row).toFixed(2), margin: percent(margin(row)) }));
      }
      if (step.locked) list.push(t("tipLocked"));
      if (step.edited) list.push(t("tipEdited"));
      return list;
    }
    const list = [t("tipSource", { n: at + 1, token: label(tokens[at]) })];
    if (app.result.unknown.includes(at)) list.push(t("tipUnknown"));
    if (rows.length) {
      const sum = rows.reduce((total, row) => total + row[at], 0);
      list.push(t("tipCoverage", { n: sum.toFixed(2) }));
      const how = app.result.use[at];
      if (how) list.push(t(how === "under" ? "tipUnder" : "tipOver"));
    }
    return list;
  }

  function tell(side, at, element) {
    showTip(words(side, at), element);
  }

  // Makes the buttons of a row those of the tokens; what stands there already stays, and keeps its focus.
  function reconcile(row, side, tokens, count, joined = []) {
    row.querySelector(".more")?.remove();
    while (row.children.length > tokens.length) row.lastChild.remove();
    tokens.forEach((text, i) => {
      const item = row.children[i];
      if (!item) row.append(token(side, i, text));
      else if (item.dataset.token !== text) {
        put(item.firstChild, bdi(label(text)));
        item.dataset.token = text;
      }
      row.children[i].classList.toggle("joined", Boolean(joined[i]));
    });
    if (count > SHOWN) row.append(h("li", { class: "more" }, t("more", { n: count - SHOWN })));
  }

  function update() {
    const { result, state } = app;
    const shownSource = result.tokens.slice(0, SHOWN), shownOut = result.steps.slice(0, SHOWN);
    const joined = continuing(shownSource.map((x) => (isSpecial(x) ? "\n" : x)));
    reconcile(source, "source", shownSource, result.tokens.length, joined);
    reconcile(output, "output", shownOut.map((x) => x.token), result.steps.length);
    source.dir = isRtl(shownSource.join("")) ? "rtl" : "ltr";
    board.style.setProperty("--n", Math.max(shownSource.length, shownOut.length, 1));
    output.dir = isRtl(shownOut.map((x) => x.token).join("")) ? "rtl" : "ltr";
    buttons = { source: [...source.querySelectorAll(".tok")], output: [...output.querySelectorAll(".tok")] };
    result.use = result.done && result.rows.length ? use(result.rows, result.tokens.length) : [];
    paint();
    layout();
    put(said, result.text ? bdi(result.text) : "");
    facts.textContent = summary();
    note.textContent = remark();
    note.hidden = !note.textContent;
    undo.disabled = !state.past.length;
    redo.disabled = !state.future.length;
    release.disabled = !state.steered;
    tools.hidden = !(state.past.length || state.future.length || state.steered);
    forbidden();
  }

  // The tokens that are never written; a click writes them again.
  function forbidden() {
    const { never } = app.state, had = nevers.contains(document.activeElement);
    put(nevers, never.length ? [t("never"), never.map((id) => h("button", { class: "chip", type: "button", "aria-label": t("allow", { token: label(app.token(id)) }), onclick: () => app.forbid(id) },
      bdi(label(app.token(id))), " ×"))] : []);
    if (had) (nevers.querySelector("button") ?? release).focus();
  }

  function summary() {
    const { result } = app;
    if (!result.done || !result.steps.length) return "";
    const parts = [t("logp", { n: minus(result.logp, 3) }), t("perToken", { n: minus(result.logp / result.steps.length, 3) })];
    if (result.rows.length) {
      const mean = (get) => result.rows.reduce((sum, row) => sum + get(row), 0) / result.rows.length;
      parts.push(t("meanEntropy", { n: mean(entropy).toFixed(2) }));
    }
    return parts.join(" · ");
  }

  function remark() {
    const { result } = app, parts = [];
    if (result.problem === "long") parts.push(t("tooLong", { n: result.tokens.length, most: app.model.longest + 1 }));
    if (result.error) parts.push(t("error", { message: result.error }));
    if (result.unknown.length) {
      const names = result.unknown.slice(0, 8).map((i) => label(result.tokens[i])).join(" ");
      parts.push(t("unknown", { list: names + (result.unknown.length > 8 ? " …" : "") }));
    }
    if (result.done && !result.finished && !result.problem && !result.error) parts.push(t(result.steps.length ? "cut" : "barred"));
    if (result.done && result.steps.length && !app.model.attends) parts.push(t("noAttention"));
    if (result.weightsKind === "posterior") parts.push(t("posterior"));
    return parts.join(" ");
  }

  // Shades, marks and names of the tokens, by what is pointed at.
  function paint() {
    const { result } = app, at = app.pointed;
    buttons.source.forEach((button, i) => {
      shade(button, at?.side === "output" ? result.rows[at.at]?.[i] : null);
      const marks = [at?.side === "source" && at.at === i && "on", result.use[i], result.unknown.includes(i) && "unknown",
        isSpecial(result.tokens[i]) && "special"];
      button.className = ["tok", ...marks.filter(Boolean)].join(" ");
      button.setAttribute("aria-pressed", String(app.held?.side === "source" && app.held.at === i));
    });
    buttons.output.forEach((button, i) => {
      const step = result.steps[i];
      shade(button, at?.side === "source" ? result.rows[i]?.[at.at] : null);
      const marks = [at?.side === "output" && at.at === i && "on", step.locked && "locked", step.edited && "edited",
        isSpecial(step.token) && "special", app.selected === i && "chosen"];
      button.className = ["tok", ...marks.filter(Boolean)].join(" ");
      button.style.setProperty("--p", (Math.exp(step.logp) || 0).toFixed(3));
      button.setAttribute("aria-pressed", String(app.selected === i));
    });
    if (result.done && named !== result) {
      named = result;
      for (const side of ["source", "output"]) buttons[side].forEach((button, i) => button.setAttribute("aria-label", words(side, i).join("; ")));
    }
    drawn();
  }

  function shade(button, weight) {
    if (weight === null || weight === undefined) {
      button.style.background = button.style.color = "";
      return;
    }
    const color = rgbOf(weight, app.theme);
    button.style.background = css(color);
    button.style.color = textOn(color);
  }

  // Side by side in two lines if they fit, else in two columns, which any length fits.
  function layout() {
    const key = JSON.stringify([board.clientWidth, app.result.tokens.slice(0, SHOWN), app.result.steps.slice(0, SHOWN).map((x) => x.token)]);
    if (key !== fitted) {
      fitted = key;
      board.classList.remove("upright");
      board.classList.toggle("upright", [source, output].some((row) => row.scrollWidth > row.clientWidth + 1));
    }
    drawn();
  }

  function ribbons() {
    const frame = board.getBoundingClientRect(), upright = board.classList.contains("upright"), at = app.pointed;
    lines.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    const place = (button, end) => {
      const box = button.getBoundingClientRect();
      const x = upright ? (end ? box.left : box.right) : box.left + box.width / 2;
      const y = upright ? box.top + box.height / 2 : end ? box.top : box.bottom;
      return [x - frame.left, y - frame.top];
    };
    const paths = [], thin = at ? 0.01 : buttons.source.length * buttons.output.length > 2500 ? 0.2 : FAINT;
    const from = buttons.source.map((b) => place(b, false)), to = buttons.output.map((b) => place(b, true));
    app.result.rows.slice(0, to.length).forEach((row, i) => {
      from.forEach(([x1, y1], j) => {
        const weight = row[j], on = at ? (at.side === "output" ? at.at === i : at.at === j) : true;
        if (!on || weight < thin) return;
        const [x2, y2] = to[i], mx = (x1 + x2) / 2, my = (y1 + y2) / 2;
        const d = upright ? `M${x1} ${y1}C${mx} ${y1} ${mx} ${y2} ${x2} ${y2}` : `M${x1} ${y1}C${x1} ${my} ${x2} ${my} ${x2} ${y2}`;
        paths.push(s("path", { d, "stroke-width": (1 + 11 * weight).toFixed(1), "stroke-opacity": (at ? 0.2 + 0.65 * weight : 0.08 + 0.42 * weight).toFixed(2) }));
      });
    });
    lines.replaceChildren(...paths);
  }

  return { root, update, paint, focusOutput: (at) => buttons.output[at]?.focus() };
}

// A number that a recording does not have is a dash.
export const percent = (x) => Number.isNaN(x) ? "–" : `${(100 * x).toFixed(x > 0.0995 || x === 0 ? 0 : 1)} %`;

export const minus = (x, digits) => Number.isNaN(x) ? "–" : x.toFixed(digits).replace("-", "−");

// The indices of the largest numbers of a row, largest first.
export function top(row, number) {
  const best = [];
  for (let i = 0; i < row.length; i++) {
    let at = best.length;
    while (at > 0 && row[i] > row[best[at - 1]]) at--;
    if (at < number) best.splice(at, 0, i), best.length > number && best.pop();
  }
  return best;
}
