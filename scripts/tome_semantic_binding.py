"""The WebUI's door to the extension: what it looks for in this folder, all of it defined elsewhere."""

from tome_ext.hosts.webui.ui.script import ToMeScript, register

__all__ = ["ToMeScript"]

register()
