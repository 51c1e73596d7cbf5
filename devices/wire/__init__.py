"""What the transports have in common: patience, an ear that is never full, and how to say nothing at all."""
