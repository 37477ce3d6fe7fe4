"""The training in miniature: each part runs, can be stopped and goes on, and text is never changed."""

import pytest
import torch

from tome_ext.research.miniature import __main__ as command
from tome_ext.research.miniature import model
from tome_ext.research.miniature.training import bank, contrastive, diffusion, whitening
from tome_ext.research.miniature.training.loop import snapshot
from tome_ext.research.miniature.training.text import encode_words
from tome_ext.research.miniature.training.weights import read_model
from tome_ext.research.miniature.world.captions import FAULTS


def small_bank(size=6):
    torch.manual_seed(0)
    encoders = [encoder.eval() for encoder in model.text_encoders()]
    return bank.Bank(**bank.make_shard(model.autoencoder().eval(), encoders, FAULTS, (0,), size)), encoders


def test_a_bank_holds_two_pictures_and_two_texts_for_each_set():
    made, _ = small_bank(3)
    assert made.latents.shape == (3, 2, 4, *model.LATENT)
    assert made.contexts.shape == (3, 2, 77, model.CONTEXT)
    assert made.pooled.shape == (3, 2, model.TEXT_WIDTHS[1])


def test_texts_of_a_batch_are_whole_encodings_or_zeros():
    made, _ = small_bank()
    batch = diffusion.make_batch(made, diffusion.DiffusionPlan(batch=40), 0)
    known = {context.numpy().tobytes() for context in made.contexts.flatten(0, 1)}
    blank = 0
    for context in batch.context:
        blank += not context.any()
        assert not context.any() or context.numpy().tobytes() in known
    assert 0 < blank < 15


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    made, _ = small_bank()
    plan = diffusion.DiffusionPlan(batch=5)
    first, second = (diffusion.make_batch(made, plan, 7) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True))


def test_pictures_of_the_same_bag_are_nobodys_wrong_answers():
    vectors = torch.nn.functional.normalize(torch.ones(2, 4), dim=1)
    temperature = torch.zeros(1)
    same = contrastive.loss_of([vectors], [vectors], temperature, ["a", "a"])
    other = contrastive.loss_of([vectors], [vectors], temperature, ["a", "b"])
    assert float(same) < 1e-3 < float(other)


def test_the_whole_encoders_agree_with_the_compact_ones():
    torch.manual_seed(1)
    contrast = contrastive.Contrast().eval()
    first, second = contrastive.whole(contrast)
    _, pooled = encode_words([first, second], [("a", "red", "circle")])
    ids = contrastive.padded([contrastive.tokenize(("a", "red", "circle"))])
    text = contrast.text(*ids)[1]
    assert torch.allclose(torch.nn.functional.normalize(pooled, dim=1), text, atol=1e-5)


@pytest.mark.slow
def test_one_command_trains_everything_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(bank, "SHARD", 8)
    monkeypatch.setattr(bank.make_shard, "__defaults__", (8,))
    monkeypatch.setattr(contrastive, "_POOL", 20)
    flags = [str(tmp_path), "--device", "cpu", "--autoencoder-steps", "2", "--encoder-steps", "2", "--shards", "1"]
    flags += ["--batch", "4", "--save-every", "2"]
    command.main([*flags, "--steps", "2"])
    before = snapshot(tmp_path).unet.state_dict()
    command.main([*flags, "--steps", "4"])
    after = read_model(tmp_path / "unet.safetensors")
    assert any(not torch.allclose(value, before[name]) for name, value in after.unet.state_dict().items())
    assert (tmp_path / "unet" / "diffusion.jsonl").read_text().count("\n") == 2
    assert (tmp_path / "unet.safetensors").stat().st_size < 20e6


def test_whitened_encodings_have_equal_spread_and_weights_are_brought_back():
    made, _ = small_bank()
    raw = made.contexts.clone(), made.pooled.clone()
    white = whitening.Whitening.of(made)
    state = {
        "up.attn2.to_k.weight": torch.randn(5, model.CONTEXT),
        "add_embedding.linear_1.weight": torch.randn(5, model.TEXT_WIDTHS[1] + 96),
    }
    folded = white.folded(state)
    whole = white.bank(made)
    width = model.TEXT_WIDTHS[1]
    for name, before, after in zip(state, raw, (whole.contexts, whole.pooled), strict=True):
        columns = slice(0, before.shape[-1])
        expected = before.float() @ folded[name][:, columns].T
        found = after.float() @ state[name][:, columns].T
        assert torch.allclose(expected, found, atol=0.05 * float(expected.abs().max()))
    last = "add_embedding.linear_1.weight"
    assert torch.equal(folded[last][:, width:], state[last][:, width:])
    back = white.unfolded(folded)
    assert torch.allclose(back["up.attn2.to_k.weight"], state["up.attn2.to_k.weight"], atol=1e-3)


def test_the_pooled_vector_can_be_missing_where_the_words_are_there():
    made, _ = small_bank()
    batch = diffusion.make_batch(made, diffusion.DiffusionPlan(batch=60, unconditional=0, pooled_missing=0.5), 0)
    assert batch.context.flatten(1).any(1).all()
    assert 15 < int(batch.pooled.any(1).sum()) < 45
