"""Upkeep: what root does to the box with its programs stopped, and what he asks when something is wrong.

Words: *swap* (a set of files replaced all or none, whatever the power does), *board* (the hardware that a backup knows
again), *backup* (one sealed file), *check* (one thing the doctor looks at). Start in ``commands``.
"""
