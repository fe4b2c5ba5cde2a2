"""What the registry does not do, and why: a code of ``netconf.words`` with its facts."""

from __future__ import annotations

from collections.abc import Mapping

from netconf.finding import Finding


class RegistryRefused(ValueError):
    """Something that was asked is not done; nothing of it was kept.

    ``rule`` is a code of ``words``, ``args_`` the facts that its sentence names.
    """

    def __init__(self, rule: str, **args: object) -> None:
        super().__init__(rule)
        self.rule = rule
        self.args_: Mapping[str, object] = args

    @property
    def finding(self) -> Finding:
        """The same, as everybody prints it."""
        return Finding(self.rule, args=tuple(sorted((name, str(value)) for name, value in self.args_.items())))
