"""The living page: one HTML file with trained models and their engine; it writes, shows and can be steered, without network.

making.py     from model folders to a file, or to a notebook's frame
build.py      the parts in one HTML text; inline.py makes one script of the ES modules in js/
models.py     a model as data; examples.py: what the page offers to write
js/, css/     the page itself: no framework, no bundler
"""

from jumok.page.build import Example, build_page
from jumok.page.making import LivingPage, living_page, write_page

__all__ = ["Example", "LivingPage", "build_page", "living_page", "write_page"]
