"""shiftproof: every integer shift of a vision model's input grid, decided.

    import shiftproof as sp
    verdict = sp.verify(model, (28, 28, 1))   # every shift decided, by a proof or a counterexample
    result = sp.sweep(model, images)          # how far every layer deviates, for these images

The names are those of the stub beside this file. They are loaded when they are first used, so that importing the
package (and `shiftproof --help`) does not import JAX.
"""

import ast
import importlib
import pkgutil
from typing import Any

from shiftproof.display import Views, hand_in

_STUB = ast.parse(pkgutil.get_data(__name__, "__init__.pyi") or b"")
_HOMES = {
    alias.name: node.module or ""
    for node in _STUB.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'shiftproof' has no attribute {name!r}")
    home = _HOMES[name]
    if home == __name__:
        value = importlib.import_module(f"{home}.{name}")
    else:
        value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


# --- what notebooks, rich and `plot` show of results; loaded when something is shown ---


def _html(result: Any) -> str:
    from shiftproof.report.notebook import html_of

    return html_of(result)


def _rich(result: Any) -> Any:
    from shiftproof.report.notebook import rich_of

    return rich_of(result)


def _figure(result: Any, **options: Any) -> Any:
    from shiftproof.report.figures import result_figure

    return result_figure(result, **options)


hand_in(Views(html=_html, rich=_rich, figure=_figure))
