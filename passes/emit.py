"""emit: the listing that the assembler gets, with every accepted body in place of its baseline."""

from __future__ import annotations

from compiler_ai.asm import listing as listing_model
from compiler_ai.asm.splice import replace
from compiler_ai.work import Context, UnitWork


class Emit:
    """Sets `UnitWork.output`; stays "" when no function of the unit has a rewrite."""

    name = "emit"
    scope = "unit"

    def run(self, unit: UnitWork, _context: Context) -> None:
        text = unit.listing_text
        for function in unit.functions:
            if function.rewrite is not None:
                text = replace(
                    listing_model.parse(text),
                    function.baseline.function,
                    function.rewrite.candidate,
                    function.baseline.size_bytes,
                )
        unit.output = text if text != unit.listing_text else ""
