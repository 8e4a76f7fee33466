"""Answers to several prompts at once, by a causal language model of transformers: what prompts begin with alike is read once,
every row has its own temperature and its own random numbers, and rows that have ended are computed no further.

Nucleus sampling: Holtzman et al., "The Curious Case of Neural Text Degeneration" (arXiv 1904.09751).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compiler_ai.models.base import Sampling

_MOST_LIKELY = 1024  # tokens that are sorted at first; nearly always they hold the whole nucleus


@dataclass
class Row:
    """One answer: the prompt's tokens, how to draw (`seed` is this row's own), and in `drawn` what came; `ended` by itself and
    not at a limit."""

    prompt: tuple[int, ...]
    sampling: Sampling
    seed: int
    drawn: list[int] = field(default_factory=list)
    ended: bool = False


@dataclass(frozen=True)
class _Batch:
    """Rows with the logits behind each, the cache of keys and values, and which of the cache's places each row has."""

    rows: list[Row]
    logits: Any
    cache: Any
    mask: Any


def draw(torch: Any, model: Any, rows: Sequence[Row], ends: Collection[int], deadline_s: float) -> None:
    """Fill the rows in, none of which is empty or has been drawn before, until they have ended or at `deadline_s` on
    time.monotonic()'s clock, with a token each at least. Raises whatever the libraries below raise."""
    with torch.inference_mode():
        batches = [_read(torch, model, alike) for alike in _families(rows)]
        if all(type(layer).__name__ == "DynamicLayer" for batch in batches for layer in batch.cache.layers):
            batches = [_joined(torch, batches)]
        for batch in batches:
            _fill_in(torch, model, batch, ends, deadline_s)


def _fill_in(torch: Any, model: Any, batch: _Batch, ends: Collection[int], deadline_s: float) -> None:
    device, living, logits, cache, mask = model.device, batch.rows, batch.logits, batch.cache, batch.mask
    generators = {id(row): torch.Generator(device).manual_seed(row.seed) for row in living}
    while True:
        for row, token in zip(living, _picked(torch, logits.float(), living, generators), strict=True):
            row.drawn.append(token)
            row.ended = row.drawn[-1] in ends
        going = [at for at, row in enumerate(living) if not row.ended and len(row.drawn) < row.sampling.most_tokens]
        if not going or time.monotonic() > deadline_s:
            return
        if len(going) < len(living):
            chosen = torch.tensor(going, device=device)
            cache.batch_select_indices(chosen)
            mask = mask[chosen]
            living = [living[at] for at in going]
        mask = torch.cat([mask, mask.new_ones(len(living), 1)], dim=1)
        last = torch.tensor([[row.drawn[-1]] for row in living], device=device)
        logits, cache = _step(model, last, mask, cache)


def _families(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The rows in groups whose prompts begin alike for half of their length at least."""
    family: list[Row] = []
    for row in sorted(rows, key=lambda row: row.prompt):
        if family and 2 * _alike([family[0].prompt, row.prompt]) < len(row.prompt):
            yield family
            family = []
        family.append(row)
    yield family


def _read(torch: Any, model: Any, rows: list[Row]) -> _Batch:
    """Read the prompts of a family: first what they have in common, then the rest of each, filled up on the left."""
    alike = _alike([row.prompt for row in rows])
    tails = [list(row.prompt[alike:]) for row in rows]
    longest = max(map(len, tails))
    tokens = [[tail[0]] * (longest - len(tail)) + tail for tail in tails]
    ones = [[1] * alike + [0] * (longest - len(tail)) + [1] * len(tail) for tail in tails]
    mask = torch.tensor(ones, device=model.device)
    cache = None
    if alike:
        begin = torch.tensor([list(rows[0].prompt[:alike])], device=model.device)
        _, cache = _step(model, begin, mask.new_ones(1, alike), None)
        cache.batch_repeat_interleave(len(rows))
    logits, cache = _step(model, torch.tensor(tokens, device=model.device), mask, cache)
    return _Batch(rows, logits, cache, mask)


def _joined(torch: Any, batches: Sequence[_Batch]) -> _Batch:
    """One batch of all rows: shorter caches are filled up on the left, at places that the mask leaves out."""
    longest = max(batch.mask.shape[1] for batch in batches)
    missing = [longest - batch.mask.shape[1] for batch in batches]
    fill = torch.nn.functional.pad
    whole = batches[0].cache
    for number, layer in enumerate(whole.layers):
        for kind in ("keys", "values"):
            parts = [getattr(batch.cache.layers[number], kind) for batch in batches]
            filled = [fill(part, (0, 0, left, 0)) for part, left in zip(parts, missing, strict=True)]
            setattr(layer, kind, torch.cat(filled))
    mask = torch.cat([fill(batch.mask, (left, 0)) for batch, left in zip(batches, missing, strict=True)])
    logits = torch.cat([batch.logits for batch in batches])
    return _Batch([row for batch in batches for row in batch.rows], logits, whole, mask)


def _alike(prompts: Sequence[tuple[int, ...]]) -> int:
    """With how many tokens all prompts begin alike; one at least is left of each."""
    first, last = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1
    return next((place for place in range(most) if first[place] != last[place]), most)


def _step(model: Any, tokens: Any, mask: Any, cache: Any) -> tuple[Any, Any]:
    """The logits behind the last token of each row, and the cache with the tokens in it."""
    places = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    found = model(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=places,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return found.logits[:, -1], found.past_key_values


def _picked(torch: Any, logits: Any, rows: Sequence[Row], generators: Mapping[int, Any]) -> list[int]:
    """For each row the likeliest token, or one of the smallest set that has `top_p` of the probability."""
    heat = torch.tensor([[row.sampling.temperature or 1.0] for row in rows], device=logits.device)
    chances = torch.softmax(logits / heat, dim=-1)
    likely, tokens = torch.topk(chances, min(_MOST_LIKELY, chances.shape[-1]))
    picked = []
    for number, row in enumerate(rows):
        held, names = likely[number], tokens[number]
        if row.sampling.temperature <= 0:
            picked.append(int(names[0]))
            continue
        if float(held.sum()) < row.sampling.top_p:
            held, names = torch.sort(chances[number], descending=True)
        nucleus = held.cumsum(-1) - held < row.sampling.top_p
        picked.append(int(names[torch.multinomial(held * nucleus, 1, generator=generators[id(row)])]))
    return picked
