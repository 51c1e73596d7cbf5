"""GS k: the barcodes a receipt printer draws by itself, as widths of bars and spaces in modules. Odd places are bars.

UPC-A, EAN-13 and EAN-8 after the GS1 General Specifications 5.2, Code 39 after ISO/IEC 16388, interleaved 2 of 5 after
ISO/IEC 16390, Codabar after EN 798, Code 128 after ISO/IEC 15417 with the code sets chosen by the data as GS k says.
A wide element of the two-width codes is 2.5 modules wide, rounded up to a dot, as GS w's table has it.
"""

from __future__ import annotations

import importlib

from devices.barcodes import CODE128

WIDE = 0
"""Stands for a wide element among the widths: 2.5 modules."""

KINDS = {0: "UPC-A", 1: "UPC-E", 2: "EAN-13", 3: "EAN-8", 4: "CODE39", 5: "ITF", 6: "CODABAR"}
"""m of GS k, first form; the second form has 65 more, and besides these: """
MORE_KINDS = {65 + m: name for m, name in KINDS.items()} | {72: "CODE93", 73: "CODE128"}

_LEFT_ODD = ("3211", "2221", "2122", "1411", "1132", "1231", "1114", "1312", "1213", "3112")
_PARITY = ("OOOOOO", "OOEOEE", "OOEEOE", "OOEEEO", "OEOOEE", "OEEOOE", "OEEEOO", "OEOEOE", "OEOEEO", "OEEOEO")
_ITF = ("nnwwn", "wnnnw", "nwnnw", "wwnnn", "nnwnw", "wnwnn", "nwwnn", "nnnww", "wnnwn", "nwnwn")
_CODE39_SET = "1234567890ABCDEFGHIJKLMNOPQRSTUVWXYZ-. *"
_CODE39_BARS = ("wnnnw", "nwnnw", "wwnnn", "nnwnw", "wnwnn", "nwwnn", "nnnww", "wnnwn", "nwnwn", "nnwwn")
_CODE39_SPACES = ("nwnn", "nnwn", "nnnw", "wnnn")
_CODE39_SIGNS = {"$": "nwnwnwnnn", "/": "nwnwnnnwn", "+": "nwnnnwnwn", "%": "nnnwnwnwn"}
_CODABAR = dict(zip("0123456789-$:/.+ABCD", (
    "nnnnnww", "nnnnwwn", "nnnwnnw", "wwnnnnn", "nnwnnwn", "wnnnnwn", "nwnnnnw", "nwnnwnn", "nwwnnnn", "wnnwnnn",
    "nnnwwnn", "nnwwnnn", "wnnnwnw", "wnwnnnw", "wnwnwnn", "nnwnwnw", "nnwwnwn", "nwnwnnw", "nnnwnww", "nnnwwwn",
), strict=True))  # fmt: skip


def bars(kind: str, data: bytes) -> tuple[list[int], str] | None:
    """The widths, and what is printed below them; None for data the code cannot say, which prints nothing."""
    if kind == "CODE128":
        return _code128(data)
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return None
    match kind:
        case "UPC-A":
            return _ean("0" + text, 13, text) if len(text) in (11, 12) else None
        case "EAN-13":
            return _ean(text, 13, text)
        case "EAN-8":
            return _ean(text, 8, text)
        case "CODE39":
            return _code39(text)
        case "ITF":
            return _itf(text)
        case "CODABAR":
            return _codabar(text)
    return None


def _ean(digits: str, length: int, text: str) -> tuple[list[int], str] | None:
    """With or without the check digit; a wrong one is printed as it is, as printers do."""
    if not digits.isdigit() or len(digits) not in (length - 1, length):
        return None
    if len(digits) == length - 1:
        total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
        digits += str(-total % 10)
        text += digits[-1]
    half = (length - 1) // 2 if length == 13 else 4
    parity = _PARITY[int(digits[0])] if length == 13 else "OOOO"
    left, right = digits[length - 2 * half : length - half], digits[-half:]
    coded = [_LEFT_ODD[int(d)] if p == "O" else _LEFT_ODD[int(d)][::-1] for d, p in zip(left, parity, strict=True)]
    whole = "111" + "".join(coded) + "11111" + "".join(_LEFT_ODD[int(d)] for d in right) + "111"
    return [int(width) for width in whole], text


def _elements(pattern: str) -> list[int]:
    return [WIDE if element == "w" else 1 for element in pattern]


