"""A display that shows nothing and keeps the warnings."""

from jumok.learn.display import Display


class Warned(Display):
    """`lines`: the warnings, each from the name of the file on, without its folder."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text.rpartition("/")[2])
