"""A pipeline whose UNet is quantised: refined where the right gradient passes, else merged and told so."""

from __future__ import annotations

import logging

import pytest

from tests.hosts.diffusers.sampling import TWO, bind, hooks, make, quiet, same, settings_of
from tests.quantised import Rounds, RoundsWithGradient, Unpacks, quantised
from tome_ext.embedded.random_model import random_pipeline


def pipeline(kind):
    pipe = quiet(random_pipeline())
    quantised(pipe.unet.requires_grad_(False), kind)
    return pipe


def test_weights_that_are_unpacked_for_each_call_are_refined():
    pipe = pipeline(Unpacks)
    plain = make(pipe, [TWO], [1], steps=2)
    merged, _ = bind(pipe, settings_of("fast"), [TWO], [1], steps=2)
    images, report = bind(pipe, settings_of(window_stop=1.0), [TWO], [1], steps=2)
    assert [step["step"] for step in report[0].losses] == [0, 1]
    assert (report[0].warnings, report[0].failure) == ([], "")
    assert not same(images, merged)
    assert same(make(pipe, [TWO], [1], steps=2), plain)


@pytest.mark.parametrize("kind", [Rounds, RoundsWithGradient])
def test_weights_that_no_right_gradient_passes_through_are_merged_and_reported(kind, caplog):
    pipe = pipeline(kind)
    merged, _ = bind(pipe, settings_of("fast"), [TWO], [1], steps=2)
    with caplog.at_level(logging.WARNING):
        images, report = bind(pipe, settings_of(), [TWO], [1], steps=2, attached={"record_maps": True})
    assert same(images, merged)
    assert report[0].losses == []
    assert report[0].failure == (
        "tokens are merged, not refined: the weights are quantised (weight is int8), and no gradient passes through "
        f"them in {kind.__name__}"
    )
    assert report[0].warnings == [report[0].failure]
    assert [record.exc_info for record in caplog.records] == [None]
    assert hooks(pipe) == []
