"""Private environments: what submitting shells export, in files that only their owner can read."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sparkles.backends.local.filesystem import make_folder
from sparkles.backends.replacing import replacing
from sparkles.paths import Home


class PrivateEnvironments:
    """Environments in files below SPARKLES_HOME, one for each that differs."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def write(self, environment: Mapping[str, str]) -> str:
        """See Environments."""
        import hashlib  # those who only look at jobs do not need it

        content = json.dumps(environment, sort_keys=True).encode()
        name = hashlib.sha256(content).hexdigest()
        path = self._home.environment(name)
        if not path.exists():
            make_folder(self._home.root)
            with replacing(path) as partial:
                partial.touch(mode=0o600)
                partial.write_bytes(content)
        return name

    def read(self, name: str) -> dict[str, str]:
        """See Environments."""
        environment: dict[str, str] = json.loads(self._home.environment(name).read_bytes())
        return environment
