"""emit: the listing that the assembler gets, with every accepted body in place of its baseline."""

from __future__ import annotations

from compiler_ai.asm import listing as listing_model
from compiler_ai.driver.splicing import splice
from compiler_ai.emit.chosen import Chosen
from compiler_ai.emit.judged import is_dispatched
from compiler_ai.store.quick import applicable
from compiler_ai.work import Context, UnitWork


class Emit:
    """Sets `UnitWork.output`; stays "" when no function of the unit has a rewrite."""

    name = "emit"
    scope = "unit"

    def run(self, unit: UnitWork, context: Context) -> None:
        text = unit.listing_text
        for function in unit.functions:
            rewrite = function.rewrite
            if rewrite is not None:
                chosen = Chosen(applicable(rewrite), is_dispatched(rewrite.candidate, context.options))
                text = splice(listing_model.parse(text), chosen)
        unit.output = text if text != unit.listing_text else ""
