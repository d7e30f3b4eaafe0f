"""The page in headless Chromium, as a person uses it."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from page_numbers import tour_numbers

from jumok.explain import from_json, to_csv
from jumok.runtime.folder import read_folder


def test_what_a_person_does(browser, tmp_path):
    browser("person.test.mjs", KEEP=str(tmp_path))
    taken = from_json((tmp_path / "attention.json").read_text(encoding="utf-8"))
    assert taken.source == "attention" and taken.weights.shape == (len(taken.tokens), len(taken.source_tokens))
    ours, theirs = (
        list(csv.reader(io.StringIO(text, newline="")))
        for text in ((tmp_path / "attention.csv").read_bytes().decode(), to_csv(taken))
    )
    assert [row[0] for row in ours] == [row[0] for row in theirs] and ours[0] == theirs[0]
    a, b = (np.array([row[1:] for row in rows[1:-1]]).astype(np.float32) for rows in (ours, theirs))
    assert np.array_equal(a[:, : len(taken.source_tokens)], b[:, : len(taken.source_tokens)])
    np.testing.assert_allclose(a, b, rtol=1e-6)  # entropy, margin and probability are worked out in JavaScript, too
    assert ET.fromstring((tmp_path / "attention.svg").read_text(encoding="utf-8")).tag.endswith("svg")
    assert json.loads((tmp_path / "attention.json").read_text(encoding="utf-8"))["attention"]["entropy_bits"]


def test_it_survives_nonsense(browser):
    browser("nonsense.test.mjs")


def test_it_is_for_everyone(browser):
    browser("everyone.test.mjs")


def test_where_it_may_stand(browser):
    browser("places.test.mjs")


def test_the_tour_has_the_numbers_of_numpy(browser, pages, tmp_path):
    folder = Path(pages["dot"]).parent
    kinds = {"four": ["dot", "none", "general", "concat"], "more": ["gru", "fed", "tied", "copying"], "chain": ["monotonic"]}
    wanted = {
        page: [tour_numbers(read_folder(folder / page / kind), "attention", "AH T N", 2) for kind in models]
        for page, models in kinds.items()
    }
    (tmp_path / "tour.json").write_text(json.dumps(wanted), encoding="utf-8")
    browser("tour.test.mjs", TOUR=str(tmp_path / "tour.json"))
