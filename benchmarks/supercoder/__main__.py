"""Make a small dataset in SuperCoder's format (arXiv 2505.11480) from the programs in this directory.

usage: python benchmarks/supercoder FILE.parquet
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Inputs = Callable[[random.Random, int], str]


def numbers(*values: int) -> str:
    return " ".join(map(str, values)) + "\n"


def text(source: random.Random, length: int, letters: str) -> str:
    return "".join(source.choices(letters, k=length))


# Of each program its inputs, by the number of the test: later ones are larger.
INPUTS: dict[str, Inputs] = {
    "sieve": lambda _source, size: numbers(400_000 * size + 7),
    "lcs": lambda source, size: f"{text(source, 400 * size, 'abcd')} {text(source, 350 * size, 'abcd')}\n",
    "bits": lambda _source, size: numbers(300_000 * size),
    "matrix": lambda _source, size: numbers(40 * size),
    "sort": lambda source, size: numbers(1500 * size, *(source.randrange(-9999, 9999) for _ in range(1500 * size))),
    "gcd": lambda _source, size: numbers(300 * size),
    "words": lambda source, size: text(source, 150_000 * size, "abcdefgh ABC.,\n"),
    "knapsack": lambda source, size: numbers(
        40, 8000 * size, *(value for _ in range(40) for value in (source.randrange(1, 900), source.randrange(1, 99)))
    ),
}
SIZES = (1, 2, 4)


def row(name: str, number: int) -> dict[str, Any]:
    """One program as the dataset has it."""
    path = HERE / f"{name}.c"
    source = random.Random(name)
    inputs = [INPUTS[name](source, size) for size in SIZES]
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["gcc", "-w", "-O3", "-S", "-o", f"{scratch}/temp.s", path], check=True)
        subprocess.run(["gcc", "-w", "-O1", "-fsanitize=undefined", "-o", f"{scratch}/run", path], check=True)
        assembly = Path(scratch, "temp.s").read_text()
        outputs = [
            subprocess.run([f"{scratch}/run"], input=given, capture_output=True, text=True, check=True).stdout
            for given in inputs
        ]
    question = (
        "Given the following C code and assembly code, your task is to generate highly optimized x86-64 assembly code.\n"
        f"C Code:\n\n```c\n{path.read_text()}```\n\nAssembly Code:\n\n```assembly\n{assembly}```\n\n"
        "Only output the optimized assembly code. Do not include any other text. Do not write any comments in the assembly code. "
        "Wrap the assembly code in ```assembly``` tags.\nOptimized Assembly Code:\n"
    )
    fenced = f"```assembly\n{assembly}```"
    return {
        "data_source": "aicc",
        "prompt": [{"content": question, "role": "user"}],
        "ability": "code",
        "reward_model": {"ground_truth": fenced, "style": "rule"},
        "extra_info": {
            "answer": fenced,
            "index": number,
            "inputs": inputs,
            "outputs": outputs,
            "question": question,
            "split": "val",
            "unoptimized_assembly": fenced,
        },
    }


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    import pyarrow
    from pyarrow import parquet

    rows = [row(name, number) for number, name in enumerate(INPUTS)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
