"""A group of commands that lists when no command of it is named: `jobs` is `jobs list`."""

from __future__ import annotations

import click


class Listing(click.Group):
    """Its command `list` is meant when the line goes on with an option, or not at all."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)
