"""Apply mode: replace the functions of one listing that the store has rewrites for.

Imported by the shim only when a function of the listing has an entry in the store's index.
"""

from __future__ import annotations

from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.normalise import keyed, uncovered
from compiler_ai.asm.splice import label_safe, replacement, with_replacements
from compiler_ai.asm.trees import Trees
from compiler_ai.candidates import GRADES
from compiler_ai.driver.flags import excluded_by
from compiler_ai.emit.chosen import Chosen
from compiler_ai.emit.labels import with_own_labels
from compiler_ai.errors import AiccError
from compiler_ai.store.quick import QuickStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_ai.asm.listing import Listing
    from compiler_ai.asm.splice import Replacement
    from compiler_ai.driver.options import Options
    from compiler_ai.emit.companion import Pair
    from compiler_ai.store.quick import Applicable


class Applied:
    """The outcome for one listing: the text to assemble, which functions were replaced, and notes for the log.

    With -faicc-emit=object `pair` has the text of the object beside it; `text` is then `pair.unit_text`.
    """

    __slots__ = ("applied", "notes", "pair", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.applied: list[str] = []
        self.notes: list[str] = []
        self.pair: Pair | None = None


def apply_entries(
    text: str, names: Iterable[str], project: str, options: Options, flags: tuple[str, ...], dump: str
) -> Applied:
    """Replace every function among `names` whose key has an entry that `options` allow; `dump` is the unit's tree dump.

    A function whose entry cannot be used keeps GCC's body; the reason is a note. Raises what parsing raises, and
    SpliceError when two functions are not apart.
    """
    result = Applied(text)
    if excluded_by(flags):
        return result
    unit = listing_model.parse(text)
    chosen = list(_chosen(unit, names, QuickStore(project), options, flags, Trees(dump), result.notes))
    if not chosen:
        return result
    if options.values["emit"] == "object":
        from compiler_ai.driver.later import put_off

        put_off("inspect")  # which `dataclasses` imports, for docstrings of classes that have none
        from compiler_ai.emit import companion

        result.pair = companion.separate(unit, chosen, flags, result.notes)
        if result.pair is not None:
            result.text, result.applied = result.pair.unit_text, list(result.pair.functions)
        return result
    replacements = []
    for one in chosen:
        if not one.dispatched:
            try:
                replacements.append(_replacement(unit, one))
                result.applied.append(one.function)
            except Exception as error:  # this function keeps GCC's body; the others still get theirs
                result.notes.append(f"{one.function}: not replaced: {_reason(error)}")
    result.text = with_replacements(unit, replacements)
    for one in chosen:
        if one.dispatched:
            try:
                result.text = _with_check(listing_model.parse(result.text) if result.applied else unit, one)
                result.applied.append(one.function)
            except Exception as error:
                result.notes.append(f"{one.function}: not replaced: {_reason(error)}")
    return result


def splice(unit: Listing, chosen: Chosen) -> str:
    """The listing with one rewrite in its baseline's place, or in front of it behind a CPU check. Raises SpliceError."""
    return _with_check(unit, chosen) if chosen.dispatched else with_replacements(unit, [_replacement(unit, chosen)])


def _replacement(unit: Listing, chosen: Chosen) -> Replacement:
    candidate = with_own_labels(chosen.candidate, f"s_{label_safe(chosen.function)}", only=".Laicc_")
    return replacement(unit, chosen.function, candidate, chosen.rewrite.baseline_size_bytes)


def _with_check(unit: Listing, chosen: Chosen) -> str:
    from compiler_ai.emit.dispatch import replace_dispatched

    return replace_dispatched(unit, chosen.function, chosen.candidate, chosen.rewrite.target)


def _chosen(
    unit: Listing,
    names: Iterable[str],
    store: QuickStore,
    options: Options,
    flags: tuple[str, ...],
    trees: Trees,
    notes: list[str],
) -> Iterable[Chosen]:
    """The store's rewrite for each function, as far as the options allow one. Keys are those of GCC's own listing."""
    for name in names:
        if unit.function(name) is None:
            continue
        try:
            key, known = keyed(unit, name, flags, trees)
            rewrite = _lookup(store, key, name, options.values["isa"])
            if rewrite is None:
                other = store.lookup(key, name)
                if other is not None:
                    notes.append(f"{name}: {_refusal(other, options.values['isa'])}")
                elif store.lists(key, name):
                    notes.append(f"{name}: its rewrite is missing or damaged: see 'aicc-tool store verify'")
            elif rewrite.grade < GRADES.index(options.values["verify"].upper()):
                notes.append(f"{name}: the rewrite is only {GRADES[rewrite.grade].lower()}")
            elif missing := uncovered(unit, name, rewrite.candidate, known):
                notes.append(f"{name}: the rewrite refers to {missing[0]}, which GCC's body does not")
            elif not rewrite.candidate.features or options.values["isa"] != "dispatch":
                yield Chosen(rewrite, False)
            elif _FAR.isdisjoint(flags):
                yield Chosen(rewrite, True)
            else:
                notes.append(f"{name}: no CPU check is made in this code model")
        except Exception as error:
            notes.append(f"{name}: not replaced: {_reason(error)}")


def _lookup(store: QuickStore, key: str, name: str, policy: str) -> Applicable | None:
    """The fastest rewrite that the ISA policy (-faicc-isa) allows."""
    if policy == "same":
        return store.lookup(key, name, frozenset())
    if policy == "native":
        from compiler_ai.driver.host import features

        return store.lookup(key, name, features())
    from compiler_ai.emit.dispatch import known_features

    rewrite = store.lookup(key, name)
    if rewrite is not None and not known_features(rewrite.target).issuperset(rewrite.candidate.features):
        rewrite = store.lookup(key, name, known_features(rewrite.target))
    return rewrite


_FAR = frozenset(
    {"-mcmodel=large", "-mcmodel=kernel"}
)  # data may be out of a PC-relative load's reach; kernels keep off vector registers


def _refusal(rewrite: Applicable, policy: str) -> str:
    needs = ", ".join(rewrite.candidate.features)
    if policy == "same":
        return f"the rewrite needs {needs}; build with -faicc-isa=dispatch or native to use it"
    if policy == "dispatch":
        return f"the rewrite needs {needs}, which no CPU check can ask for"
    from compiler_ai.driver.host import missing_features

    return f"this processor lacks {', '.join(missing_features(rewrite.candidate.features))}"


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, AiccError) else f"{type(error).__name__}: {error}"
