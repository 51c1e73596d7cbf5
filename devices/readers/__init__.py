"""Printer code back to pictures: previews, the virtual printer, round-trip tests. One file per language."""
