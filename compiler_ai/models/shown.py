"""What would be sent to a model about a function, without sending it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compiler_ai.driver import units
from compiler_ai.driver.host import features
from compiler_ai.driver.options import Options
from compiler_ai.models.base import ModelError
from compiler_ai.models.prompting import prompt_hash, prompt_name
from compiler_ai.models.spec import parse
from compiler_ai.profile import hotness
from compiler_ai.profile.model import Profile
from compiler_ai.proposers.base import ProposalContext
from compiler_ai.proposers.language_model import opening, settings_of
from compiler_ai.toolchains.x86_64 import X86_64
from compiler_ai.tune import plan as planning
from compiler_ai.tune.features import unit_features


def shown_prompts(project: Path, function: str, options: Options) -> str:
    """The opening messages, exactly as sent, for each prompt that the models in use get. Raises AiccError."""
    path = Path(options.values["profile"] or project / "profile.json")
    if not path.exists():
        raise ModelError(f"{path} is missing: run 'aicc-tool profile -- COMMAND' first")
    recorded = list(units.load_all(str(project)))
    hot = hotness.select(Profile.load(path), project.parent, hotness.Rules(only=frozenset({function})), recorded)
    matched = hotness.match_units(hot.functions, recorded)
    plan = planning.make(matched.found, tuple(options.flags), project, 0)
    if not plan.tasks:
        reasons = [reason for _, reason in [*matched.unmatched, *plan.left_out]]
        raise ModelError(f"'{function}': {reasons[0] if reasons else 'the profile does not have it'}")
    settings = settings_of(options)
    pieces: list[str] = []
    for task in plan.tasks:
        context = ProposalContext(
            X86_64,
            options.values["isa"],  # type: ignore[arg-type]  # options.parse allows only these
            host_features=features(X86_64),
            unit_features=unit_features(task.baseline.command, X86_64),
            samples=task.hot.profiled.samples,
        )
        names = [parse(text).model or parse(text).location for text in options.models] or [""]
        for name in dict.fromkeys(prompt_name(settings.prompt, name) for name in names):
            begun = opening(replace(settings, prompt=name), project, "", task.baseline, context)
            for messages in begun.hinted or [begun.messages]:
                head = f";; prompt '{name}', {prompt_hash(messages)}, {task.baseline.command.source}"
                pieces += [head, *(f";; {message.role}:\n{message.content}" for message in messages)]
    return "\n".join(pieces)
