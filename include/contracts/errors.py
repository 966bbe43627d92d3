"""The error family: each error states whether a retry may help and what to do."""


class ShowroomError(Exception):
    """Base of all errors that this project raises.

    `remedy` is one actionable sentence; the command line prints `message: remedy` as one line.
    """

    retry = False

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}"

    def __reduce__(self) -> tuple[type["ShowroomError"], tuple[str, str]]:
        return type(self), (self.message, self.remedy)


class TransientError(ShowroomError):
    """A server is unavailable or busy; the same call may succeed later."""

    retry = True


class TerminalError(ShowroomError):
    """A retry cannot succeed until somebody changes something."""


class SettingsError(TerminalError):
    """Settings are unknown, missing or invalid; the message names all of them."""


class PortTakenError(TerminalError):
    """Another program listens on a port of the stack."""


class PrerequisiteError(TerminalError):
    """A required program is missing and could not be installed."""


class NotReadyError(TransientError):
    """A server did not become ready before its deadline."""


class SourceFormatError(TerminalError):
    """A file to replay is missing, empty or of another format."""
