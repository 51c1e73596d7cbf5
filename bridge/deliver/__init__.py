"""One worker per printer: what was prepared is delivered once, and how that ended is written down."""
