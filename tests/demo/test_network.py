"""The training forward is transformers' own, packed or split as it may be; so are the files."""

import itertools
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from seekserve.demo import corpus, crew, network, optimiser, packing, train, vocabulary  # noqa: E402


@pytest.fixture(scope="module")
def tokens() -> Any:
    return vocabulary.train_tokenizer(seed=1, size=600)


@pytest.fixture(scope="module")
def model(tokens: Any) -> Any:
    torch.manual_seed(0)
    return network.new_model(tokens.get_vocab_size())


@pytest.fixture(scope="module")
def samples(tokens: Any) -> list[packing.Sample]:
    found = (packing.sample(tokens, one) for one in corpus.conversations(4))
    return list(itertools.islice((one for one in found if len(one[0]) < 100), 6))


def plain(model: Any) -> Any:
    config = transformers.DeepseekV3Config(**model.config.to_dict())
    config._attn_implementation = "eager"
    other = transformers.DeepseekV3ForCausalLM(config)
    other.load_state_dict(model.state_dict())
    return other


def test_packed_rows_give_each_conversation_its_own_logits(
    model: Any, samples: list[packing.Sample]
) -> None:
    row = samples[:3]
    columns = sum(len(ids) for ids, _ in row) + 5
    packed = packing.batch([row], columns)
    with torch.no_grad():
        hidden = model.model(
            input_ids=packed.tokens,
            attention_mask=packed.mask,
            position_ids=packed.positions,
            use_cache=False,
        ).last_hidden_state
        together = model.lm_head(hidden)[0]
        start = 0
        for ids, _ in row:
            alone = plain(model)(input_ids=torch.tensor([ids])).logits[0]
            torch.testing.assert_close(together[start : start + len(ids)], alone)
            start += len(ids)


def test_targets_are_the_learned_tokens_one_step_ahead(samples: list[packing.Sample]) -> None:
    ids, learned = samples[0]
    made = packing.batch([[samples[0]]], len(ids) + 3)
    wanted = [i for i, keep in zip(ids, learned, strict=True) if keep]
    targets = made.targets[0]
    assert targets[targets != -100].tolist() == wanted
    for place in (targets != -100).nonzero().flatten().tolist():
        assert ids[place + 1] == targets[place]


def test_shares_of_a_batch_sum_to_the_whole(model: Any, samples: list[packing.Sample]) -> None:
    made = packing.batch([[one] for one in samples[:4]], 100)
    count = int((made.targets != -100).sum())
    whole = train.loss_of(model, made, count)
    halves = [train.loss_of(model, crew.part(made, i, 2), count) for i in range(2)]
    torch.testing.assert_close(sum(halves), whole, rtol=1e-2, atol=1e-2)


def test_the_saved_model_loads_into_transformers(model: Any, tmp_path: Path) -> None:
    network.save_model(model, tmp_path)
    loaded = transformers.DeepseekV3ForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    rounded = plain(model).to(torch.bfloat16).to(torch.float32)
    ids = torch.arange(40)[None]
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, rounded(ids).logits, atol=1e-3, rtol=1e-3)


def test_muon_makes_all_directions_equal() -> None:
    torch.manual_seed(0)
    made = optimiser.orthogonal(torch.randn(2, 24, 40))
    values = torch.linalg.svdvals(made.float())
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    rates = [train.slope(step, 1000, 0.2) for step in range(1001)]
    assert rates[0] < rates[30] < rates[100] == 1.0
    assert rates[1000] == 0.0
