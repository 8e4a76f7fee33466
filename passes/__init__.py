"""The passes, one file each; installed as `compiler_ai.passes`."""
