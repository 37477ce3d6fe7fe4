"""ToMe as nodes of ComfyUI (docs/COMFYUI.md). The root ``__init__.py`` asks for ``nodes``, which run there alone."""
