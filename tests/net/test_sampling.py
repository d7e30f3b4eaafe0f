"""Free running and mixtures: the two-stage pass has the loss and gradient of the loop that mixes as it goes."""

import pytest
import torch
from small_models import BATCH, losses, model_of

from jumok.learn.evaluation import tensors
from jumok.net.model import shifted
from jumok.net.sampling import own_inputs, toss
from jumok.scores import ATTENTIONS
from jumok.text import PAD, START

SOURCE, LENGTHS, TARGET, REAL = tensors(BATCH, "cpu")


MODELS = [{"attention": a} for a in ATTENTIONS] + [{"attention": a, "input_feeding": True} for a in ATTENTIONS if a != "none"]


def naive(model, gold):
    """Step by step with gradient: each step reads gold or the token that the step before found likeliest."""
    encoded = model.encode(SOURCE, LENGTHS)
    state, token, total, read = encoded.state, torch.full((len(TARGET),), START), 0.0, []
    for t in range(TARGET.shape[1]):
        read.append(token)
        readout, state, _ = model.advance(token[:, None], state, encoded, t)
        logits = model.logits(readout)[:, 0]
        real = TARGET[:, t] != PAD
        total = total - logits.log_softmax(-1).gather(1, TARGET[:, t : t + 1])[real].sum()
        if t + 1 < TARGET.shape[1]:
            logits = logits.detach().clone()
            logits[:, [PAD, START]] = -torch.inf
            token = torch.where(gold[:, t + 1], TARGET[:, t], logits.argmax(-1))
    return total, torch.stack(read, 1)


@pytest.mark.parametrize("options", MODELS, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.25, 0.75, 1.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_two_stages_equal_the_naive_loop(options, share, dtype, tolerance):
    model = model_of(options, dtype)
    torch.manual_seed(3)
    gold = toss(TARGET, share, "token")
    inputs = own_inputs(model, SOURCE, LENGTHS, TARGET, gold, "argmax")
    expected, read = naive(model, gold)
    assert (inputs == read)[TARGET != PAD].all()
    fused = model.loss(SOURCE, LENGTHS, inputs, TARGET, REAL).loss
    assert float((fused - expected).abs() / expected) <= tolerance
    parameters = list(model.parameters())
    ours, theirs = (torch.cat([g.flatten() for g in torch.autograd.grad(x, parameters)]) for x in (fused, expected))
    assert float((ours - theirs).norm() / theirs.norm()) <= tolerance


def test_all_gold_is_teacher_forcing():
    model = model_of({"attention": "general"})
    gold = toss(TARGET, 1.0, "token")
    assert (own_inputs(model, SOURCE, LENGTHS, TARGET, gold, "argmax") == shifted(TARGET)).all()
    assert float(losses(model, BATCH).loss) > 0


def test_coins():
    torch.manual_seed(0)
    target = torch.ones(400, 50, dtype=torch.int64)
    for coin in ("token", "sentence", "batch"):
        gold = toss(target, 0.3, coin)
        assert gold[:, 0].all()  # <s> is never the model's own
        rest = gold[:, 1:]
        if coin == "token":
            assert rest.float().mean() == pytest.approx(0.3, abs=0.02)
        if coin == "sentence":
            assert (rest == rest[:, :1]).all() and rest.float().mean() == pytest.approx(0.3, abs=0.1)
        if coin == "batch":
            assert rest.all() or not rest.any()


def test_own_tokens_can_be_drawn():
    model = model_of({"attention": "dot"})
    gold = toss(TARGET, 0.0, "token")
    drawn = []
    for seed in range(20):
        torch.manual_seed(seed)
        drawn.append(own_inputs(model, SOURCE, LENGTHS, TARGET, gold, "sample"))
    assert len({tuple(d.flatten().tolist()) for d in drawn}) > 1
    assert all((d[:, 1:] != START).all() and (d[:, 0] == START).all() for d in drawn)


def test_dropout_is_off_while_inputs_are_found_and_on_again_after():
    model = model_of({"attention": "dot"})
    model.drop.rate = 0.5
    expected = own_inputs(model, SOURCE, LENGTHS, TARGET, toss(TARGET, 0.0, "token"), "argmax")
    model.train()
    assert (own_inputs(model, SOURCE, LENGTHS, TARGET, toss(TARGET, 0.0, "token"), "argmax") == expected).all()
    assert model.training
