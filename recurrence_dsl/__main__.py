"""`python -m recurrence_dsl`: the same as the command `recurrence`."""

from .cli import main

if __name__ == "__main__":
    main()
