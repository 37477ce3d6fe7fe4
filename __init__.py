"""ComfyUI's door to the extension: it calls ``comfy_entrypoint`` for the nodes. Nothing is imported before that."""

from __future__ import annotations

from typing import Any

# Where ComfyUI finds the nodes' help pages (docs/NODE_ID.md).
WEB_DIRECTORY = "web"


def _register_package() -> None:
    """Make ``tome_ext`` importable by its own name, with nothing put on ``sys.path``."""
    import importlib.util
    import sys
    from pathlib import Path

    if "tome_ext" in sys.modules:
        return
    folder = Path(__file__).parent / "tome_ext"
    spec = importlib.util.spec_from_file_location(
        "tome_ext", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tome_ext"] = module
    spec.loader.exec_module(module)


async def comfy_entrypoint() -> Any:
    """The extension, as ComfyUI asks for it."""
    _register_package()
    from tome_ext.hosts.comfyui.nodes import Extension

    return Extension()