def _code39(text: str) -> tuple[list[int], str] | None:
    """The start and stop character * is added when the data does not bring it."""
    text = text if len(text) > 1 and text[0] == text[-1] == "*" else f"*{text}*"
    patterns = []
    for character in text:
        if character in _CODE39_SIGNS:
            patterns.append(_CODE39_SIGNS[character])
        elif character in _CODE39_SET:
            group, place = divmod(_CODE39_SET.index(character), 10)
            black, white = _CODE39_BARS[place], _CODE39_SPACES[group]
            patterns.append("".join(b + w for b, w in zip(black, white + " ", strict=True)).strip())
        else:
            return None
    return _elements("n".join(patterns)), text


def _itf(text: str) -> tuple[list[int], str] | None:
    """Pairs of digits: one in the bars, one in the spaces."""
    if not text.isdigit() or len(text) % 2:
        return None
    pairs = [
        "".join(b + w for b, w in zip(_ITF[int(text[i])], _ITF[int(text[i + 1])], strict=True))
        for i in range(0, len(text), 2)
    ]
    return _elements("nnnn" + "".join(pairs) + "wnn"), text


def _codabar(text: str) -> tuple[list[int], str] | None:
    """Begins and ends with A, B, C or D."""
    upper = text.upper()
    if len(upper) < 2 or upper[0] not in "ABCD" or upper[-1] not in "ABCD":
        return None
    if any(character not in _CODABAR for character in upper):
        return None
    return _elements("n".join(_CODABAR[character] for character in upper)), text


_SWITCHES = {"A": {b"B": 100, b"C": 99}, "B": {b"A": 101, b"C": 99}, "C": {b"A": 101, b"B": 100}}
_FUNCTIONS = {"A": {b"1": 102, b"2": 97, b"3": 96, b"4": 101}, "B": {b"1": 102, b"2": 97, b"3": 96, b"4": 100},
              "C": {b"1": 102}}  # fmt: skip


def _code128(data: bytes) -> tuple[list[int], str] | None:
    """`{A`, `{B`, `{C` choose the code set, `{1` to `{4` are FNC1 to 4, `{S` shifts, `{{` is a brace.

    Data without a code set is taken as set B, as many printers do. In set C every byte is a pair of digits by value.
    """
    if data[:1] != b"{":
        data = b"{B" + data
    code_set = data[1:2].decode("latin-1")
    if code_set not in _SWITCHES:
        return None
    values, text, at = [{"A": 103, "B": 104, "C": 105}[code_set]], "", 2
    shifted = False
    while at < len(data):
        byte, sign = data[at], data[at + 1 : at + 2]
        now = {"A": "B", "B": "A"}[code_set] if shifted else code_set
        shifted = False
        if byte == 0x7B and sign != b"{":
            if sign in _SWITCHES[code_set]:
                values.append(_SWITCHES[code_set][sign])
                code_set = sign.decode()
            elif sign in _FUNCTIONS[code_set]:
                values.append(_FUNCTIONS[code_set][sign])
            elif sign == b"S" and code_set != "C":
                values.append(98)
                shifted = True
            else:
                return None
            at += 2
            continue
        at += 2 if byte == 0x7B else 1
        value = _value(byte, now)
        if value is None:
            return None
        values.append(value)
        text += f"{byte:02d}" if now == "C" else chr(byte) if byte >= 32 else " "
    check = values[0] + sum(place * value for place, value in enumerate(values[1:], 1))
    values += [check % 103, 106]
    return [int(width) for value in values for width in CODE128[value]], text


def _value(byte: int, code_set: str) -> int | None:
    """The symbol value of a data byte."""
    if code_set == "C":
        return byte if byte < 100 else None
    if code_set == "A":
        return byte - 32 if 32 <= byte < 96 else byte + 64 if byte < 32 else None
    return byte - 32 if 32 <= byte < 128 else None


def qr(data: bytes, level: str) -> list[list[bool]] | None:
    """The modules of a QR code, without the white around it; None when it cannot be drawn here.

    level: L, M, Q or H. Needs the package qrcode.
    """
    try:
        qrcode = importlib.import_module("qrcode")
    except ImportError:
        return None
    code = qrcode.QRCode(error_correction="MLHQ".index(level), border=0)  # numbered as in ISO/IEC 18004, table 12
    code.add_data(data)
    try:
        code.make(fit=True)
    except (ValueError, qrcode.exceptions.DataOverflowError):
        return None
    return [[bool(module) for module in row] for row in code.get_matrix()]
