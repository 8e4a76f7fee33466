"""What is sent: the function with its source, types and hot places; the published format to the letter; nothing secret."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from compiler_ai.toolchains.x86_64 import X86_64

from compiler_ai.artifacts import Baseline, CompileCommand, Sample
from compiler_ai.asm import listing as listing_model
from compiler_ai.models.anonymise import Anonymiser
from compiler_ai.models.answer import is_baseline, read
from compiler_ai.models.base import Answer, ModelError
from compiler_ai.models.prompting import Facts, Prompts, facts_of, prompt_name
from compiler_ai.models.source import source_of

SOURCE = Path(__file__).with_name("secret.c")
COMMAND = CompileCommand(("gcc",), ("-O2",), str(SOURCE), "/tmp/secret.o", str(SOURCE.parent), X86_64.name)


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    words = ["gcc", "-O2", "-S", "-o", "-", str(SOURCE)]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return Baseline("secret_sum", COMMAND, text, "key")


@pytest.fixture(scope="module")
def facts(baseline: Baseline) -> Facts:
    return facts_of(baseline, X86_64, ["sse2"], [Sample(0, 1.0), Sample(0x20, 3.0)])


def test_the_source_is_quoted_with_what_it_mentions() -> None:
    found = source_of(COMMAND, "secret_sum")
    assert found.function.startswith("int secret_sum(const pair *pairs, secret_word count)\n{")
    assert found.function.endswith("    return secret_total;\n}")
    assert "TWICE(pairs[i].first)" in found.function  # as it was written
    for part in ("struct pair", "enum colour", "typedef unsigned secret_word", "secret_helper", "secret_text"):
        assert part in found.types
    assert "unused" not in found.types
    assert "memcpy" not in found.types


def test_clones_have_their_functions_source() -> None:
    assert source_of(COMMAND, "secret_sum.constprop.0") == source_of(COMMAND, "secret_sum")


def test_a_function_that_a_macro_makes_is_quoted_expanded() -> None:
    assert source_of(COMMAND, "made_by_macro").function == "int made_by_macro(int x) { return x + 1; }"


def test_without_source_there_is_no_source() -> None:
    missing = CompileCommand(("gcc",), (), "/nowhere/x.c", "/tmp/x.o", "/tmp", X86_64.name)
    assert source_of(missing, "secret_sum").function == ""
    assert source_of(COMMAND, "no_such_function").function == ""


def test_the_format_for_general_models_has_all_that_is_known(facts: Facts) -> None:
    system, user = Prompts(None).messages("aicc", facts)
    assert (system.role, user.role) == ("system", "user")
    for part in (facts.c_source, facts.types, "secret_sum:", "75.0%", "sse2", "System V", "hidden words"):
        assert part in user.content
    assert ".cfi_" not in user.content.replace("Leave out .cfi directives", "")


def test_the_published_format_is_met_to_the_letter(facts: Facts) -> None:
    (user,) = Prompts(None).messages("supercoder", facts)
    assert user.content == (
        "Given the following C code and assembly code, your task is to generate highly optimized x86-64 assembly code.\n"
        f"C Code:\n\n```c\n{facts.c_source}```\n\nAssembly Code:\n\n```assembly\n{facts.listing}```\n\n"
        "Only output the optimized assembly code. Do not include any other text. Do not write any comments in the "
        "assembly code. Wrap the assembly code in ```assembly``` tags.\nOptimized Assembly Code:\n"
    )
    assert "\t.cfi_startproc\n" in facts.listing


def test_models_that_were_trained_on_it_get_the_published_format() -> None:
    assert prompt_name("", "LLM4Code/Superoptimizer_Qwen7B") == "supercoder"
    assert prompt_name("", "Qwen/Qwen2.5-Coder-7B-Instruct") == "aicc"
    assert prompt_name("mine", "LLM4Code/Superoptimizer_Qwen7B") == "mine"


def test_a_projects_own_prompt_replaces_ours(facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "aicc.jinja").write_text("Faster: {{ function }}")
    assert [m.content for m in Prompts(tmp_path).messages("aicc", facts)] == ["Faster: secret_sum"]
    named = tmp_path / "other.jinja"
    named.write_text("Faster still: {{ function }}")
    assert [m.content for m in Prompts(tmp_path).messages(str(named), facts)] == ["Faster still: secret_sum"]


@pytest.mark.parametrize("text", ["{{ unknown }}", "{% if %}", "{{ function.__class__.__mro__ }}", "{{ 1 / 0 }}"])
def test_a_faulty_prompt_is_one_line(facts: Facts, tmp_path: Path, text: str) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "aicc.jinja").write_text(text)
    with pytest.raises(ModelError, match="prompt 'aicc'"):
        Prompts(tmp_path).messages("aicc", facts)


def test_a_template_says_what_answers_are_asked_for_in(tmp_path: Path) -> None:
    assert Prompts(None).language("c") == "c"
    assert Prompts(None).language("aicc") == "assembly"
    (tmp_path / "own.jinja").write_text("{% block answer %}fortran{% endblock %}")
    with pytest.raises(ModelError, match="'fortran' and not assembly or c"):
        Prompts(None).language(str(tmp_path / "own.jinja"))


def test_hints_are_those_that_fit_the_function(facts: Facts) -> None:
    assert "no division" in Prompts(None).hints("c", facts)[0]
    plain = replace(facts, c_source="int twice(int x) { return x + x; }")
    assert "division" not in "".join(Prompts(None).hints("c", plain))
    assert Prompts(None).hints("aicc", facts) == ()


def test_names_of_fields_come_back_in_c(baseline: Baseline, facts: Facts) -> None:
    listing = listing_model.parse(baseline.listing_text)
    hiding = Anonymiser(listing, X86_64.library_symbols)
    found = hiding.back_in_c(hiding.facts(facts).c_source)
    assert found.split() == facts.c_source.replace("// hidden too", "").split()


def test_a_prompt_that_is_not_there_is_one_line(facts: Facts) -> None:
    with pytest.raises(ModelError, match="there are aicc, c, small, supercoder"):
        Prompts(None).messages("none", facts)


@pytest.mark.parametrize("name", ["aicc", "supercoder"])
def test_anonymised_nothing_of_the_project_is_sent(baseline: Baseline, facts: Facts, name: str) -> None:
    listing = listing_model.parse(baseline.listing_text)
    hidden = Anonymiser(listing, X86_64.library_symbols).facts(facts)
    sent = "\n".join(message.content for message in Prompts(None).messages(name, hidden))
    for word in ("secret", "hidden", "pair", "first", "RED", "colour", "TWICE"):
        assert word not in sent
    assert "function:" in sent


def test_words_of_the_language_and_numbers_stay(baseline: Baseline, facts: Facts) -> None:
    text = 'static __inline__ double f(double x) { __asm__ __volatile__ ("nop"); return x * 1.5e-5 + 0x1p-3; }'
    anonymiser = Anonymiser(listing_model.parse(baseline.listing_text), X86_64.library_symbols)
    hidden = anonymiser.facts(replace(facts, c_source=text)).c_source
    for word in ("__inline__", "__asm__ __volatile__", "1.5e-5", "0x1p-3"):
        assert word in hidden
    assert "nop" not in hidden


def test_anonymised_answers_get_the_real_names_back(baseline: Baseline, facts: Facts) -> None:
    listing = listing_model.parse(baseline.listing_text)
    function = listing.function("secret_sum")
    assert function is not None
    anonymiser = Anonymiser(listing, X86_64.library_symbols)
    hidden = anonymiser.facts(facts)
    answer = anonymiser.back(Answer(f"```assembly\n{hidden.assembly}```"))
    (parsed,) = read(answer, listing, function, "m1").parsed
    assert "secret_text" in parsed.body
    assert is_baseline(parsed, function)
