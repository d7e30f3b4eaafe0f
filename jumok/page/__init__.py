"""The living page: one HTML file with trained models and their engine; it writes, shows and can be steered, without network."""

from jumok.page.build import Example, build_page, frame

__all__ = ["Example", "build_page", "frame"]
