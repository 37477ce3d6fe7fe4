"""The nodes. Loaded by the root ``__init__.py``, in ComfyUI alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import comfy.model_management
import numpy as np
import torch
from comfy_api.latest import ComfyExtension, io, ui
from PIL import Image

from tome_ext.hosts.comfyui import model as models
from tome_ext.hosts.comfyui import text as texts
from tome_ext.hosts.comfyui.bound import bind
from tome_ext.hosts.comfyui.inputs import preset_input, setting_inputs, settings_of, text_input
from tome_ext.hosts.comfyui.report import RunReport
from tome_ext.hosts.comfyui.shapes import load_shapes
from tome_ext.hosts.common.maps import picture
from tome_ext.hosts.common.text import encode_prompt
from tome_ext.prompts import GroupSyntaxError
from tome_ext.prompts.manual.grammar import parse_groups
from tome_ext.prompts.preview import as_text
from tome_ext.settings import Settings

_log = logging.getLogger(__name__)

TomeSettings = io.Custom("TOME_SETTINGS")
TomeReport = io.Custom("TOME_REPORT")


class TextEncode(io.ComfyNode):  # type: ignore[misc]
    """CLIP and text → CONDITIONING with composite tokens."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as the host knows it."""
        return io.Schema(
            node_id="ToMe_TextEncode",
            display_name="ToMe Text Encode",
            category="conditioning/ToMe",
            description="Encodes a prompt and merges each object with its own attributes into one token. Weights "
            "(red:1.2) and embedding:name work as in CLIP Text Encode.",
            inputs=[
                io.Clip.Input("clip", tooltip="The CLIP of Stable Diffusion 1.5, 2 or XL. Others encode as usual."),
                io.String.Input("text", multiline=True, dynamic_prompts=True, tooltip="The prompt."),
                text_input("groups"),
                text_input("clean_prompt"),
                preset_input(),
                TomeSettings.Input("settings", optional=True, tooltip="From ToMe Settings, in place of the preset."),
            ],
            outputs=[
                io.Conditioning.Output(tooltip="For any sampler. ToMe Refine refines it as well."),
                io.String.Output(display_name="preview", tooltip="What belongs to what, and what was left alone."),
            ],
        )

    @classmethod
    def validate_inputs(cls, groups: Any = None) -> bool | str:
        """Groups that cannot be read, before anything is queued."""
        try:
            parse_groups(groups) if isinstance(groups, str) and groups.strip() else None
        except GroupSyntaxError as error:
            return f"groups: {error}"
        return True

    @classmethod
    def execute(
        cls,
        clip: Any,
        text: str,
        preset: str = "balanced",
        groups: str = "",
        clean_prompt: str = "",
        settings: Settings | None = None,
    ) -> Any:
        """Encode, and merge where there is anything to merge."""
        if clip is None:
            raise ValueError("clip is missing: the checkpoint holds no text encoder")
        made: dict[str, Any] = {}
        plain = texts.conditionings(clip, text, made)
        reason = texts.obstacle(clip)
        if reason:
            told = f"Not merged: {reason}."
            _log.warning("ToMe: %s", told)
            return io.NodeOutput(plain, told, ui=ui.PreviewText(told))
        own = (settings or settings_of(preset, {})).replace(groups=groups or "", clean_prompt=clean_prompt or "")
        try:
            out, told = _bound(clip, text, own, plain, made)
        except (GroupSyntaxError, comfy.model_management.InterruptProcessingException):
            raise
        except Exception as error:
            _log.exception("ToMe failed; the prompt is encoded without it")
            out, told = plain, f"Not merged: ToMe failed ({type(error).__name__}: {error})."
        return io.NodeOutput(out, told, ui=ui.PreviewText(told))


