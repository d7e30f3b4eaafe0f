"""The engine: decoding in compiled C, with the same bits on every machine (docs/engine.md)."""
