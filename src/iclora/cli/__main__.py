"""`python -m iclora.cli`, which is what launchers of several processes start."""

from iclora.cli import main

if __name__ == "__main__":
    main()