class Refine(io.ComfyNode):  # type: ignore[misc]
    """MODEL → MODEL that refines composite tokens while it samples."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as the host knows it."""
        return io.Schema(
            node_id="ToMe_Refine",
            display_name="ToMe Refine",
            category="model_patches/ToMe",
            description="While the layout forms, moves the tokens of ToMe Text Encode so that each object keeps to a "
            "region of its own and shows what belongs to it. The first steps take longer. How it is done is set on "
            "ToMe Text Encode, or with ToMe Settings.",
            inputs=[
                io.Model.Input("model", tooltip="The model, after LoRA and other patches."),
                io.Boolean.Input(
                    "attention_maps",
                    default=False,
                    optional=True,
                    tooltip="Records where each object's token looks, for ToMe Attention Maps. Costs two partial model "
                    "calls a run.",
                ),
            ],
            outputs=[
                io.Model.Output(tooltip="For the sampler."),
                TomeReport.Output(display_name="report", tooltip="What the last run did, for ToMe Attention Maps."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, model: Any, attention_maps: bool = False) -> Any:
        """Put the refinement into the model's sampling, where it can be."""
        report, tell = RunReport(), _teller(cls.hidden.unique_id)
        reason = models.obstacle(model)
        if reason:
            told = f"not refined: {reason}"
            _log.warning("ToMe: %s", told)
            tell(told)
            report.notes.append(told)
            return io.NodeOutput(model, report)
        return io.NodeOutput(models.refined(model, report, tell, maps=attention_maps), report)


class MethodSettings(io.ComfyNode):  # type: ignore[misc]
    """All settings of the method."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as the host knows it."""
        return io.Schema(
            node_id="ToMe_Settings",
            display_name="ToMe Settings",
            category="conditioning/ToMe",
            description="Every setting of the method. What is left at its first value is the preset's.",
            inputs=[preset_input(), *setting_inputs()],
            outputs=[TomeSettings.Output(display_name="settings", tooltip="For ToMe Text Encode.")],
        )

    @classmethod
    def execute(cls, preset: str = "balanced", **values: Any) -> Any:
        """The settings."""
        return io.NodeOutput(settings_of(preset, values))


class AttentionMaps(io.ComfyNode):  # type: ignore[misc]
    """What ToMe Refine recorded, over the finished images."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as the host knows it."""
        return io.Schema(
            node_id="ToMe_AttentionMaps",
            display_name="ToMe Attention Maps",
            category="image/ToMe",
            description="Where each object's token looks, over the finished images: without ToMe on the left, with it "
            "on the right. Switch attention_maps on in ToMe Refine.",
            inputs=[
                TomeReport.Input("report", tooltip="From ToMe Refine."),
                io.Image.Input("images", tooltip="The images that were sampled with its model."),
            ],
            outputs=[
                io.Image.Output(display_name="maps"),
                io.String.Output(display_name="text", tooltip="The losses of each refined step, and notes."),
            ],
        )

    @classmethod
    def execute(cls, report: RunReport, images: Any) -> Any:
        """A table for each image; the image itself where there are no maps."""
        tables = []
        for number, image in enumerate(images):
            own = Image.fromarray((image.cpu().numpy().clip(0, 1) * 255).round().astype(np.uint8))
            maps = report.maps_of(number)
            tables.append(picture(own, maps) if maps else own)
        size = (max(one.width for one in tables), max(one.height for one in tables))
        told = report.text()
        return io.NodeOutput(torch.stack([_tensor(one, size) for one in tables]), told, ui=ui.PreviewText(told))


class LoadShapesModel(io.ComfyNode):  # type: ignore[misc]
    """The model that comes with the project."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node as the host knows it."""
        return io.Schema(
            node_id="ToMe_LoadShapes",
            display_name="ToMe Load Shapes Model",
            category="loaders/ToMe",
            description="The small model that comes with ToMe: it draws coloured shapes ('a red circle and a blue "
            "square') in seconds on any computer, at 192 x 192. For examples and tests.",
            inputs=[],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    def execute(cls) -> Any:
        """Load it."""
        return io.NodeOutput(*load_shapes())


class Extension(ComfyExtension):  # type: ignore[misc]
    """What ComfyUI asks for."""

    async def get_node_list(self) -> list[Any]:
        """All nodes."""
        return [TextEncode, Refine, MethodSettings, AttentionMaps, LoadShapesModel]


def _bound(clip: Any, text: str, own: Settings, plain: list[Any], made: dict[str, Any]) -> tuple[list[Any], str]:
    """The conditionings with composite tokens, and what to tell of the prompt."""
    out, told = [], ""
    for number, entry in enumerate(plain):
        encoder = texts.ClipEncoder(clip, number, made)
        prompt = encode_prompt(encoder, text, own, refine=own.refines)
        out.append(bind(entry, prompt, own) if prompt.located.groups else entry)
        told = as_text(prompt.reading, colour=False)
        told += "".join(f"  warning: {warning}\n" for warning in prompt.located.warnings)
    return out, told


def _teller(node: Any) -> Callable[[str], None]:
    """Shows a line under a node of the page, where it stays until there is another."""

    def tell(text: str) -> None:
        from server import PromptServer

        server = getattr(PromptServer, "instance", None)
        if server is None or node is None:
            return
        try:
            server.send_progress_text(f"ToMe: {text}", node)
        except Exception:
            _log.exception("ToMe: a line could not be shown in the page")

    return tell


def _tensor(image: Image.Image, size: tuple[int, int]) -> torch.Tensor:
    """An image as the host has them, on a dark ground of a ``size`` common to all."""
    ground = Image.new("RGB", size, (24, 24, 27))
    ground.paste(image, (0, 0))
    return torch.from_numpy(np.asarray(ground).astype(np.float32) / 255)
