"""The control-flow graph holds every way that control can take, and its loops."""

from __future__ import annotations

import subprocess

import networkx as nx
import pytest

from compiler_ai.asm import cfg
from compiler_ai.asm.listing import parse


def graph_of(source: str, *flags: str) -> nx.DiGraph[cfg.BasicBlock]:
    command = ["gcc", "-S", "-x", "c", "-o", "-", *(flags or ("-O2",)), "-"]
    listing = parse(subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout)
    function = listing.function("f")
    assert function is not None
    return cfg.build(listing, function)


def test_straight_code_is_one_block() -> None:
    graph = graph_of("int f(int a) { return a * 3; }")
    assert len(graph) == 1
    assert cfg.loops(graph) == ()


def test_nested_loops_have_depths() -> None:
    source = "void f(int *a, int n) { for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) a[i] += a[j] ^ i; }"
    assert sorted(loop.depth for loop in cfg.loops(graph_of(source, "-O1"))) == [1, 2]


@pytest.mark.parametrize("flags", [("-O2", "-fno-pie"), ("-O2", "-fPIC"), ("-O2", "-fcf-protection", "-fPIC")])
def test_every_case_of_a_jump_table_is_reached(flags: tuple[str, ...]) -> None:
    cases = " ".join(f"case {i}: g{i}(); break;" for i in range(12))
    graph = graph_of(
        "".join(f"void g{i}(void);" for i in range(12)) + f"void f(int a) {{ switch (a) {{ {cases} }} }}", *flags
    )
    assert max(degree for _, degree in graph.out_degree()) >= 12
    assert cfg.unreachable(graph) == frozenset()


def test_nothing_follows_a_call_that_does_not_return() -> None:
    graph = graph_of("void abort(void); int f(int a) { if (a) abort(); return 1; }")
    ends = [block for block in graph if graph.out_degree(block) == 0]
    assert len(ends) == 2
    assert len(graph.graph["exits"]) == 1


def test_a_tail_call_leaves_and_a_cold_part_belongs_to_the_graph() -> None:
    graph = graph_of(
        "void g(int); __attribute__((cold)) void h(int); void f(int a) { if (a > 9) { h(a); h(2); } g(a); }"
    )
    assert graph.graph["exits"]
    assert any("f.cold" in block.labels for block in graph)
    assert cfg.unreachable(graph) == frozenset()


def test_code_behind_a_jump_that_nothing_refers_to_is_unreachable() -> None:
    listing = parse("\t.text\n\t.type f, @function\nf:\n\tjmp .L1\n\tnop\n.L1:\n\tret\n\t.size f, .-f\n")
    graph = cfg.build(listing, listing.functions[0])
    assert [block.lines for block in cfg.unreachable(graph)] == [(1,)]
