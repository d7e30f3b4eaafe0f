"""Corpus: pairs on the disk, tokenised once, read from there again and again."""
