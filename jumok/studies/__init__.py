"""Studies: claims about attention as experiments that anyone can repeat. `jumok.study("bottleneck", out="folder")` runs one."""

from jumok.studies.conduct import study

__all__ = ["study"]
