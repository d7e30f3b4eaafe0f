// The search: size of the beam, best outputs, the whole tree, and where a reference falls out of it.

import { bdi, h, hideTip, put, s, showTip } from "./dom.js";
import { isSpecial, label } from "./labels.js";
import { minus } from "./stage.js";

const ACROSS = 92, DOWN = 34, WIDE = 72, TALL = 24;
const DRAWN = 60; // steps of the tree
const BARRED = { unknown: "refUnknown", long: "refLong", prefix: "refPrefix", never: "refBarred" };

export function searchView(app) {
  const { t } = app;
  const many = h("output", { for: "beam" });
  const slider = h("input", { type: "range", id: "beam", min: 1, max: 10, step: 1, value: app.state.beam, oninput: () => ((many.textContent = slider.value), app.beam(Number(slider.value))) });
  const reference = h("input", { type: "text", id: "reference", value: app.state.reference, dir: "auto", autocomplete: "off", spellcheck: "false", oninput: () => ((app.state.reference = reference.value), app.keep(), ask()) });
  const best = h("ol", { class: "best" }), told = h("p", { class: "note", role: "status" });
  const holder = h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": t("treeLabel") });
  const root = h("div", { class: "search" },
    h("div", { class: "halves" },
      h("div", {}, h("label", { for: "beam" }, t("beam"), " ", many), slider, h("p", { class: "hint" }, t("beamHint"))),
      h("div", {}, h("label", { for: "reference" }, t("reference")), reference, h("p", { class: "hint" }, t("referenceHint")))),
    told, h("h3", {}, t("best")), best, h("h3", {}, t("tree")), holder);
  let asked = null;

  function ask() {
    app.engine.ask("tree", app.question("tree", { reference: app.state.reference }), show);
  }

  function update() {
    slider.value = app.state.beam;
    many.textContent = app.state.beam;
    if (!app.result.done || asked === app.result) return;
    asked = app.result;
    if (reference.value !== app.state.reference) reference.value = app.state.reference;
    ask();
  }

  function show(answer) {
    if (answer.problem || answer.kind === "error") {
      put(best);
      put(holder);
      told.textContent = answer.problem === "empty" ? t("empty") : answer.message ?? "";
      return;
    }
    put(best, answer.hypotheses.map((one) => h("li", {}, bdi(one.text || "∅"), h("span", { class: "number" },
      `${t("score")} ${minus(one.score, 3)} · ${t(one.finished ? "finished" : "unfinished")}`))));
    told.textContent = answer.reference ? judged(answer) : "";
    put(holder, drawn(answer));
  }

  function judged({ reference: r, hypotheses: [first] }) {
    const numbers = { gold: minus(r.score, 3), found: first ? minus(first.score, 3) : "–" };
    const parts = [r.barred ? t(BARRED[r.barred]) : t({ found: "refFound", search: "refSearch", model: "refModel" }[r.kind], numbers)];
    if (r.kind !== "found") parts.push(r.fell < 0 ? t("refStayed") : t("refFell", { n: r.fell + 1, token: label(r.tokens[r.fell]) }));
    return parts.join(" ");
  }

  // Steps from left to right, at each the candidates from the likeliest down.
  function drawn({ levels, hypotheses, reference: gold }) {
    const shown = levels.slice(0, DRAWN), tall = Math.max(...shown.map((level) => level.length));
    const path = hypotheses[0]?.nodes ?? [], x = (step) => 40 + ACROSS * step, y = (at) => 24 + DOWN * at;
    const lines = [], nodes = [];
    shown.forEach((level, step) => level.forEach((node, at) => {
      const onPath = path[step] === at && (step === 0 || path[step - 1] === node.parent);
      const onGold = gold?.path[step] === at, kind = [onPath && "best", onGold && "gold", node.ended && "ended"].filter(Boolean).join(" ");
      const [x1, y1] = step ? [x(step - 1) + WIDE / 2, y(node.parent)] : [8, y(0)], [x2, y2] = [x(step) - WIDE / 2, y(at)];
      lines.push(s("path", { class: kind, d: `M${x1} ${y1}C${x1 + 12} ${y1} ${x2 - 12} ${y2} ${x2} ${y2}`, "stroke-width": (0.6 + 3 * Math.exp(node.own)).toFixed(1) }));
      const text = label(node.text), words = [t("node", { n: step + 1, token: text, p: minus(node.logp, 3), score: minus(node.score, 3) }), ...(node.ended ? [t("ended")] : [])];
      const group = s("g", { class: `node ${kind}`, transform: `translate(${x(step)} ${y(at)})`, tabindex: -1, role: "img", "aria-label": words.join("; ") },
        s("rect", { x: -WIDE / 2, y: -TALL / 2, width: WIDE, height: TALL, rx: 12 }),
        s("text", { "text-anchor": "middle", dy: "0.35em", class: isSpecial(node.text) ? "special" : "" }, text.length > 9 ? text.slice(0, 8) + "…" : text));
      group.addEventListener("pointerenter", () => showTip(words, group));
      group.addEventListener("pointerleave", hideTip);
      group.addEventListener("focus", () => showTip(words, group));
      group.addEventListener("blur", hideTip);
      nodes.push(group);
    }));
    if (gold && gold.fell >= 0 && gold.fell < shown.length) {
      const from = gold.fell ? [x(gold.fell - 1) + WIDE / 2, y(gold.path[gold.fell - 1])] : [8, y(0)], low = y(tall) + 6;
      lines.push(s("path", { class: "gold lost", d: `M${from[0]} ${from[1]}C${from[0] + 12} ${from[1]} ${x(gold.fell) - 40} ${low} ${x(gold.fell) - 30} ${low}` }));
      nodes.push(s("text", { class: "lost", x: x(gold.fell) - 26, y: low, dy: "0.35em" }, `✕ ${label(gold.tokens[gold.fell])}`));
    }
    const width = x(shown.length - 1) + WIDE, height = y(tall) + 24;
    const picture = s("svg", { class: "tree", width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": t("treeLabel") }, lines, nodes);
    walk(picture, shown, nodes);
    return picture;
  }

  // The arrow keys go through the tree: left to the parent, right to the first child, up and down within a step.
  function walk(picture, levels, nodes) {
    const starts = levels.map((_, step) => levels.slice(0, step).reduce((sum, level) => sum + level.length, 0));
    if (nodes[0]) nodes[0].setAttribute("tabindex", 0);
    picture.addEventListener("keydown", (event) => {
      const flat = nodes.indexOf(document.activeElement), step = starts.findLastIndex((from) => from <= flat), at = flat - starts[step];
      if (flat < 0) return;
      const child = levels[step + 1]?.findIndex((node) => node.parent === at) ?? -1;
      const to = {
        ArrowUp: at > 0 ? [step, at - 1] : null, ArrowDown: at + 1 < levels[step].length ? [step, at + 1] : null,
        ArrowLeft: step > 0 ? [step - 1, levels[step][at].parent] : null, ArrowRight: child >= 0 ? [step + 1, child] : null,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      if (!to) return;
      nodes[flat].setAttribute("tabindex", -1);
      const next = nodes[starts[to[0]] + to[1]];
      next.setAttribute("tabindex", 0);
      next.focus();
    });
  }

  return { root, update };
}
