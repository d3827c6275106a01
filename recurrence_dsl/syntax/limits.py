"""How long and how deep a spec may be. Passes behind the parser may recurse over expressions because of these."""

MAX_CHARACTERS = 32_768
"""Characters in a text: some ten times the longest published mixer."""

MAX_BRACKETS = 100
"""Brackets open at once."""

MAX_DEPTH = 100
"""Levels of an expression tree; a sum of n terms is n levels deep."""

MAX_ERRORS = 20
"""Syntax errors reported in one run."""
