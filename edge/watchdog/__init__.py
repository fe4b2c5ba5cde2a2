"""The watchdog: supervisord's event listener. It hears the programs beat, ends those that hang, and says what runs.

Words: *beat* (sd_notify's WATCHDOG=1), *silent* (no beat for as long as the program allowed itself), *life* (one start
of a program). supervisord starts a program again whatever ended it; the watchdog only ends. Start in ``silence``.
"""
