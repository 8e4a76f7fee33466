"""What a function's debug information says of its parameters."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler_ai.verify.prototype import Type, from_object

# (parameter, what it points to: kind, bytes and alignment of what inputs are made of and pointers are moved by)
POINTERS = [
    ("double *p", "float", 8, 8),
    ("double p[4][8]", "float", 8, 8),
    ("const float p[2][3][4]", "float", 4, 4),
    ("_Complex float *p", "complex", 8, 4),
    ("long double *p", "float", 16, 16),
    ("grid *p", "integer", 2, 2),
    ("unsigned char p[]", "integer", 1, 1),
    ("struct pair p[]", "aggregate", 16, 8),
    ("struct pair (*p)[7]", "aggregate", 16, 8),
    ("char **p", "pointer", 8, 8),
    ("void *p", "void", 1, 1),
    ("four *p", "unknown", 16, 16),
    ("int (*p)(int)", "function", 1, 1),
]


@pytest.mark.parametrize("compiler", ["gcc", "clang-19"])
@pytest.mark.parametrize(("parameter", "kind", "size_bytes", "alignment_bytes"), POINTERS)
def test_what_a_pointer_points_to(
    compiler: str, parameter: str, kind: str, size_bytes: int, alignment_bytes: int, tmp_path: Path
) -> None:
    declarations = (
        "struct pair { long a, b; }; typedef short grid[5][5]; typedef int four __attribute__((vector_size(16)));\n"
    )
    source = tmp_path / "unit.c"
    source.write_text(f"{declarations}void f({parameter}) {{ (void)p; }}\n")
    out = tmp_path / "unit.o"
    subprocess.run([compiler, "-g", "-c", "-o", out, source], check=True)
    prototype = from_object(out.read_bytes(), "f")
    assert prototype is not None
    ((name, found),) = prototype.parameters
    assert (name, found.kind, found.target_kind, found.target_bytes) == ("p", "pointer", kind, size_bytes)
    assert found.target_alignment_bytes == alignment_bytes
    assert prototype.returns == Type("void")


def test_a_thread_local_variable_of_the_unit_hides_nothing(tmp_path: Path) -> None:
    source = tmp_path / "unit.c"
    source.write_text("static __thread int count; int f(short step) { return count += step; }\n")
    subprocess.run(["gcc", "-O2", "-g", "-c", "-o", tmp_path / "unit.o", source], check=True)
    prototype = from_object((tmp_path / "unit.o").read_bytes(), "f")
    assert prototype is not None
    assert prototype.returns == Type("integer", 4, True)


def test_a_restricted_pointer_is_known_as_such(tmp_path: Path) -> None:
    source = tmp_path / "unit.c"
    source.write_text("void f(int *restrict to, const int *from) { *to = *from; }\n")
    subprocess.run(["gcc", "-g", "-c", "-o", tmp_path / "unit.o", source], check=True)
    prototype = from_object((tmp_path / "unit.o").read_bytes(), "f")
    assert prototype is not None
    assert [kind.restricted for _, kind in prototype.parameters] == [True, False]
