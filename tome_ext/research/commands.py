"""What the commands of ``python -m tome_ext evidence`` do."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from tome_ext.research import real
from tome_ext.research.arms import BALANCED, FAST, PLAIN, Arm, settings_for
from tome_ext.research.benchmark import Job, Judge, Maker, Sampling, Scores, jobs, judge_scene, picture_path, run
from tome_ext.research.experiments import chosen_arms, experiment
from tome_ext.research.judging.blip import BlipQuestions, chunker
from tome_ext.research.judging.scored import write_scored
from tome_ext.research.makers import diffusers_maker, webui_maker
from tome_ext.research.report import write_report
from tome_ext.research.world.everyday import everyday
from tome_ext.research.world.prompts import Prompt

_Open = Callable[[], Any]
_Echo = Callable[[str], None]
_MadeBy = Mapping[str, str]
_REAL = (PLAIN, FAST, BALANCED)


def run_experiment(arguments: argparse.Namespace, open_pipe: _Open, echo: _Echo, made_by: _MadeBy) -> int:
    """One of the paper's experiments, or the benchmark, on scenes of shapes."""
    one = experiment(arguments.name)
    todo = jobs(chosen_arms(one, arguments.arms), one.prompts(arguments.prompts, arguments.seed), arguments.images)
    sampling = sampling_of(arguments)
    judge = _blip(arguments) if arguments.blip else judge_scene
    known = _run(arguments, open_pipe, judge, todo, sampling, echo, made_by)
    if arguments.blip:
        lines = write_scored(arguments.out, f"{one.question} ({chunker()})", todo, known, sampling, "blip")
    else:
        write_report(arguments.out, one.question, todo, known, sampling, **made_by)
        lines = (arguments.out / "report.md").read_text(encoding="utf-8").splitlines()
    for line in lines:
        echo(line)
    return 0


