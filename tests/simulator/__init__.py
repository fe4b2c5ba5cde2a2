"""The control plane as a seeded simulator: real registry, signing, concentrators' cores and boxes' logic, in a world made by lot.

A *move* is one thing that somebody does: a message arrives, a box or a concentrator looks around, a person, an owner or an
attacker acts, something breaks. A *seed* draws the moves, the network's losses, the power cuts and the clocks; the same
seed is the same story, told in its trace. After every move the *invariants* are looked at; at the end all faults are
healed, and everybody must come to what the city wants, or have been cut off by it.

What is modelled here and not real: the wires (messages in a list), WireGuard (a tunnel works while keys, preshared key and
address fit at both ends), the kernel, and who asks when. Start with ``world.py``; ``python -m tests.simulator SEED`` tells one.
"""
