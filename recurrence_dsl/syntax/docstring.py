"""The text of a docstring, free of the spec's indentation."""

from __future__ import annotations

import textwrap


def dedented(text: str) -> str:
    """What stands between the quotes, without the indentation that its lines share and without blank ends."""
    first, newline, rest = text.expandtabs(4).replace("\r\n", "\n").partition("\n")
    rest = textwrap.dedent(rest) if newline else ""
    lines = [first.strip(), *(line.rstrip() for line in rest.split("\n"))]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines)


def quoted(doc: str) -> str:
    """The docstring that `dedented` reads back as `doc`."""
    plain = "\n" not in doc and not doc.startswith('"') and not doc.endswith('"') and doc == doc.strip()
    return f'"""{doc}"""' if plain else f'"""\n{doc}\n"""'
