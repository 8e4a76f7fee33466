"""A tutorial plugin: proposes the baseline with its loop heads aligned, and says what became of every candidate."""

import math
import re

from compiler_ai.artifacts import Candidate, Rejection
from compiler_ai.asm import listing
from compiler_ai.passmanager import Event


class AlignLoops:
    """A proposer: any object with a name and propose(baseline, context)."""

    name = "align_loops"

    def __init__(self, size_bytes):
        self.exponent = int(math.log2(size_bytes))

    def propose(self, baseline, _context):
        function = listing.parse(baseline.listing_text).function(baseline.function)
        if function is None or len(function.parts) > 1:
            yield Rejection("propose", "align_loops: the function has a cold part")
            return
        lines, seen, heads = function.body.splitlines(), set(), set()
        for line in lines:  # a branch back to a label that was seen makes that label a loop head
            if label := re.match(r"(\.L\w+):", line):
                seen.add(label[1])
            elif (jump := re.match(r"\tj\w+\t(\.L\w+)$", line)) and jump[1] in seen:
                heads.add(jump[1])
        body = "\n".join(f"\t.p2align {self.exponent}\n{line}" if line.rstrip(":") in heads else line for line in lines)
        yield Candidate(baseline.function, body + "\n", proposer=self.name, origin=f"{len(heads)} loop heads aligned")


def report(work, state):
    print(f"align_loops: {work.baseline.function}: {state.candidate.origin}: {state.rejection.reason}")


def plugin_init(context, args):
    context.register_proposer(AlignLoops(int(args.get("bytes", "32"))))
    context.register_callback(Event.CANDIDATE_REJECTED, report)
