"""The error family: every error says whether to retry and what to look at."""


class ShowroomError(Exception):
    """Root of all errors this project raises on purpose.

    `remedy` is one sentence a person can act on; the command line prints `message: remedy` as one line.
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
    """A server is away or busy; the same call may succeed later."""

    retry = True


class TerminalError(ShowroomError):
    """Trying again cannot help until a person changes something."""


class SettingsError(TerminalError):
    """One or more settings are unknown, missing or wrong; all of them are named."""


class PortTakenError(TerminalError):
    """Another program listens where a server of the stack should."""


class PrerequisiteError(TerminalError):
    """A program the stack needs is not installed and could not be installed."""


class NotReadyError(TransientError):
    """A server did not become ready before its deadline."""


class SourceFormatError(TerminalError):
    """A file to replay is missing, empty or of another format."""
