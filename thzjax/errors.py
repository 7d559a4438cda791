"""The one exception that means "the user can mend this"."""


class ConfigError(ValueError):
    """A configuration, file or argument that cannot work.

    The message is one line that says what is wrong and what to do; the command line prints it as it is and
    exits with status 2.
    """
