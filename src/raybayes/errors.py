"""The one exception that is a person's to mend."""


class InputError(ValueError):
    """Something given to raybayes is wrong; the message says what, where and what to do."""
