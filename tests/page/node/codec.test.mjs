// Texts are cut and joined as Python does it: the cases in $CASES, each {side, texts: [{text, tokens, joined, blank}]}.

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { openCodec } from "../../../jumok/page/js/codec.js";

for (const { side, texts } of JSON.parse(fs.readFileSync(process.env.CASES, "utf8"))) {
  test(`${side.tokenizer.name}, ${side.tokenizer.form}`, () => {
    const codec = openCodec({ source: side, target: null });
    for (const { text, tokens, joined, blank } of texts) {
      assert.equal(codec.isBlank(text), blank, JSON.stringify(text));
      const read = codec.readSource(text);
      assert.deepEqual(read.tokens.slice(0, -1), tokens, JSON.stringify(text));
      assert.equal(codec.text(read.ids), joined, JSON.stringify(text));
    }
  });
}
