"""Registry: the backends by name."""

from __future__ import annotations

from sparkles.config import Settings
from sparkles.errors import BackendError
from sparkles.ports import Backend


def open_backend(settings: Settings, *, write: bool, slots: int | None = None) -> Backend:
    """Return the backend that the settings name. Without `write` nothing is made that is not there yet.

    `slots` replaces the number of tasks that a node runs at once where the manifest does not say.
    """
    if settings.backend == "local":
        from sparkles.backends.local.backend import home_folder, local_backend
        from sparkles.paths import Home

        return local_backend(Home(home_folder()), write=write, slots=slots)
    raise BackendError(
        f"backend {settings.backend}: not built yet; to run on this machine use --backend local, or "
        "SPARKLES_BACKEND=local"
    )
