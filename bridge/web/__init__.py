"""The HTTP door: who may come in, which dialect answers, and the dashboard."""
