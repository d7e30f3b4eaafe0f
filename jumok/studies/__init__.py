"""Studies: claims about attention turned into runs that anyone repeats. `jumok.study("bottleneck", out="folder")` does one."""

from jumok.studies.conduct import study

__all__ = ["study"]
