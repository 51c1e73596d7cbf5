"""Printers, without the bridge: `from devices.printer import Printer` prints a label in a five-line script."""
