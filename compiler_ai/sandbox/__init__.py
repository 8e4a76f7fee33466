"""Running untrusted bodies on captured state in an isolated process.

Decisions, with what they rest on:

- A fresh process for every run, forked by a small C runner without libc (0.6 ms a run here, 17 mapped regions): it drops
  every page that is not the image's, the runner's own included, and every system call is reported instead of executed, so
  a body has nothing to attack and nothing to learn from.
- The parent finds changed pages from the page tables (copy-on-write made them anonymous) and compares them with the image:
  a body cannot forge what it did. A store of the same value is seen as a written page.
- Timing happens inside one confined child, between serialising timer reads. Bodies of a few nanoseconds are timed in
  batches, with the few bytes they change restored in the loop, and the same loop around an empty body subtracted.
- Text and read-only data are copies of the object's own; writable data, thread-local data and addresses of functions are
  the captured module's, so that pointers in the captured memory compare as in the real call.
"""
