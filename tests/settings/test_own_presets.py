from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tome_ext.settings import PRESETS, SettingError, Settings, own_presets, preset


def test_a_preset_is_saved_read_renamed_and_deleted_by_its_name(tmp_path):
    folder = tmp_path / "presets"
    mine = preset("paper").replace(iterations=2, groups="cat: hat", strength=0.5)
    assert own_presets.save(folder, "  My  preset (2) ", mine) == "My preset (2)"
    assert own_presets.rename(folder, "My preset (2)", "another") == "another"
    (values,) = own_presets.load(folder).values.values()
    assert Settings(**values) == preset("paper").replace(iterations=2), "neither the prompt's words nor the strength"
    own_presets.delete(folder, "another")
    assert own_presets.load(folder).values == {}


def test_a_file_is_readable_and_saving_again_replaces_it(tmp_path):
    own_presets.save(tmp_path, "soft", Settings(iterations=3))
    own_presets.save(tmp_path, "soft", Settings(iterations=4))
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "soft", "values": {"iterations": 4}}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"name": "x"}',
        '{"name": 3, "values": {}}',
        '{"name": "x", "values": {"iterations": 99}}',
        '{"name": "x", "values": {"nonsense": 1}}',
        '{"name": "../x", "values": {}}',
        '{"name": "balanced", "values": {}}',
        "[" * 50_000,
        "\xff",
    ],
)
def test_a_broken_file_is_named_and_the_others_are_read(tmp_path, content):
    own_presets.save(tmp_path, "good", Settings(iterations=3))
    (tmp_path / "bad.json").write_text(content, encoding="latin-1")
    found = own_presets.load(tmp_path)
    assert list(found.values) == ["good"]
    (problem,) = found.problems
    assert problem.startswith("bad.json was skipped: ")


@pytest.mark.parametrize(("size", "read"), [(100_000, True), (100_001, False)])
def test_a_file_has_at_most_100000_bytes(tmp_path, size, read):
    content = json.dumps({"name": "padded", "values": {"iterations": 4}})
    (tmp_path / "padded.json").write_text(content.ljust(size), encoding="utf-8")
    assert ("padded" in own_presets.load(tmp_path).values) is read


@pytest.mark.parametrize("name", [*PRESETS, "custom", "off", "", "..", "a/b", "a:b", "a;b", "a>b", "a,b", "x" * 61])
def test_a_name_that_other_places_could_not_hold_is_refused(tmp_path, name):
    with pytest.raises(SettingError):
        own_presets.save(tmp_path, name, Settings())
    assert list(tmp_path.iterdir()) == []


def test_two_names_that_make_one_file_name_do_not_overwrite_each_other(tmp_path):
    own_presets.save(tmp_path, "a.b", Settings(iterations=3))
    own_presets.save(tmp_path, "a b", Settings(iterations=4))
    assert {name: values["iterations"] for name, values in own_presets.load(tmp_path).values.items()} == {
        "a b": 4,
        "a.b": 3,
    }


def test_a_name_that_is_taken_or_missing_is_said(tmp_path):
    own_presets.save(tmp_path, "one", Settings(iterations=3))
    own_presets.save(tmp_path, "two", Settings(iterations=4))
    with pytest.raises(SettingError, match="'two' already"):
        own_presets.rename(tmp_path, "one", "two")
    with pytest.raises(SettingError, match="no preset of your own called 'three'"):
        own_presets.delete(tmp_path, "three")
    with pytest.raises(SettingError, match="no preset of your own called 'paper'"):
        own_presets.rename(tmp_path, "paper", "four")


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=70))
def test_any_name_is_saved_as_it_is_or_refused(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("presets")
    try:
        saved = own_presets.save(folder, name, Settings(iterations=3))
    except SettingError:
        return
    assert list(own_presets.load(folder).values) == [saved]


def test_no_folder_is_no_presets(tmp_path):
    assert own_presets.load(None) == own_presets.load(tmp_path / "none") == own_presets.OwnPresets()
