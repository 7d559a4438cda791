"""The one exception that means "the user can mend this", and the one warning."""


class ConfigError(ValueError):
    """A configuration, file or argument that cannot work.

    The message is one line that says what is wrong and what to do; the command line prints it as it is and
    exits with status 2.
    """


class AbsorptionWarning(UserWarning):
    """A scenario's absorption is far from what the standard atmosphere would absorb."""
