"""What runs on the box: protocol machines, the two sides, the ferry between them, the keeper, and the lab.

May import ``netconf`` and ``firewall``. Three words: a *side* faces the recorders or the city; the *ferry* is the only
crossing; the *keeper* is the only room that touches the kernel. Start with ``records``, then ``ferry``.
"""