def run_compbench(arguments: argparse.Namespace, open_pipe: _Open, echo: _Echo, made_by: _MadeBy) -> int:
    """T2I-CompBench's attribute binding on the prompts of a file."""
    texts = [line.strip() for line in arguments.prompts_from.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not texts:
        raise ValueError(f"{arguments.prompts_from} holds no prompts: one a line is needed")
    prompts = [Prompt(text, arguments.prompts_from.stem) for text in texts[: arguments.limit or None]]
    sampling = sampling_of(arguments)
    todo = jobs(_chosen(arguments.arms), prompts, arguments.images)
    known = _run(arguments, open_pipe, _blip(arguments), todo, sampling, echo, made_by)
    title = f"T2I-CompBench, {prompts[0].family} ({chunker()})"
    for line in write_scored(arguments.out, title, todo, known, sampling, "blip"):
        echo(line)
    return 0


def run_object_binding(arguments: argparse.Namespace, open_pipe: _Open, echo: _Echo, made_by: _MadeBy) -> int:
    """The object-binding benchmark with a judge behind an endpoint."""
    from tome_ext.research.judging import object_binding

    url, key = arguments.judge_url, key_from(arguments.judge_key)
    endpoint = object_binding.Judge(url, arguments.judge_model, arguments.out / "answers", key)
    pairs = {pair.prompt: pair for pair in object_binding.prompts(50, arguments.seed)}
    prompts = [Prompt(text, "object binding", (), pair.clean, pair.groups) for text, pair in pairs.items()]

    def judge(prompt: Prompt, image: Any) -> Scores | None:
        try:
            score = endpoint.score(image, pairs[prompt.text])
        except object_binding.NoAnswerError as error:
            echo(f"{prompt.text}: {error}; a later run asks again")
            return None
        return {} if score is None else {"score": score}

    sampling = sampling_of(arguments)
    todo = jobs(_chosen(arguments.arms), prompts, arguments.images)
    known = _run(arguments, open_pipe, judge, todo, sampling, echo, made_by)
    scored = {key: scores for key, scores in known.items() if scores}
    unscored = sum(1 for job in todo if known.get(job.key(sampling)) == {})
    unanswered = sum(1 for job in todo if job.key(sampling) not in known)
    title = f"Object binding, 0 to 100 (images without a score: {unscored}"
    title += f", without an answer: {unanswered})" if unanswered else ")"
    for line in write_scored(arguments.out, title, todo, scored, sampling, "score"):
        echo(line)
    return 0


def run_real(arguments: argparse.Namespace, open_pipe: _Open, echo: _Echo, made_by: _MadeBy) -> int:
    """A checkpoint that people use: plain sampling and presets on everyday prompts, BLIP's figures, and a page."""
    todo = jobs(real.arms_named(arguments.arms), everyday(arguments.seed)[: arguments.limit or None], arguments.images)
    sampling = sampling_of(arguments)
    shard = shard_of(os.environ)
    maker = _maker(arguments, open_pipe)
    missing = [job for job in todo if not picture_path(arguments.out, job.key(sampling)).exists()]
    echo(f"{len(todo)} images, {len(missing)} to make, {asdict(sampling)}")
    if missing:
        seconds = real.forecast(maker, missing, sampling) / shard[1]
        echo(f"this will take about {real.duration(seconds)} (two pictures were timed); it can be stopped and goes on")
    try:
        questions = BlipQuestions.open(arguments.blip, torch.device(arguments.device))
    except (ImportError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        echo(f"no scores: BLIP-VQA ({arguments.blip}) cannot be loaded ({reason})")
        questions = None
    judge = real.judge_with(questions)
    known = run(maker, judge, todo, arguments.out, sampling, made_by=made_by, echo=echo, shard=shard)
    lines, page = real.write_real(arguments.out, todo, known, sampling, made_by)
    for line in (*lines, str(page)):
        echo(line)
    return 0


def key_from(variable: str) -> str:
    """The key that an environment variable holds, empty for no variable; ValueError where it holds none."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ValueError(f"--judge-key: the environment variable {variable} is not set or empty")
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"--judge-key: the environment variable {variable} holds no key (it is not plain ASCII)")
    return key


def judge_accuracy(scenes: int, pipe: Any = None) -> list[str]:
    """Lines on the judge's accuracy: on renders, and with ``pipe`` on those that its autoencoder has been through."""
    from tome_ext.research.judging.judge import accuracy
    from tome_ext.research.world.scenes import random_scene

    rng = np.random.default_rng(23)
    drawn = [random_scene(rng, held_out=bool(number % 2)) for number in range(scenes)]
    ways: dict[str, Any] = {"renders": None}
    if pipe is not None:
        ways["renders, encoded and decoded"] = _through(pipe)
    lines = []
    for name, spoil in ways.items():
        found = accuracy(drawn, spoil)
        rates = ", ".join(f"{question} {100 * found.rate(question):.1f} %" for question in found.right)
        lines.append(f"{name} ({scenes} scenes, {found.asked['shape']} things): {rates}")
    return lines


def _through(pipe: Any) -> Callable[[Any], Any]:
    from tome_ext.research.training.autoencoder import reconstruct

    device = next(pipe.vae.parameters()).device

    def spoil(picture: Any) -> Any:
        image = torch.from_numpy(picture).permute(2, 0, 1)[None].float().to(device) / 127.5 - 1
        made = reconstruct(pipe.vae, image)[0]
        return ((made + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()

    return spoil


def sampling_of(arguments: argparse.Namespace) -> Sampling:
    """How the flags say that images are made."""
    return Sampling(arguments.steps, arguments.guidance, arguments.size, arguments.batch)


def _chosen(names: Sequence[str]) -> tuple[Arm, ...]:
    from tome_ext.research.experiments import EXPERIMENTS

    known = {arm.name: arm for one in EXPERIMENTS for arm in one.arms if arm.context is None}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"there is no arm {unknown[0]!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) or _REAL


def _run(
    arguments: argparse.Namespace,
    open_pipe: _Open,
    judge: Judge,
    todo: Sequence[Job],
    sampling: Sampling,
    echo: _Echo,
    made_by: _MadeBy,
) -> dict[str, Scores]:
    """Run one shard: under ``accelerate launch`` each process takes its own."""
    shard = shard_of(os.environ)
    for job in todo:  # before a model is opened: an arm may not take a prompt
        if job.arm.settings is not None:
            settings_for(job.arm, job.prompt)
    maker = _maker(arguments, open_pipe)
    echo(f"{len(todo)} images, {asdict(sampling)}")
    return run(maker, judge, todo, arguments.out, sampling, made_by=made_by, echo=echo, shard=shard)


def _maker(arguments: argparse.Namespace, open_pipe: _Open) -> Maker:
    return webui_maker(arguments.webui) if arguments.webui else _opened_when_needed(open_pipe)


def _opened_when_needed(open_pipe: _Open) -> Maker:
    """Opens the model for the first image: not where all are there, nor where another process has the folder."""
    opened: list[Maker] = []

    def make(*arguments: Any) -> Any:
        if not opened:
            opened.append(diffusers_maker(open_pipe()))
        return opened[0](*arguments)

    return make


def shard_of(environment: Any) -> tuple[int, int]:
    """Which of how many processes this is, from what ``accelerate launch`` sets; ValueError where that cannot be."""
    rank, world = (environment.get(name, default) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    if not (rank.isdecimal() and world.isdecimal() and int(rank) < int(world)):
        raise ValueError(f"RANK = {rank}, WORLD_SIZE = {world}: RANK must be a whole number from 0 to WORLD_SIZE - 1")
    return int(rank), int(world)


def _blip(arguments: argparse.Namespace) -> Judge:
    questions = BlipQuestions.open(arguments.blip, torch.device(arguments.device))
    return lambda prompt, image: {"blip": questions.score(image, prompt.text)}
