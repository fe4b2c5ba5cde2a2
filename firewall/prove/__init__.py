"""The proof that rules hold: packets are sent against them in namespaces of their own, and who got them is the judge.

A *room* is a scratch namespace that holds one of the box's rulesets; a *case* is a packet with what must become of it, and
why; a *flow* is what the site's configuration lets pass, written down a second time, by other hands than ``compile``. Start
with ``cases``. Only ``wire`` knows scapy; it runs in a process of its own (``python -m firewall.prove``).
"""
