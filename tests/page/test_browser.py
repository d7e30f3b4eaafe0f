"""The page in headless Chromium, as a person uses it."""

import json


def test_what_a_person_does(browser, tmp_path):
    browser("person.test.mjs", KEEP=str(tmp_path))
    from jumok.explain import from_json

    taken = from_json((tmp_path / "attention.json").read_text(encoding="utf-8"))
    assert taken.source == "attention" and taken.weights.shape == (len(taken.tokens), len(taken.source_tokens))
    assert json.loads((tmp_path / "attention.json").read_text(encoding="utf-8"))["attention"]["entropy_bits"]
