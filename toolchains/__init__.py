"""One description a target; installed as `compiler_ai.toolchains`."""
