"""Where a training's time goes: `sections` that the code opens, a `profiler` that times them, the machine's `limit`, a `verdict`."""
