"""Calls to other people's servers: where they may go, and a line that keeps looking at the clock."""
