// What the reader has asked for: text, locked prefix, edited attention, beam, panel; with undo and redo, and as a link's hash.

// what a link asks for where it says nothing
export const PLAIN = { features: [], model: 0, beam: 1, panel: "map", reference: "", gold: "", step: 0, tour: 0 };
const FRESH = { prefix: [], edits: {}, never: [] };

export class State {
  constructor(values) {
    Object.assign(this, {
      text: "", lang: "en", theme: "", ...PLAIN, steer: FRESH, past: [], future: [], ...values,
    });
  }

  get prefix() {
    return this.steer.prefix;
  }

  get edits() {
    return this.steer.edits;
  }

  // tokens that are not written
  get never() {
    return this.steer.never;
  }

  get steered() {
    return this.prefix.length > 0 || Object.keys(this.edits).length > 0 || this.never.length > 0;
  }

  // Another text (or model, or features) makes locked tokens and edits meaningless.
  renew(values) {
    Object.assign(this, { steer: FRESH, past: [], future: [] }, values);
  }

  change(steer) {
    this.past.push(this.steer);
    this.future = [];
    this.steer = steer;
  }

  // Writes this token at step t; what was written before stays, what was asked for behind it goes.
  lock(written, t, ids) {
    this.change({ prefix: [...written.slice(0, t), ...ids], edits: until(this.edits, t + 1), never: this.never.filter((id) => !ids.includes(id)) });
  }

  // From now on never writes this token, or writes it again. Of the locked tokens, those before it stay.
  forbid(id) {
    const never = this.never.includes(id) ? this.never.filter((other) => other !== id) : [...this.never, id].sort((a, b) => a - b);
    const at = this.prefix.findIndex((other) => never.includes(other));
    this.change({ prefix: at < 0 ? this.prefix : this.prefix.slice(0, at), edits: at < 0 ? this.edits : until(this.edits, at + 1), never });
  }

  // At step t, looks only at these source positions (none: as the model wants).
  look(t, positions) {
    const edits = until(this.edits, t);
    if (positions.length) edits[t] = [...positions].sort((a, b) => a - b);
    this.change({ prefix: this.prefix.slice(0, t), edits, never: this.never });
  }

  release() {
    if (this.steered) this.change(FRESH);
  }

  undo() {
    if (!this.past.length) return;
    this.future.push(this.steer);
    this.steer = this.past.pop();
  }

  redo() {
    if (!this.future.length) return;
    this.past.push(this.steer);
    this.steer = this.future.pop();
  }

  // As the hash of a link.
  toHash() {
    const values = new URLSearchParams();
    values.set("s", this.text);
    if (this.features.length) values.set("f", JSON.stringify(this.features));
    if (this.prefix.length) values.set("p", this.prefix.join("."));
    if (Object.keys(this.edits).length) values.set("e", JSON.stringify(this.edits));
    if (this.never.length) values.set("n", this.never.join("."));
    if (this.model) values.set("m", this.model);
    if (this.beam > 1) values.set("b", this.beam);
    if (this.panel !== "map") values.set("v", this.panel);
    if (this.panel === "tour") values.set("t", `${this.tour}.${this.step}`);
    if (this.reference) values.set("r", this.reference);
    if (this.gold) values.set("g", this.gold);
    values.set("l", this.lang);
    return "#" + values;
  }
}

function until(edits, t) {
  return Object.fromEntries(Object.entries(edits).filter(([step]) => Number(step) < t));
}

// What a hash asks for; whatever in it makes no sense is left out.
export function fromHash(hash, { models, panels, langs }) {
  const values = new URLSearchParams(hash.replace(/^#/, "")), asked = {};
  const whole = (text, most) => (/^\d{1,6}$/.test(text ?? "") && Number(text) <= most ? Number(text) : null);
  if (values.has("s")) asked.text = values.get("s");
  const features = json(values.get("f"));
  if (Array.isArray(features) && features.every((f) => typeof f === "string")) asked.features = features;
  const model = whole(values.get("m"), models.length - 1);
  if (model !== null) asked.model = model;
  const V = models[asked.model ?? 0]?.V ?? 0;
  const edits = json(values.get("e"));
  const ids = (name) => {
    const list = (values.get(name) ?? "").split(".").map((id) => whole(id, V - 1));
    return list.every((id) => id !== null && id > 1) ? list : [];
  };
  const prefix = ids("p");
  asked.steer = { prefix, edits: isEdits(edits) ? edits : {}, never: ids("n").filter((id) => !prefix.includes(id)) };
  const beam = whole(values.get("b"), 10);
  if (beam) asked.beam = beam;
  if (panels.includes(values.get("v"))) asked.panel = values.get("v");
  const [tour, step] = (values.get("t") ?? "").split(".").map((n) => whole(n, 999));
  if (Number.isInteger(tour)) asked.tour = tour;
  if (Number.isInteger(step)) asked.step = step;
  if (langs.includes(values.get("l"))) asked.lang = values.get("l");
  if (values.has("r")) asked.reference = values.get("r");
  if (values.has("g")) asked.gold = values.get("g");
  return asked;
}

function json(text) {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
}

function isEdits(edits) {
  const isList = (list) => Array.isArray(list) && list.length && list.every((n) => Number.isInteger(n) && n >= 0);
  return edits !== null && typeof edits === "object" && !Array.isArray(edits)
    && Object.entries(edits).every(([t, list]) => /^\d{1,5}$/.test(t) && isList(list));
}
