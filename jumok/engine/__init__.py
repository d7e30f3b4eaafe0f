"""The engine: decoding in compiled C, with the same bits on every machine (docs/engine.md).

known.py       which models the engine knows
layout.py      a model as one block of memory, as source/engine.h has it
model.py       the compiled functions as a backend of `jumok.decode`
library.py     the library of this machine: found, checked, loaded
platforms.py   what it is built for, and how
build.py       building it (python -m jumok.engine.build)
source/        the C source: engine.h is the interface
"""
