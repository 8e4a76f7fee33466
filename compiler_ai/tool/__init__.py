"""The `aicc-tool` commands, one file each."""
