"""transformers in process, with a tiny Qwen2 of random weights made here: what it says is noise, how it is handled is not."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compiler_ai.models.base import Answer, Message, ModelError, Sampling
from compiler_ai.models.local import LocalModel
from compiler_ai.models.spec import ModelLimits, open_model, parse

pytestmark = pytest.mark.full
ASKED = [Message("user", "mov eax")]


def texts_of(answers: list[Answer]) -> list[str]:
    return [one.text for one in answers]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 with two layers whose tokens are bytes, as save_pretrained writes it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    directory = tmp_path_factory.mktemp("tiny")
    alphabet = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = Tokenizer(models.BPE({token: number for number, token in enumerate(alphabet)}, []))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|endoftext|>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }} : {{ m.content }} {% endfor %}assistant :"
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(alphabet), hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, eos_token_id=0,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(directory)
    return directory


def test_answers_have_their_tokens_and_limits(tiny: Path) -> None:
    model = open_model(parse(f"hf:{tiny}"), ModelLimits())
    (answer,) = model.complete(ASKED, Sampling(most_tokens=12))
    assert answer.prompt_tokens == len("user : mov eax assistant :")
    assert 1 <= answer.answer_tokens <= 12
    assert answer.truncated is (answer.answer_tokens == 12)
    assert answer.text


@pytest.mark.parametrize("weights", ["auto", "float32", "bf16", "4bit"])
def test_a_seed_gives_the_same_answers_again_and_another_others(tiny: Path, weights: str) -> None:
    model = open_model(parse(f"hf:{tiny}"), ModelLimits(), weights)

    def texts(seed: int) -> list[str]:
        return [one.text for one in model.complete(ASKED, Sampling(1.0, 0.95, seed, 16, 4))]

    assert len(texts(1)) == 4
    assert len(set(texts(1))) > 1
    assert texts(1) == texts(1)
    assert texts(1) != texts(2)


@pytest.mark.parametrize(("weights", "held"), [("float32", "float32"), ("bf16", "bfloat16"), ("4bit", "uint8")])
def test_weights_are_held_as_asked(tiny: Path, weights: str, held: str) -> None:
    model = LocalModel(parse(f"hf:{tiny}"), ModelLimits(), weights)
    types = {str(one.dtype).removeprefix("torch.") for name, one in model._model.named_parameters() if "mlp" in name}
    assert types == {held}


def test_many_prompts_at_once_are_answered_like_each_alone(tiny: Path) -> None:
    """Their common beginnings are read once, shorter ones are filled up, and rows end at different lengths."""
    model = LocalModel(parse(f"hf:{tiny}"), ModelLimits(), "float32")
    texts = ["mov eax", "mov eax, 1", "mov eax, 1 and then add it to what is there", "a", "quite another beginning"]
    asked = [([Message("user", text)], Sampling(temperature, 0.9, seed, 3 + 7 * seed))
             for seed, text in enumerate(texts) for temperature in (0.0, 0.8)]  # fmt: skip
    alone = [model.complete(*one) for one in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        with model._lock:  # until all wait
            futures = [pool.submit(model.complete, *one) for one in asked]
            while len(model._waiting) < len(asked):
                time.sleep(0.01)
        together = [future.result() for future in futures]
    assert len({one.seconds for answers in together for one in answers}) == 1
    assert [texts_of(answers) for answers in together] == [texts_of(answers) for answers in alone]
    assert len({one.text for answers in alone for one in answers}) > 5


def test_an_answer_is_what_the_library_itself_generates(tiny: Path) -> None:
    import torch
    import transformers

    (answer,) = open_model(parse(f"hf:{tiny}"), ModelLimits(), "float32").complete(ASKED, Sampling(most_tokens=20))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny)
    prompt = tokenizer("user : mov eax assistant :", return_tensors="pt")
    reference = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    tokens = reference.generate(**prompt, max_new_tokens=20, do_sample=False, pad_token_id=0)[0]
    assert answer.text == tokenizer.decode(tokens[prompt["input_ids"].shape[1] :], skip_special_tokens=True)


def test_a_prompt_longer_than_the_context_is_one_line(tiny: Path) -> None:
    model = open_model(parse(f"hf:{tiny}"), ModelLimits())
    with pytest.raises(ModelError, match="longer than the context of 256"):
        model.complete([Message("user", "mov " * 100)], Sampling())


def test_the_deadline_ends_an_answer(tiny: Path) -> None:
    model = open_model(parse(f"hf:{tiny}"), ModelLimits(deadline_s=0.0))
    assert model.complete(ASKED, Sampling(1.0, most_tokens=50, count=3))


@pytest.mark.parametrize("damage", ["nothing", "weights", "config", "tokenizer"])
def test_damaged_weights_are_one_line(tiny: Path, tmp_path: Path, damage: str) -> None:
    import shutil

    copy = tmp_path / "copy"
    if damage != "nothing":
        shutil.copytree(tiny, copy)
    if damage == "weights":
        path = copy / "model.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "config":
        (copy / "config.json").write_text(json.dumps({"model_type": "none"}))
    elif damage == "tokenizer":
        (copy / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError) as raised:
        open_model(parse(f"hf:{copy}"), ModelLimits())
    assert str(raised.value).startswith(f"hf:{copy}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("content", "words"), [(b"", "no GGUF"), (b"GGUF\3\0\0\0" + b"\1" * 40, "cannot be loaded")])
def test_a_gguf_that_is_cut_short_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        open_model(parse(f"gguf:{path}"), ModelLimits())


def test_a_hub_id_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_model(parse("hf:nobody/no-such-model"), ModelLimits())
