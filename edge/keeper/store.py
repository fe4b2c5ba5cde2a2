"""The box that confirmed commit works on: the kernel, the kept revisions, and what the daemons read."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from edge.control import concerns
from edge.keeper.kernel import Kernel
from edge.keeper.pins import Pins
from netconf import durable, unsealed
from netconf.finding import Finding, finding
from netconf.kept import Kept
from netconf.model import Site
from netconf.proposal import layers_of, site_of
from netconf.sealed import SealBroken
from netconf.secrets import SecretDamaged


class Store(Kept):
    """Kept revisions, applied and published."""

    def __init__(self, kernel: Kernel, pins: Pins, state: Path, run: Path, files: unsealed.Files) -> None:
        super().__init__(state)
        self._files = files
        #: The device's key, once it is there; what was sealed to another does not open.
        self.device: ec.EllipticCurvePrivateKey | None = None
        self._secrets_changed = False
        self._kernel = kernel
        self._pins = pins
        self._published, self._for_ferry = run / "site.json", run / "ferry.json"
        self.site: Site | None = None

    def apply(self, document: bytes) -> tuple[Finding, ...]:
        site, found = site_of(document)
        return found if site is None else (*self._put_secrets(site, document), *self._kernel.apply(site))

    def _put_secrets(self, site: Site, document: bytes) -> tuple[Finding, ...]:
        """The revision's secrets first: the tunnels are brought up with them.

        What does not open was refused when it came. If it does not open any more, the files stay as they are: a site
        that stands is not shut for it.
        """
        try:
            self._secrets_changed |= self._files.put(site, self.unsealed(site, layers_of(document).sealed))
        except SealBroken:
            return ()
        except (SecretDamaged, OSError):
            return (finding("secrets_not_kept"),)
        return ()

    def unsealed(self, site: Site, sealed: str) -> unsealed.Unsealed | None:
        """Return the secrets that are sealed to this device, None for none.

        Raises:
            SealBroken: they are not.
        """
        if not sealed:
            return None
        if self.device is None or site.site is None:
            raise SealBroken
        return unsealed.read(sealed, self.device, site.site.id)

    def publish(self, document: bytes) -> None:
        site, _ = site_of(document)
        assert site is not None  # it was applied
        self.site = site
        self._pins.fit(site, self._kernel)
        # Who reads a password read it at its start.
        self._write(self._published, site, anew=self._secrets_changed)
        self._write(self._for_ferry, concerns.of_ferry(site))
        self._secrets_changed = False

    def _write(self, path: Path, site: Site, anew: bool = False) -> None:
        text = site.model_dump_json(by_alias=True).encode("utf-8")
        if anew or not path.exists() or path.read_bytes() != text:
            durable.write(path, text, 0o644)

    def shut(self) -> None:
        self.site = None
        for path in (self._published, self._for_ferry):
            path.unlink(missing_ok=True)
        self._kernel.shut()
