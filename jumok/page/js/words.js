// The words of the page in the reader's language.

import { en } from "./en.js";
import { ko } from "./ko.js";

export const WORDS = { en, ko };
export const LANGS = Object.keys(WORDS);

// The language that the browser asks for, if the page has it.
export function preferred(languages) {
  return languages.map((name) => name.slice(0, 2).toLowerCase()).find((name) => LANGS.includes(name)) ?? "en";
}

// t(key, {name: value}) -> text in this language
export function speaker(lang) {
  return (key, values = {}) => WORDS[lang][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}
