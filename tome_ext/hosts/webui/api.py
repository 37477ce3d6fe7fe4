"""HTTP routes beside the WebUI's own."""

from __future__ import annotations

from typing import Any


def add_routes(_demo: Any, app: Any) -> None:
    """Add the routes to the WebUI's application."""
