"""The one exception that means "the user can mend this", the one warning, and how errors are told."""

__all__ = ["AbsorptionWarning", "ConfigError"]


class ConfigError(ValueError):
    """A configuration, file or argument that cannot work.

    The message is one line that says what is wrong and what to do; the command line prints it as it is and
    exits with status 2.
    """


class AbsorptionWarning(UserWarning):
    """A scenario's absorption is far from what the standard atmosphere would absorb."""


def one_line(error: Exception, most: int = 300) -> str:
    """What an error says, or is called, on one line of at most `most` letters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else f"{text[: most - 3]}..."
