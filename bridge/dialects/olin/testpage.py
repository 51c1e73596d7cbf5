"""The test page for a printer of another computer: one page of PDF, which any of them prints. Pure."""

from __future__ import annotations

_WIDTH, _HEIGHT = 595, 842  # points: A4
_SIZE, _LEADING = 18, 28  # points


def test_page(lines: list[str]) -> bytes:
    """A page with these lines in Helvetica (PDF 1.4, ISO 32000-1 7.5). What Latin-1 does not have becomes "?"."""
    shown = " T* ".join(f"({_escaped(line)}) Tj" for line in lines)
    content = f"BT /F1 {_SIZE} Tf {_LEADING} TL 60 {_HEIGHT - 100} Td {shown} ET".encode("latin-1", "replace")
    frame = b"2 w 30 30 %d %d re S " % (_WIDTH - 60, _HEIGHT - 60)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>" % (_WIDTH, _HEIGHT),
        b"<< /Length %d >>\nstream\n%s%s\nendstream" % (len(frame) + len(content), frame, content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "()\\" else c for c in text if c.isprintable())
