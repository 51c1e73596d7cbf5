"""The only door: what comes in is checked, measured, recognized and made durable here."""
