"""What `aicc -faicc-help` prints, in the form of `gcc --help=CLASS`. Imported for that alone."""

from __future__ import annotations

TEXT = """\
The following options are aicc's own; everything else is GCC's (see 'gcc --help'):
  -faicc-mode=off|apply|tune  Plain GCC; use the store (default); tune in this compile.
  -faicc-isa=same|native|dispatch  What rewrites may need of the processor: the
                              unit's -m flags (default); this machine's; this
                              machine's, behind a check at run time.
  -faicc-emit=splice|object   Rewrites in the unit's object (default) or beside it.
  -faicc-verify=tested        The least grade of evidence that is accepted.
  -faicc-profile=FILE         The profile for tune mode (.aicc/profile.json).
  -faicc-budget=TIME          The time for tune mode, such as 10m.
  -faicc-model=MODEL          Language models as proposers in tune mode, with
                              -faicc-model-samples=, -rounds=, -generations=, ...
  -faicc-plugin=FILE          Passes and proposers of your own, with
                              -faicc-plugin-arg-NAME-KEY=VALUE.
  -fopt-info-aicc[=FILE]      Remarks: what was rewritten, and what was not and why.
  -fdump-aicc-PASS, -all      Numbered dumps beside the object.
  -faicc-help                 This list.
Variables: AICC_DIR names the project's .aicc, AICC_CC the compiler, AICC_FLAGS holds
options of aicc's own, AICC_MODE, AICC_ISA, AICC_EMIT ... one each. 'aicc-tool --help'
lists the commands that profile, tune, check and report.
"""
