"""simulate: a printer that does not exist, to try things with."""

from __future__ import annotations

import queue
import signal
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from bridge.cli.common import FAILED, WRONG, Stop, clean

if TYPE_CHECKING:
    from devices.simulators import Simulator
    from devices.simulators.operator import Operator
    from devices.simulators.paper import Line

BYTES = click.IntRange(1, 1 << 30)
LABELS = click.IntRange(0, 1_000_000)


@click.command()
@click.argument("language")
@click.option("--port", type=click.IntRange(0, 65535), default=9100, show_default=True, help="0 chooses one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--pty", type=click.Path(path_type=Path), default=None, help="Also a serial port: the link to make.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="Where the paper goes (default: a new folder for temporary files).")  # fmt: skip
@click.option("--control", type=click.IntRange(0, 65535), default=None, help="Port where programs are the operator.")
@click.option("--name", default=None, help="The model it says it is.")
@click.option("--dpi", type=click.IntRange(100, 1200), default=203, show_default=True, help="Dots per inch.")
@click.option("--width-mm", type=click.FloatRange(10, 500), default=None,
              help="Of the label (default: 104.1; of escpos: 72).")  # fmt: skip
@click.option("--height-mm", type=click.FloatRange(0, 1000), default=None,
              help="0: continuous (default: 152.4; of escpos: 0).")  # fmt: skip
@click.option("--label-s", type=click.FloatRange(0, 60), default=0.3, show_default=True, help="Seconds for a label.")
@click.option("--buffer", type=BYTES, default=256 * 1024, show_default=True, help="Bytes of its receive buffer.")
@click.option("--paper-out-after", "paper_left", type=LABELS, default=None, help="Labels on the roll.")
@click.option("--ribbon-out-after", "ribbon_left", type=LABELS, default=None, help="Labels of ribbon.")
@click.option("--near-end", is_flag=True, help="The roll is nearly used up.")
@click.option("--head-open", is_flag=True, help="Start with the head open.")
@click.option("--paused", is_flag=True, help="Start paused.")
@click.option("--close-after", type=BYTES, default=None, help="Close a connection after so many bytes.")
@click.option("--reset-after", type=BYTES, default=None, help="Reset a connection after so many bytes.")
@click.option("--slow", type=BYTES, default=None, help="Bytes it reads a second.")
@click.option("--never-close", is_flag=True, help="Keep connections open when the host is done.")
@click.option("--alone", is_flag=True, help="Turn a second connection away instead of letting it wait.")
@click.option("--silent-status", "silent", is_flag=True, help="Never answer a question.")
@click.option("--late-status", "late_s", type=click.FloatRange(0, 600), default=0.0, help="Seconds before an answer.")
@click.option("--garbage-status", "garbage", is_flag=True, help="Answer noise.")
def simulate(language: str, control: int | None, folder: Path | None, **options: Any) -> None:
    """Simulate a printer until Ctrl-C: labels become pictures, questions are answered.

    LANGUAGE is epl2, escpos, tspl or zpl. While it runs, type what a person at the printer would do: help lists it.
    """
    from devices.simulators.control import ControlDoor
    from devices.simulators.operator import Operator

    printer = _printer(language, folder, options)
    paper = clean(str(printer.paper.folder))
    wishes: queue.SimpleQueue[str] = queue.SimpleQueue()  # all that a signal handler may touch
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: wishes.put("quit"))
    operator = Operator(printer, quit=lambda: wishes.put("quit"))
    printer.paper.on_line = _tell
    try:
        printer.start()
        door = None if control is None else ControlDoor(operator, control)
    except OSError as error:
        printer.stop()
        raise Stop(f"cannot listen: {error.strerror or error}; another --port, --control or --pty?", FAILED) from error
    for wire in printer.wires:
        _say(f"simulated {language} printer on {wire.uri}")
    if door is not None:
        door.start()
        _say(f"control on 127.0.0.1:{door.port}")
    _say(f"paper in {paper}")
    threading.Thread(target=_listen_to_the_terminal, args=(operator,), daemon=True).start()
    _wait(wishes)
    if door is not None:
        door.stop()
    printer.stop()
    _say(f"{printer.paper.count} labels in {paper}")


def _printer(language: str, folder: Path | None, options: dict[str, Any]) -> Simulator:
    """The printer, not switched on. Raises Stop for a language without a simulator."""
    from devices.contracts import Media
    from devices.simulators import Habits, Simulator, names

    if language not in names():
        raise Stop(f"there is no simulated {language} printer; there are {', '.join(names())}", WRONG)
    folder = folder or Path(tempfile.mkdtemp(prefix=f"simulated-{language}-"))
    width_mm, height_mm = options.pop("width_mm"), options.pop("height_mm")
    usual_width, usual_height = (72.0, 0.0) if language == "escpos" else (104.1, 152.4)
    media = Media(
        options.pop("dpi"),
        usual_width if width_mm is None else width_mm,
        (usual_height if height_mm is None else height_mm) or None,
    )
    habits = Habits(**{name: options.pop(name) for name in Habits.__dataclass_fields__})
    faults = [name for name in ("near_end", "head_open", "paused") if options.pop(name)]
    given = {name: value for name, value in options.items() if value is not None}
    printer = Simulator(
        language, folder=folder, habits=habits, dpi=media.dpi, width=media.width, height=media.height, **given
    )
    for fault in faults:
        printer.machine.set(fault, True)  # type: ignore[arg-type]
    return printer


def _tell(line: Line) -> None:
    """One label or event, on a line."""
    said = [f"{line.event} {line.n}" if line.event in ("label", "torn") else line.event]
    said += [f"{line.width} x {line.height}", line.png] if line.png else []
    said += [f"{name}: {value}" for name, value in line.facts.items()]
    _say(clean("  ".join(said)))


def _say(text: str) -> None:
    """The printer goes on when nobody reads it any more (a pipe whose reader has ended)."""
    with suppress(OSError):
        click.echo(text)


def _listen_to_the_terminal(operator: Operator) -> None:
    """Obey what is typed, until the terminal ends; the printer goes on."""
    try:
        typed: IO[bytes] = open(0, "rb", buffering=0, closefd=False)  # unbuffered: it holds no lock at the end
    except OSError:
        return
    while line := _line_of(typed.read):
        if line.strip():
            answer = operator.do(line.decode("utf-8", "replace"))
            _say(answer.get("help") or clean(answer.get("error") or _in_words(answer)))


def _line_of(read: Callable[[int], bytes | None]) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = read(1)
        if not piece or len(line) > 1000:
            break
        line += piece
    return line


def _in_words(status: dict[str, Any]) -> str:
    state = "on" if status["power"] else "off"
    said = [state, *(fault.replace("_", " ") for fault in status["faults"])]
    return f"{', '.join(said)}; {status['counter']} printed, {status['waiting']} waiting"


def _wait(wishes: queue.SimpleQueue[str]) -> None:
    """Until somebody wants the end."""
    while True:
        try:
            wishes.get(timeout=1)  # waiting for ever would keep Ctrl-C from being noticed on Windows
        except queue.Empty:
            continue
        return
