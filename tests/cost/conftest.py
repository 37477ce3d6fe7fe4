"""The full-size UNets and what was counted on them, once for all tests of this folder: a count takes seconds."""

from __future__ import annotations

from functools import cache

import pytest

from tome_ext.cost.count import Cost, Run, count
from tome_ext.cost.models import Architecture, architecture
from tome_ext.settings import Settings

_architecture = cache(architecture)


@pytest.fixture(scope="session")
def sdxl() -> Architecture:
    return _architecture("sdxl")


@pytest.fixture(scope="session")
def sd15() -> Architecture:
    return _architecture("sd15")


@pytest.fixture(scope="session")
def counted():
    @cache
    def cost(name: str, settings: Settings, run: Run) -> Cost:
        return count(_architecture(name), settings, run)

    return cost
