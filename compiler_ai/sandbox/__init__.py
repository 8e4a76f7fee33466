"""Running untrusted bodies on captured state in an isolated process."""
