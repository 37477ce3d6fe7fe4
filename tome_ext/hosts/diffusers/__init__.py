"""ToMe on diffusers pipelines of SDXL, SD1.5 and SD2, with any scheduler (docs/DIFFUSERS.md):

with attach(pipe, preset("balanced"), ["a red book and a yellow vase"]) as tome:
    image = pipe("a red book and a yellow vase").images[0]
print(tome.report[0].groups)
"""

from tome_ext.hosts.diffusers.attachment import Attachment, attach
from tome_ext.hosts.diffusers.report import ImageReport

__all__ = ["Attachment", "ImageReport", "attach"]
