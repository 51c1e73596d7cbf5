"""USB printers: what is plugged in, who holds it, and the two ways to write to it (usblp, libusb)."""
